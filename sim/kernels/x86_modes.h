/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modes in which no block waits for the one before it, on registers of whatever width: included by
 * x86_aes.c after x86_aes.h, and by x86_vaes.c after x86_vaes.h. These define before:
 *
 *   counters_from(counter)       the counters of a register's blocks, from that of the first; counters are
 *                                numbers, of which only the last 64 bits count
 *   next_counters(counters)      of the register after it
 *   carried(counter)             the last 64 bits zero, and the first ones one more
 *   blocks_before(last, cipher)  of each block of ciphertext the one before it; last is the register before
 *
 * What is left at the end of a text is one more register, of which there are only the first bytes.
 */
#ifndef ERSATZ_SIM_KERNELS_X86_MODES_H
#define ERSATZ_SIM_KERNELS_X86_MODES_H

/* What is left to do, and what one register has for the next: counters or ciphertext. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    vector chain;
};

/* All of a text, at most so many registers at once. step(text, count, len, ...) does count registers, len
 * bytes, and advances text by them. */
#define IN_STEPS(step, most, text, ...)                                                                      \
    do {                                                                                                     \
        if (__builtin_expect((text)->len > VECTOR, 0)) {                                                     \
            while ((text)->len >= (most)*VECTOR)                                                             \
                step(text, most, ((most)*VECTOR), __VA_ARGS__);                                              \
            if ((most) > 4 && (text)->len >= (most) / 2 * VECTOR)                                            \
                step(text, (most) / 2, ((most) / 2 * VECTOR), __VA_ARGS__);                                  \
            while ((text)->len > VECTOR)                                                                     \
                step(text, 1, VECTOR, __VA_ARGS__);                                                          \
        }                                                                                                    \
        if ((text)->len == VECTOR)                                                                           \
            step(text, 1, VECTOR, __VA_ARGS__);                                                              \
        else if ((text)->len > 0)                                                                            \
            step(text, 1, (text)->len, __VA_ARGS__);                                                         \
    } while (0)

INLINE void advance(struct text *text, size_t len)
{
    text->in += len;
    text->out += len;
    text->len -= len;
}

/* -------------------------------------------------------------------------------------------------- steps */

/* With E and D for the block cipher in both directions, P for plaintext and C for ciphertext: */

/* C = E(P), P = D(C) */
INLINE void ecb(struct text *text, unsigned count, size_t len, struct round_keys keys, bool encrypt)
{
    vector blocks[VECTORS];

    load_all(text->in, blocks, count, len);
    if (encrypt)
        encrypt_all(keys, blocks, count);
    else
        decrypt_all(keys, blocks, count);
    store_all(text->out, blocks, count, len);
    advance(text, len);
}

/* C[i] = P[i] ^ E(counter + i); the chain is the counters of the next register. */
INLINE void ctr(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    vector stream[VECTORS], blocks[VECTORS];

    load_all(text->in, blocks, count, len);
    EACH (i, count) {
        stream[i] = swap_bytes(text->chain);
        text->chain = next_counters(text->chain);
    }
    encrypt_all(keys, stream, count);
    xor_all(blocks, stream, count);
    store_all(text->out, blocks, count, len);
    advance(text, len);
}

/* Loads ciphertext, and of each block the one before it; the chain is the last register of ciphertext, in
 * which the last block is the one before the next register. */
INLINE void load_with_before(struct text *text, vector cipher[], vector before[], unsigned count, size_t len)
{
    load_all(text->in, cipher, count, len);
    before[0] = blocks_before(text->chain, cipher[0]);
    UNROLLED(8) for (unsigned i = 1; i < count; i++) before[i] = load(text->in + i * VECTOR - X86_BLOCK);
    text->chain = cipher[count - 1];
}

/* P[i] = D(C[i]) ^ C[i-1] */
INLINE void cbc_decrypt(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    vector before[VECTORS], blocks[VECTORS];

    load_with_before(text, blocks, before, count, len);
    decrypt_all(keys, blocks, count);
    xor_all(blocks, before, count);
    store_all(text->out, blocks, count, len);
    advance(text, len);
}

/* P[i] = C[i] ^ E(C[i-1]) */
INLINE void cfb_decrypt(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    vector before[VECTORS], blocks[VECTORS];

    load_with_before(text, blocks, before, count, len);
    encrypt_all(keys, before, count);
    xor_all(blocks, before, count);
    store_all(text->out, blocks, count, len);
    advance(text, len);
}

/* -------------------------------------------------------------------------------------------- whole texts */

/* The IV in every lane; only the last lane's is a chain's. */
INLINE struct text text_after_iv(const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    return (struct text){out, in, len, spread(_mm_loadu_si128((const __m128i *)iv))};
}

/*
 * A function run() of whole(state, out, in, len, iv, ...). A text of one register, and of four narrow ones,
 * is done at once, without the stack and the registers that others need: clang saves these first, whatever
 * the text.
 */
#define RUN(run, whole, ...)                                                                                 \
    TARGET static __attribute__((noinline)) int run##_any(                                                   \
        const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)             \
    {                                                                                                        \
        return whole(state, out, in, len, iv, __VA_ARGS__);                                                  \
    }                                                                                                        \
                                                                                                             \
    TARGET static int run(                                                                                   \
        const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)             \
    {                                                                                                        \
        if (__builtin_expect(len == VECTOR, 1))                                                              \
            return whole(state, out, in, VECTOR, iv, __VA_ARGS__);                                           \
        if (VECTOR == X86_BLOCK && len == 4 * VECTOR)                                                        \
            return whole(state, out, in, 4 * VECTOR, iv, __VA_ARGS__);                                       \
        return run##_any(state, out, in, len, iv);                                                           \
    }

INLINE int ecb_text(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv, bool encrypt)
{
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb, VECTORS, &text, round_keys_from(state, encrypt ? state->keys.encrypt : state->keys.decrypt),
        encrypt);
    return 1;
}

RUN(run_ecb_encrypt, ecb_text, true)
RUN(run_ecb_decrypt, ecb_text, false)

INLINE vector counter_from(const uint8_t *iv)
{
    return swap_bytes(spread(_mm_loadu_si128((const __m128i *)iv)));
}

/* All in these functions: gcc clears the upper halves of registers neither in one that is given a wide vector
 * by value nor after its call. tests/kernels/upper_halves sees it. */

/* The last 64 bits of the counter carry within the text. This is rare, and a function of its own, because gcc
 * prepares for it in front of every text. */
TARGET static __attribute__((noinline)) int run_carrying_ctr(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    struct round_keys keys = round_keys_from(state, state->keys.encrypt);
    vector counter = counter_from(iv);
    size_t before_carry = (size_t)(~last_64_bits(counter) + 1) * X86_BLOCK;
    struct text text = {.out = out, .in = in, .len = before_carry};

    for (;;) {
        text.chain = counters_from(counter);
        IN_STEPS(ctr, VECTORS, &text, keys);
        if (text.in == in + len)
            break;
        counter = carried(counter);
        text.len = len - before_carry;
    }
    counter_add(iv, len / X86_BLOCK);
    return 1;
}

TARGET static __attribute__((noinline)) int run_long_ctr(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    vector counter = counter_from(iv);
    struct text text = {.out = out, .in = in, .len = len};

    /* as many blocks, and one more, come before the last 64 bits carry into the first */
    if (~last_64_bits(counter) < (len - 1) / X86_BLOCK)
        return run_carrying_ctr(state, out, in, len, iv);
    text.chain = counters_from(counter);
    IN_STEPS(ctr, VECTORS, &text, round_keys_from(state, state->keys.encrypt));
    counter_add(iv, len / X86_BLOCK);
    return 1;
}

/* A text of one register: without what run_long_ctr() prepares for its loops, which would cost such a text a
 * twentieth of the whole operation. */
TARGET static int run_ctr(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    struct text text = {out, in, len, counter_from(iv)};
    uint64_t first = last_64_bits(text.chain), last = first + VECTOR / X86_BLOCK - 1;

    if (len > VECTOR || last < first) /* it carries */
        return run_long_ctr(state, out, in, len, iv);
    text.chain = counters_from(text.chain);
    if (len == VECTOR)
        ctr(&text, 1, VECTOR, round_keys_from(state, state->keys.encrypt));
    else
        ctr(&text, 1, len, round_keys_from(state, state->keys.encrypt));
    counter_add(iv, len / X86_BLOCK);
    return 1;
}

/* Before the text is deciphered, which may be in place. */
INLINE void next_iv_from_ciphertext(uint8_t *iv, const uint8_t *in, size_t len)
{
    if (len >= X86_BLOCK)
        memcpy(iv, in + len - X86_BLOCK, X86_BLOCK);
}

INLINE int feedback_decrypt(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv, bool is_cbc)
{
    struct text text = text_after_iv(iv, out, in, len);

    next_iv_from_ciphertext(iv, in, len);
    if (is_cbc)
        IN_STEPS(cbc_decrypt, VECTORS, &text, round_keys_from(state, state->keys.decrypt));
    else
        IN_STEPS(cfb_decrypt, VECTORS, &text, round_keys_from(state, state->keys.encrypt));
    return 1;
}

RUN(run_cbc_decrypt, feedback_decrypt, true)
RUN(run_cfb_decrypt, feedback_decrypt, false)

#endif
