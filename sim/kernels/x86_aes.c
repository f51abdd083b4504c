/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts on every processor that has AES instructions, one block to a register; and, whatever the processor,
 * the modes that chain their blocks, one stream at a time.
 */
#include "x86_aes.h"

INLINE uint64_t last_64_bits(vector counter)
{
    return (uint64_t)_mm_cvtsi128_si64(counter);
}

INLINE vector counters_from(vector counter)
{
    return counter;
}

INLINE vector next_counters(vector counter)
{
    return _mm_add_epi64(counter, _mm_set_epi64x(0, 1));
}

INLINE vector carried(vector counter)
{
    return _mm_add_epi64(_mm_slli_si128(_mm_srli_si128(counter, 8), 8), _mm_set_epi64x(1, 0));
}

INLINE vector blocks_before(vector last, vector cipher)
{
    (void)cipher;
    return last;
}

#include "x86_modes.h"

/* -------------------------------------------------------------------------------------------------- XTS */

/* Times x in the field of IEEE 1619-2018, 5.2: the carries out of both halves come back in, times 0x87 or
 * 1. */
INLINE vector next_tweak(vector tweak)
{
    __m128i carries = _mm_srai_epi32(_mm_shuffle_epi32(tweak, 0x13), 31);

    return _mm_xor_si128(_mm_add_epi64(tweak, tweak), _mm_and_si128(carries, _mm_set_epi32(0, 1, 0, 0x87)));
}

INLINE vector make_tweaks(vector first, vector tweaks[], unsigned count)
{
    EACH (i, count) {
        tweaks[i] = first;
        first = next_tweak(first);
    }
    return first;
}

/* C[i] = E(P[i] ^ T[i]) ^ T[i]; T[i+1] = T[i] times x. The chain is the tweak of the next block. */
INLINE void xts(struct text *text, unsigned count, size_t len, struct round_keys keys, bool encrypt)
{
    vector tweaks[VECTORS], blocks[VECTORS];

    text->chain = make_tweaks(text->chain, tweaks, count);
    load_all(text->in, blocks, count, len);
    EACH (i, count)
        blocks[i] = xor_three(blocks[i], tweaks[i], round_key(keys, 0));
    if (encrypt)
        encrypt_rounds_and_xor(keys, blocks, tweaks, count);
    else
        decrypt_rounds_and_xor(keys, blocks, tweaks, count);
    store_all(text->out, blocks, count, len);
    advance(text, len);
}

/* The first tweak is the IV, encrypted with the second key. */
INLINE struct text text_with_tweaks(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    struct text text = text_after_iv(iv, out, in, len);

    encrypt_all(round_keys_from(state, state->keys.tweak), &text.chain, 1);
    return text;
}

INLINE int xts_text(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv, bool encrypt)
{
    struct text text = text_with_tweaks(state, out, in, len, iv);

    IN_STEPS(xts, VECTORS, &text, round_keys_from(state, encrypt ? state->keys.encrypt : state->keys.decrypt),
        encrypt);
    return 1;
}

RUN(run_xts_encrypt, xts_text, true)
RUN(run_xts_decrypt, xts_text, false)

/* -------------------------------------------------------------------------------------- blocks in a chain */

/* C[i] = E(P[i] ^ C[i-1]) */
TARGET static int run_cbc_encrypt(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    struct round_keys keys = round_keys_from(state, state->keys.encrypt);
    struct text text = text_after_iv(iv, out, in, len);

    for (; text.len > 0; advance(&text, VECTOR)) {
        text.chain = xor_vectors(text.chain, load(text.in));
        encrypt_all(keys, &text.chain, 1);
        store(text.out, text.chain);
    }
    store(iv, text.chain);
    return 1;
}

/*
 * CFB to encrypt: C[i] = P[i] ^ E(C[i-1]). OFB: S[i] = E(S[i-1]), C[i] = P[i] ^ S[i]. So what is encrypted
 * next, the chain, is the last block of ciphertext, or of key stream.
 */
INLINE int feedback(
    const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv, bool is_ofb)
{
    struct round_keys keys = round_keys_from(state, state->keys.encrypt);
    struct text text = text_after_iv(iv, out, in, len);

    while (text.len > 0) {
        size_t part = text.len < VECTOR ? text.len : VECTOR;
        vector block;

        load_all(text.in, &block, 1, part);
        encrypt_all(keys, &text.chain, 1);
        block = xor_vectors(block, text.chain);
        if (!is_ofb)
            text.chain = block;
        store_all(text.out, &block, 1, part);
        advance(&text, part);
    }
    store(iv, text.chain);
    return 1;
}

RUN(run_cfb_encrypt, feedback, false)
RUN(run_ofb, feedback, true)

/* Above these lengths libcrypto's loops, which are longer, are faster: measured on Zen 4. */
#define CBC_ENCRYPT_MAX 1024u
#define XTS_NARROW_MAX 512u

/* Up to which length narrow registers are faster than wide ones. A block in a wide one takes as many rounds.
 * Where nothing is computed but the rounds, four blocks side by side take no longer in narrow ones, of which
 * each is read back at once by the next text in the same place: a wide one is not, if it lies in two lines of
 * the cache. */
static size_t few_blocks(enum ersatz_mode mode)
{
    return mode == ERSATZ_ECB || mode == ERSATZ_CBC || mode == ERSATZ_CFB ? 4 : 1;
}

struct x86_function x86_function_for(const struct x86_state *state, bool encrypt)
{
    static const struct x86_function by_mode[ERSATZ_MODES][2] = {
        [ERSATZ_CBC] = {TEXTS(run_cbc_decrypt, SIZE_MAX, WHOLE_BLOCKS),
            TEXTS(run_cbc_encrypt, CBC_ENCRYPT_MAX, WHOLE_BLOCKS)},
        [ERSATZ_CTR] = {TEXTS(run_ctr, SIZE_MAX, ANY_LENGTH), TEXTS(run_ctr, SIZE_MAX, ANY_LENGTH)},
        [ERSATZ_ECB] = {TEXTS(run_ecb_decrypt, SIZE_MAX, WHOLE_BLOCKS),
            TEXTS(run_ecb_encrypt, SIZE_MAX, WHOLE_BLOCKS)},
        [ERSATZ_CFB] = {TEXTS(run_cfb_decrypt, SIZE_MAX, ANY_LENGTH),
            TEXTS(run_cfb_encrypt, SIZE_MAX, ANY_LENGTH)},
        [ERSATZ_OFB] = {TEXTS(run_ofb, SIZE_MAX, ANY_LENGTH), TEXTS(run_ofb, SIZE_MAX, ANY_LENGTH)},
        [ERSATZ_XTS] = {TEXTS(run_xts_decrypt, XTS_NARROW_MAX, WHOLE_BLOCKS),
            TEXTS(run_xts_encrypt, XTS_NARROW_MAX, WHOLE_BLOCKS)},
    };
    struct x86_function function = by_mode[state->mode][encrypt], wide = {0};

    if (x86_has_vaes())
        wide = x86_vaes_function_for(state->mode, encrypt);
    if (wide.run == NULL)
        wide = function;
    wide.few_blocks = few_blocks(state->mode);
    wide.run_few = function.run;
    return wide;
}
