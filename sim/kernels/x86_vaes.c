/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts whose blocks do not wait for each other, four blocks to a register of 512 bits: for processors that
 * have AES instructions of that width (VAES), on which even one such register's worth is done with a third of
 * the instructions. What is left at the end of a text, of blocks or of bytes, is one more register, of which
 * a mask hides the rest.
 */
#include "x86_vaes.h"
#include "imb_manager.h"

#define INLINE VAES_INLINE

/* Up to which length it is faster than the library: measured. */
#define CTR_MAX 4096u
#define CBC_DECRYPT_MAX 4096u
#define ECB_MAX 4096u
#define XTS_MAX (1u << 24) /* the library has no XTS; a data unit has no more: IEEE 1619-2018, 5.1 */

/* What is left to do, and what one register has for the next: counters, tweaks or blocks of ciphertext. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    __m512i chain;
};

/* All of a text. step(text, count, len, ...) does count registers, len bytes, and takes them off it. */
#define IN_STEPS(step, text, ...)                                                                            \
    do {                                                                                                     \
        while ((text)->len >= VAES_WIDE * VAES_VECTOR)                                                       \
            step(text, VAES_WIDE, (VAES_WIDE * VAES_VECTOR), __VA_ARGS__);                                   \
        while ((text)->len > VAES_VECTOR)                                                                    \
            step(text, 1, VAES_VECTOR, __VA_ARGS__);                                                         \
        if ((text)->len == VAES_VECTOR)                                                                      \
            step(text, 1, VAES_VECTOR, __VA_ARGS__);                                                         \
        else if ((text)->len > 0)                                                                            \
            step(text, 1, (text)->len, __VA_ARGS__);                                                         \
    } while (0)

INLINE void take(const struct text *text, __m512i vector[], unsigned count, size_t len)
{
    vaes_take(text->in, vector, count, len);
}

INLINE void put(struct text *text, const __m512i vector[], unsigned count, size_t len)
{
    vaes_put(text->out, vector, count, len);
    text->in += len;
    text->out += len;
    text->len -= len;
}

/* ---------------------------------------------------------------------------------------------------- steps
 */

INLINE void ecb(struct text *text, unsigned count, size_t len, struct round_keys keys, bool encrypting)
{
    __m512i vector[VAES_WIDE];

    take(text, vector, count, len);
    vaes_crypt(keys, encrypting, vector, count);
    put(text, vector, count, len);
}

/* The chain is four counters as numbers, of which the last 64 bits count here: see run_ctr(). */
INLINE void ctr(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi64x(0, 4));
    __m512i stream[VAES_WIDE], vector[VAES_WIDE];

    EACH (i, count) {
        stream[i] = vaes_swap_bytes(text->chain);
        text->chain = _mm512_add_epi64(text->chain, four);
    }
    vaes_encrypt(keys, stream, count);
    take(text, vector, count, len);
    vaes_add(vector, stream, count);
    put(text, vector, count, len);
}

/* In front of each block of cipher the one before it; the chain's last block is what comes before the first.
 */
INLINE void previous(struct text *text, const __m512i cipher[], __m512i before[], unsigned count)
{
    EACH (i, count) {
        before[i] = _mm512_alignr_epi64(cipher[i], text->chain, 6);
        text->chain = cipher[i];
    }
}

INLINE void cbc_decrypt(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    __m512i before[VAES_WIDE], vector[VAES_WIDE];

    take(text, vector, count, len);
    previous(text, vector, before, count);
    vaes_decrypt(keys, vector, count);
    vaes_add(vector, before, count);
    put(text, vector, count, len);
}

INLINE void cfb_decrypt(struct text *text, unsigned count, size_t len, struct round_keys keys)
{
    __m512i before[VAES_WIDE], vector[VAES_WIDE];

    take(text, vector, count, len);
    previous(text, vector, before, count);
    vaes_encrypt(keys, before, count);
    vaes_add(vector, before, count);
    put(text, vector, count, len);
}

/*
 * Each of four blocks times a power of x, up to x^63, in the field of IEEE 1619-2018, 5.2. power has the
 * exponents, twice each. What is shifted out of a half comes into the other; out of the upper one it comes
 * back times x^7 + x^2 + x + 1.
 */
INLINE __m512i times_x(__m512i tweak, __m512i power)
{
    const __m512i polynomial = _mm512_broadcast_i32x4(_mm_set_epi64x(0, 0x87));
    __m512i out = _mm512_srlv_epi64(tweak, _mm512_sub_epi64(_mm512_set1_epi64(64), power));
    __m512i across = vaes_swap_halves(out);
    __m512i back = _mm512_clmulepi64_epi128(across, polynomial, 0x00);

    across = _mm512_maskz_mov_epi64(0xaa, across);
    return vaes_sum_of_three(_mm512_sllv_epi64(tweak, power), across, back);
}

/* The chain is the next four blocks' tweaks. */
INLINE void tweaks(struct text *text, __m512i tweak[], unsigned count)
{
    EACH (i, count) {
        tweak[i] = text->chain;
        text->chain = times_x(text->chain, _mm512_set1_epi64(4));
    }
}

INLINE void xts(struct text *text, unsigned count, size_t len, struct round_keys keys, bool encrypting)
{
    __m512i tweak[VAES_WIDE], vector[VAES_WIDE];

    tweaks(text, tweak, count);
    take(text, vector, count, len);
    vaes_add(vector, tweak, count);
    vaes_crypt(keys, encrypting, vector, count);
    vaes_add(vector, tweak, count);
    put(text, vector, count, len);
}

/* ---------------------------------------------------------------------------------------------- whole texts
 */

WITH_VAES static enum ersatz_result run_ecb_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb, &text, keys, true);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_ecb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb, &text, keys, false);
    return ERSATZ_OK;
}

/* All in this function: gcc clears the upper halves of registers neither in one that is given a wide vector
 * by value nor after its call. tests/kernels/upper_halves sees it. */
WITH_VAES static enum ersatz_result run_ctr(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    __m512i counter = vaes_swap_bytes(vaes_four_times(iv));
    /* How many blocks there are, but for one, until the last 64 bits carry into the first. */
    uint64_t left = ~(uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(counter));
    size_t before_carry = left < (len - 1) / IMB_BLOCK ? (size_t)(left + 1) * IMB_BLOCK : len;
    struct text text = {.out = out, .in = in, .len = before_carry};

    for (;;) {
        text.chain = _mm512_add_epi64(counter, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
        IN_STEPS(ctr, &text, keys);
        if (text.in == in + len)
            return ERSATZ_OK;
        /* The last 64 bits are zeros now, and the first ones one more. */
        counter = _mm512_maskz_add_epi64(0xaa, counter, _mm512_set1_epi64(1));
        text.len = len - before_carry;
    }
}

WITH_VAES static enum ersatz_result run_cbc_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {out, in, len, vaes_four_times(iv)};

    IN_STEPS(cbc_decrypt, &text, keys);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_cfb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {out, in, len, vaes_four_times(iv)};

    IN_STEPS(cfb_decrypt, &text, keys);
    return ERSATZ_OK;
}

INLINE __m512i first_tweaks(const struct imb_state *state, const uint8_t *iv)
{
    __m512i tweak = vaes_four_times(iv);

    vaes_encrypt(round_keys_from(state, state->blocks.tweak_keys), &tweak, 1);
    return times_x(tweak, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0));
}

WITH_VAES static enum ersatz_result run_xts_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {out, in, len, first_tweaks(state, iv)};

    IN_STEPS(xts, &text, keys, true);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_xts_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {out, in, len, first_tweaks(state, iv)};

    IN_STEPS(xts, &text, keys, false);
    return ERSATZ_OK;
}

struct imb_short imb_vaes_for(enum ersatz_mode mode, bool encrypting)
{
    static const struct imb_short none;
    static const struct imb_short by_mode[ERSATZ_MODES][2] = {
        [ERSATZ_CBC] = {{run_cbc_decrypt, CBC_DECRYPT_MAX, WHOLE_BLOCKS}},
        [ERSATZ_CTR] = {{run_ctr, CTR_MAX, ANY_LENGTH}, {run_ctr, CTR_MAX, ANY_LENGTH}},
        [ERSATZ_ECB] = {{run_ecb_decrypt, ECB_MAX, WHOLE_BLOCKS}, {run_ecb_encrypt, ECB_MAX, WHOLE_BLOCKS}},
        [ERSATZ_CFB] = {{run_cfb_decrypt, SIZE_MAX, ANY_LENGTH}},
        [ERSATZ_XTS] = {{run_xts_decrypt, XTS_MAX, WHOLE_BLOCKS}, {run_xts_encrypt, XTS_MAX, WHOLE_BLOCKS}},
    };

    return imb_has_vaes() ? by_mode[mode][encrypting] : none;
}
