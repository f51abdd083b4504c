/*
 * Texts whose blocks do not wait for each other, four blocks to a register of 512 bits: for processors that
 * have AES instructions of that width (VAES), on which even one such register's worth is done with a third of
 * the instructions. What is left at the end of a text, of blocks or of bytes, is one more register, of which
 * a mask hides the rest.
 *
 * What depends on data or keys here are the operands of instructions, never an address or a branch.
 */
#include "imb_manager.h"
#include "imb_rounds.h"

#define WITH_VAES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,sse4.1")))
#define INLINE WITH_VAES static inline __attribute__((always_inline)) /* with count as a constant */
#define EACH(i, count) _Pragma("GCC unroll 4") for (unsigned i = 0; i < (count); i++)
#define WIDE 4u
#define VECTOR 64u /* bytes */

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

/* All of a text. step(keys, text, count, len) does count registers, len bytes, and takes them off it. */
#define IN_STEPS(step, keys, text)                                                                           \
    do {                                                                                                     \
        while ((text)->len >= WIDE * VECTOR)                                                                 \
            step(keys, text, WIDE, WIDE *VECTOR);                                                            \
        while ((text)->len > VECTOR)                                                                         \
            step(keys, text, 1, VECTOR);                                                                     \
        if ((text)->len == VECTOR)                                                                           \
            step(keys, text, 1, VECTOR);                                                                     \
        else if ((text)->len > 0)                                                                            \
            step(keys, text, 1, (text)->len);                                                                \
    } while (0)

/* ----------------------------------------------------------------------------------------------- registers
 */

INLINE __mmask64 first(size_t len)
{
    return UINT64_MAX >> (VECTOR - len);
}

INLINE void take(const struct text *text, __m512i vector[], unsigned count, size_t len)
{
    if (len < VECTOR)
        vector[0] = _mm512_maskz_loadu_epi8(first(len), text->in);
    else
        EACH(i, count)
    vector[i] = _mm512_loadu_si512(text->in + i * VECTOR);
}

INLINE void put(struct text *text, const __m512i vector[], unsigned count, size_t len)
{
    if (len < VECTOR)
        _mm512_mask_storeu_epi8(text->out, first(len), vector[0]);
    else
        EACH(i, count)
    _mm512_storeu_si512(text->out + i * VECTOR, vector[i]);
    text->in += len;
    text->out += len;
    text->len -= len;
}

INLINE void add(__m512i vector[], const __m512i other[], unsigned count)
{
    EACH(i, count)
    vector[i] = _mm512_xor_si512(vector[i], other[i]);
}

INLINE __m512i round_key(struct round_keys keys, unsigned round)
{
    return _mm512_broadcast_i32x4(keys.key[round]);
}

INLINE void add_key(struct round_keys keys, __m512i vector[], unsigned count)
{
    EACH(i, count)
    vector[i] = _mm512_xor_si512(vector[i], round_key(keys, 0));
}

INLINE void encrypt_round(struct round_keys keys, __m512i vector[], unsigned count, unsigned round)
{
    EACH(i, count)
    vector[i] = _mm512_aesenc_epi128(vector[i], round_key(keys, round));
}

INLINE void encrypt(struct round_keys keys, __m512i vector[], unsigned count)
{
    add_key(keys, vector, count);
    ROUNDS(encrypt_round, keys, vector, count);
    EACH(i, count)
    vector[i] = _mm512_aesenclast_epi128(vector[i], round_key(keys, keys.rounds));
}

INLINE void decrypt_round(struct round_keys keys, __m512i vector[], unsigned count, unsigned round)
{
    EACH(i, count)
    vector[i] = _mm512_aesdec_epi128(vector[i], round_key(keys, round));
}

INLINE void decrypt(struct round_keys keys, __m512i vector[], unsigned count)
{
    add_key(keys, vector, count);
    ROUNDS(decrypt_round, keys, vector, count);
    EACH(i, count)
    vector[i] = _mm512_aesdeclast_epi128(vector[i], round_key(keys, keys.rounds));
}

/* ---------------------------------------------------------------------------------------------------- steps
 */

INLINE void ecb_encrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i vector[WIDE];

    take(text, vector, count, len);
    encrypt(keys, vector, count);
    put(text, vector, count, len);
}

INLINE void ecb_decrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i vector[WIDE];

    take(text, vector, count, len);
    decrypt(keys, vector, count);
    put(text, vector, count, len);
}

INLINE __m512i swap_bytes(__m512i vector)
{
    return _mm512_shuffle_epi8(
        vector, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

/* The chain is four counters as numbers, of which the last 64 bits count here: see run_ctr(). */
INLINE void ctr(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi64x(0, 4));
    __m512i stream[WIDE], vector[WIDE];

    EACH(i, count)
    {
        stream[i] = swap_bytes(text->chain);
        text->chain = _mm512_add_epi64(text->chain, four);
    }
    encrypt(keys, stream, count);
    take(text, vector, count, len);
    add(vector, stream, count);
    put(text, vector, count, len);
}

/* In front of each block of cipher the one before it; the chain's last block is what comes before the first.
 */
INLINE void previous(struct text *text, const __m512i cipher[], __m512i before[], unsigned count)
{
    EACH(i, count)
    {
        before[i] = _mm512_alignr_epi64(cipher[i], text->chain, 6);
        text->chain = cipher[i];
    }
}

INLINE void cbc_decrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i before[WIDE], vector[WIDE];

    take(text, vector, count, len);
    previous(text, vector, before, count);
    decrypt(keys, vector, count);
    add(vector, before, count);
    put(text, vector, count, len);
}

INLINE void cfb_decrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i before[WIDE], vector[WIDE];

    take(text, vector, count, len);
    previous(text, vector, before, count);
    encrypt(keys, before, count);
    add(vector, before, count);
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
    __m512i across = _mm512_shuffle_epi32(out, _MM_PERM_BADC);
    __m512i back = _mm512_clmulepi64_epi128(across, polynomial, 0x00);

    across = _mm512_maskz_mov_epi64(0xaa, across);
    return _mm512_ternarylogic_epi64(_mm512_sllv_epi64(tweak, power), across, back, 0x96); /* their sum */
}

/* The chain is the next four blocks' tweaks. */
INLINE void tweaks(struct text *text, __m512i tweak[], unsigned count)
{
    EACH(i, count)
    {
        tweak[i] = text->chain;
        text->chain = times_x(text->chain, _mm512_set1_epi64(4));
    }
}

INLINE void xts_encrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i tweak[WIDE], vector[WIDE];

    tweaks(text, tweak, count);
    take(text, vector, count, len);
    add(vector, tweak, count);
    encrypt(keys, vector, count);
    add(vector, tweak, count);
    put(text, vector, count, len);
}

INLINE void xts_decrypt(struct round_keys keys, struct text *text, unsigned count, size_t len)
{
    __m512i tweak[WIDE], vector[WIDE];

    tweaks(text, tweak, count);
    take(text, vector, count, len);
    add(vector, tweak, count);
    decrypt(keys, vector, count);
    add(vector, tweak, count);
    put(text, vector, count, len);
}

/* ---------------------------------------------------------------------------------------------- whole texts
 */

INLINE __m512i four_times(const uint8_t *block)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)block));
}

WITH_VAES static enum ersatz_result run_ecb_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb_encrypt, keys, &text);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_ecb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb_decrypt, keys, &text);
    return ERSATZ_OK;
}

WITH_VAES static void run_ctr_span(struct round_keys keys, __m512i counter, struct text text)
{
    text.chain = _mm512_add_epi64(counter, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    IN_STEPS(ctr, keys, &text);
}

WITH_VAES static enum ersatz_result run_ctr(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};
    __m512i counter = swap_bytes(four_times(iv));
    /* How many blocks there are, but for one, until the last 64 bits carry into the first. */
    uint64_t left = ~(uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(counter));

    if (left < (len - 1) / IMB_BLOCK) {
        size_t done = (size_t)(left + 1) * IMB_BLOCK;

        text.len = done;
        run_ctr_span(keys, counter, text);
        text = (struct text){.out = out + done, .in = in + done, .len = len - done};
        /* The last 64 bits are zeros now, and the first ones one more. */
        counter = _mm512_maskz_add_epi64(0xaa, counter, _mm512_set1_epi64(1));
    }
    run_ctr_span(keys, counter, text);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_cbc_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {out, in, len, four_times(iv)};

    IN_STEPS(cbc_decrypt, keys, &text);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_cfb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {out, in, len, four_times(iv)};

    IN_STEPS(cfb_decrypt, keys, &text);
    return ERSATZ_OK;
}

INLINE __m512i first_tweaks(const struct imb_state *state, const uint8_t *iv)
{
    __m512i tweak = four_times(iv);

    encrypt(round_keys_from(state, state->blocks.tweak_keys), &tweak, 1);
    return times_x(tweak, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0));
}

WITH_VAES static enum ersatz_result run_xts_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {out, in, len, first_tweaks(state, iv)};

    IN_STEPS(xts_encrypt, keys, &text);
    return ERSATZ_OK;
}

WITH_VAES static enum ersatz_result run_xts_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {out, in, len, first_tweaks(state, iv)};

    IN_STEPS(xts_decrypt, keys, &text);
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
