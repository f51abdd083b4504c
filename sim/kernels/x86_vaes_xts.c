/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-XTS (IEEE 1619-2018, 5.3 and 5.4), four blocks to a register of 512 bits and four registers at a time:
 *
 *   C[i] = E(P[i] ^ T[i]) ^ T[i],  T[i+1] = T[i] times x
 *
 * AES fills the processor's units for it, and every other vector instruction takes its turn there. So there
 * are as few as possible. What is kept is not T, but U = T ^ K with K the last round key: the last round adds
 * both at once. T times a power of x is then U times that power, plus a constant that depends on K alone.
 */
#include "x86_vaes.h"

#define SOME 4u /* registers at a time */

/*
 * Each of four blocks times a power of x, up to x^63, in the field of IEEE 1619-2018, 5.2. power has the
 * exponents, twice each. What is shifted out of a half comes into the other; out of the upper one it comes
 * back times x^7 + x^2 + x + 1.
 */
INLINE vector times_power_of_x(vector tweaks, vector power)
{
    vector out = _mm512_srlv_epi64(tweaks, _mm512_sub_epi64(_mm512_set1_epi64(64), power));
    vector across = swap_halves(out);
    vector back = _mm512_clmulepi64_epi128(across, halves(0x87, 0), 0x00);

    across = _mm512_maskz_mov_epi64(0xaa, across);
    return xor_three(_mm512_sllv_epi64(tweaks, power), across, back);
}

/* The same, plus more, for a power that is a number of bytes: what is shifted out comes back in one
 * product. */
#define TIMES_BYTES(tweaks, bytes, more)                                                                     \
    xor_three(_mm512_bslli_epi128(tweaks, bytes),                                                            \
        _mm512_clmulepi64_epi128(_mm512_bsrli_epi128(tweaks, 16 - (bytes)), halves(0x87, 0), 0x00), more)

/* A text, and of its next SOME registers the tweaks: U. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    struct round_keys keys;
    vector tweaks[SOME];
    vector first; /* U plus this is T plus the first round key */
};

INLINE void one_round(struct round_keys keys, vector blocks[], unsigned count, unsigned round, bool encrypt)
{
    if (encrypt)
        encrypt_round_all(keys, blocks, count, round);
    else
        decrypt_round_all(keys, blocks, count, round);
}

INLINE void long_key_rounds(struct round_keys keys, vector blocks[], unsigned count, bool encrypt)
{
    if (encrypt)
        LONG_KEY_ROUNDS(encrypt_round_all, keys, blocks, count);
    else
        LONG_KEY_ROUNDS(decrypt_round_all, keys, blocks, count);
}

INLINE vector last_round(vector block, vector tweak, bool encrypt)
{
    return encrypt ? encrypt_last_round(block, tweak) : decrypt_last_round(block, tweak);
}

INLINE void advance(struct text *text, size_t len)
{
    text->in += len;
    text->out += len;
    text->len -= len;
}

/* Everything so far comes before everything that follows: compilers would put the next step's tweak behind
 * all rounds, from where it would keep the next step waiting. */
INLINE void keep_beside(vector blocks[], vector *next)
{
    __asm__ volatile("" : "+v"(blocks[0]), "+v"(blocks[1]), "+v"(blocks[2]), "+v"(blocks[3]), "+v"(*next));
}

/* SOME registers. If more come, the next ones' tweaks between the rounds. plus: see TIMES_BYTES(). */
INLINE void crypt_some(struct text *text, vector plus, bool encrypt, bool more)
{
    vector blocks[SOME], next[SOME];

    EACH (i, SOME)
        blocks[i] = xor_three(load(text->in + i * VECTOR), text->tweaks[i], text->first);
    EACH (i, SOME) {
        one_round(text->keys, blocks, SOME, i + 1, encrypt);
        if (!more)
            continue;
        next[i] = TIMES_BYTES(text->tweaks[i], SOME * VECTOR / X86_BLOCK / 8, plus);
        keep_beside(blocks, &next[i]);
    }
    UNROLLED(5)
    for (unsigned round = SOME + 1; round < 10; round++)
        one_round(text->keys, blocks, SOME, round, encrypt);
    long_key_rounds(text->keys, blocks, SOME, encrypt);
    EACH (i, SOME) {
        store(text->out + i * VECTOR, last_round(blocks[i], text->tweaks[i], encrypt));
        if (more)
            text->tweaks[i] = next[i];
    }
    advance(text, SOME * VECTOR);
}

/* One register, of which there are only len bytes. */
INLINE void crypt_one(struct text *text, size_t len, bool encrypt)
{
    vector block;

    load_all(text->in, &block, 1, len);
    block = xor_three(block, text->tweaks[0], text->first);
    UNROLLED(9)
    for (unsigned round = 1; round < 10; round++)
        one_round(text->keys, &block, 1, round, encrypt);
    long_key_rounds(text->keys, &block, 1, encrypt);
    block = last_round(block, text->tweaks[0], encrypt);
    store_all(text->out, &block, 1, len);
    advance(text, len);
}

/* The first tweak is the IV, encrypted with the second key. */
INLINE vector first_tweak(const struct x86_state *state, const uint8_t *iv)
{
    vector tweak = spread(_mm_loadu_si128((const __m128i *)iv));

    encrypt_all(round_keys_from(state, state->keys.tweak), &tweak, 1);
    return tweak;
}

/* first: the tweaks of the first register, without the last key. */
INLINE void crypt_long(struct text *text, vector tweak, vector first, vector last_key, bool encrypt)
{
    vector second = times_power_of_x(tweak, _mm512_set_epi64(7, 7, 6, 6, 5, 5, 4, 4));
    vector plus = TIMES_BYTES(last_key, SOME * VECTOR / X86_BLOCK / 8, last_key);

    text->tweaks[1] = xor_vectors(second, last_key);
    text->tweaks[2] = TIMES_BYTES(first, 1, last_key); /* two registers are eight blocks, and so a byte */
    text->tweaks[3] = TIMES_BYTES(second, 1, last_key);
    while (text->len > SOME * VECTOR)
        crypt_some(text, plus, encrypt, true);
    if (text->len == SOME * VECTOR)
        crypt_some(text, plus, encrypt, false);
    while (text->len > VECTOR) {
        crypt_one(text, VECTOR, encrypt);
        text->tweaks[0] = text->tweaks[1];
        text->tweaks[1] = text->tweaks[2];
        text->tweaks[2] = text->tweaks[3];
    }
}

INLINE int run(const struct x86_state *state, const uint32_t *round_keys, const uint8_t *iv, uint8_t *out,
    const uint8_t *in, size_t len, bool encrypt)
{
    struct text text = {.out = out, .in = in, .len = len, .keys = round_keys_from(state, round_keys)};
    vector tweak = first_tweak(state, iv), last_key = round_key(text.keys, text.keys.rounds);
    vector first = times_power_of_x(tweak, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0));

    text.first = xor_vectors(round_key(text.keys, 0), last_key);
    text.tweaks[0] = xor_vectors(first, last_key);
    if (len > VECTOR)
        crypt_long(&text, tweak, first, last_key, encrypt);
    if (text.len == VECTOR)
        crypt_one(&text, VECTOR, encrypt);
    else if (text.len > 0)
        crypt_one(&text, text.len, encrypt);
    return 1;
}

TARGET int x86_vaes_xts_encrypt(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    return run(state, state->keys.encrypt, iv, out, in, len, true);
}

TARGET int x86_vaes_xts_decrypt(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    return run(state, state->keys.decrypt, iv, out, in, len, false);
}
