/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short operations, and the chained modes one stream at a time: with the processor's AES instructions at
 * once, since for these the way into the library costs more than it saves. Blocks that do not wait for each
 * other go eight or four at a time, which hides most of an instruction's latency; x86_vaes.c does those wider
 * where the processor can.
 *
 * What depends on data or keys here are the operands of instructions, never an address or a branch.
 */
#include "x86_aes.h"
#include "imb_manager.h"

#define WITH_AES __attribute__((target("aes,sse4.1")))
#define INLINE WITH_AES static inline __attribute__((always_inline)) /* with count as a constant */
#define WIDE 8u

/* Up to which length it is faster: measured. Beyond it are the library's wide vectors, or libcrypto's longer
 * loops. */
#define CTR_MAX 256u
#define CBC_DECRYPT_MAX 256u
#define CBC_ENCRYPT_MAX 1024u
#define ECB_MAX 512u
#define XTS_MAX 1024u

/* What is left to do, and what one block has for the next: a counter, a tweak, a block of ciphertext or of
 * key stream. */
struct text {
    uint8_t *out;
    const uint8_t *in;
    size_t len;
    __m128i chain;
};

/* A text's whole blocks. step(text, count, ...) does the first count of them and takes them off it. */
#define IN_STEPS(step, text, ...)                                                                            \
    do {                                                                                                     \
        while ((text)->len >= WIDE * IMB_BLOCK)                                                              \
            step(text, WIDE, __VA_ARGS__);                                                                   \
        if ((text)->len >= 4 * IMB_BLOCK)                                                                    \
            step(text, 4, __VA_ARGS__);                                                                      \
        while ((text)->len >= IMB_BLOCK)                                                                     \
            step(text, 1, __VA_ARGS__);                                                                      \
    } while (0)

/* -------------------------------------------------------------------------------------------------- blocks
 */

INLINE __m128i load(const uint8_t *in)
{
    return _mm_loadu_si128((const __m128i *)in);
}

INLINE void store(uint8_t *out, __m128i block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

INLINE void take(const struct text *text, __m128i block[], unsigned count)
{
    EACH (i, count)
        block[i] = load(text->in + i * IMB_BLOCK);
}

INLINE void put(struct text *text, const __m128i block[], unsigned count)
{
    EACH (i, count)
        store(text->out + i * IMB_BLOCK, block[i]);
    text->in += count * IMB_BLOCK;
    text->out += count * IMB_BLOCK;
    text->len -= count * IMB_BLOCK;
}

INLINE void add(__m128i block[], const __m128i other[], unsigned count)
{
    EACH (i, count)
        block[i] = _mm_xor_si128(block[i], other[i]);
}

INLINE void add_key(struct round_keys keys, __m128i block[], unsigned count)
{
    EACH (i, count)
        block[i] = _mm_xor_si128(block[i], keys.key[0]);
}

INLINE void encrypt_round(struct round_keys keys, __m128i block[], unsigned count, unsigned round)
{
    EACH (i, count)
        block[i] = _mm_aesenc_si128(block[i], keys.key[round]);
}

INLINE void encrypt(struct round_keys keys, __m128i block[], unsigned count)
{
    add_key(keys, block, count);
    ROUNDS(encrypt_round, keys, block, count);
    EACH (i, count)
        block[i] = _mm_aesenclast_si128(block[i], keys.key[keys.rounds]);
}

INLINE void decrypt_round(struct round_keys keys, __m128i block[], unsigned count, unsigned round)
{
    EACH (i, count)
        block[i] = _mm_aesdec_si128(block[i], keys.key[round]);
}

INLINE void decrypt(struct round_keys keys, __m128i block[], unsigned count)
{
    add_key(keys, block, count);
    ROUNDS(decrypt_round, keys, block, count);
    EACH (i, count)
        block[i] = _mm_aesdeclast_si128(block[i], keys.key[keys.rounds]);
}

INLINE void crypt(struct round_keys keys, bool encrypting, __m128i block[], unsigned count)
{
    if (encrypting)
        encrypt(keys, block, count);
    else
        decrypt(keys, block, count);
}

/* What is left at the end of a text is less than a block. */
WITH_AES static void finish(struct text text, __m128i stream)
{
    uint8_t bytes[IMB_BLOCK];

    store(bytes, stream);
    for (size_t i = 0; i < text.len; i++)
        text.out[i] = text.in[i] ^ bytes[i];
    imb_cleanse_block(bytes);
}

/* ------------------------------------------------------------------------------------ blocks on their own */

INLINE void ecb(struct text *text, unsigned count, struct round_keys keys, bool encrypting)
{
    __m128i block[WIDE];

    take(text, block, count);
    crypt(keys, encrypting, block, count);
    put(text, block, count);
}

INLINE __m128i swap_bytes(__m128i block)
{
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* The chain is the counter as a number, of which the last 64 bits count here: see run_ctr(). */
INLINE void key_stream(struct round_keys keys, struct text *text, __m128i stream[], unsigned count)
{
    EACH (i, count)
        stream[i] = swap_bytes(_mm_add_epi64(text->chain, _mm_set_epi64x(0, (int)i)));
    encrypt(keys, stream, count);
    text->chain = _mm_add_epi64(text->chain, _mm_set_epi64x(0, (int)count));
}

INLINE void ctr(struct text *text, unsigned count, struct round_keys keys)
{
    __m128i stream[WIDE], block[WIDE];

    key_stream(keys, text, stream, count);
    take(text, block, count);
    add(block, stream, count);
    put(text, block, count);
}

INLINE void cbc_decrypt(struct text *text, unsigned count, struct round_keys keys)
{
    __m128i cipher[WIDE], block[WIDE];

    take(text, cipher, count);
    EACH (i, count)
        block[i] = cipher[i];
    decrypt(keys, block, count);
    block[0] = _mm_xor_si128(block[0], text->chain);
    text->chain = cipher[count - 1];
    add(block + 1, cipher, count - 1);
    put(text, block, count);
}

INLINE void cfb_decrypt(struct text *text, unsigned count, struct round_keys keys)
{
    __m128i cipher[WIDE], block[WIDE];

    take(text, cipher, count);
    block[0] = text->chain;
    EACH (i, count - 1)
        block[i + 1] = cipher[i];
    text->chain = cipher[count - 1];
    encrypt(keys, block, count);
    add(block, cipher, count);
    put(text, block, count);
}

/* Times x in the field of IEEE 1619-2018, 5.2: the carries out of both halves come back in, times 0x87 or 1.
 */
INLINE __m128i times_x(__m128i tweak)
{
    __m128i carries = _mm_srai_epi32(_mm_shuffle_epi32(tweak, 0x13), 31);

    return _mm_xor_si128(_mm_add_epi64(tweak, tweak), _mm_and_si128(carries, _mm_set_epi32(0, 1, 0, 0x87)));
}

/* This block's tweaks, and the next one's into the chain. */
INLINE void tweaks(struct text *text, __m128i tweak[], unsigned count)
{
    EACH (i, count) {
        tweak[i] = text->chain;
        text->chain = times_x(text->chain);
    }
}

INLINE void xts(struct text *text, unsigned count, struct round_keys keys, bool encrypting)
{
    __m128i tweak[WIDE], block[WIDE];

    tweaks(text, tweak, count);
    take(text, block, count);
    add(block, tweak, count);
    crypt(keys, encrypting, block, count);
    add(block, tweak, count);
    put(text, block, count);
}

/* -------------------------------------------------------------------------------------- blocks in a chain */

INLINE void cbc_encrypt(struct round_keys keys, struct text *text)
{
    while (text->len > 0) {
        text->chain = _mm_xor_si128(text->chain, load(text->in));
        encrypt(keys, &text->chain, 1);
        put(text, &text->chain, 1);
    }
}

/* CFB to encrypt, and OFB: what is encrypted next is the text's last block, or the key stream's. */
INLINE void feedback(struct round_keys keys, bool is_ofb, struct text *text)
{
    while (text->len >= IMB_BLOCK) {
        __m128i block;

        encrypt(keys, &text->chain, 1);
        block = _mm_xor_si128(text->chain, load(text->in));
        if (!is_ofb)
            text->chain = block;
        put(text, &block, 1);
    }
}

/* ---------------------------------------------------------------------------------------------- whole texts
 */

INLINE struct text text_from(const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    return (struct text){out, in, len, load(iv)};
}

WITH_AES static enum ersatz_result run_ecb_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb, &text, keys, true);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_ecb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = {.out = out, .in = in, .len = len};

    (void)iv;
    IN_STEPS(ecb, &text, keys, false);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_ctr(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = text_from(iv, out, in, len);
    uint64_t left;

    text.chain = swap_bytes(text.chain);
    left = ~(uint64_t)_mm_cvtsi128_si64(text.chain); /* blocks until the last 64 bits carry, but for one */
    if (left < CTR_MAX / IMB_BLOCK && left < len / IMB_BLOCK) {
        text.len = (left + 1) * IMB_BLOCK;
        IN_STEPS(ctr, &text, keys);
        text.chain = _mm_add_epi64(text.chain, _mm_set_epi64x(1, 0));
        text.len = len - (left + 1) * IMB_BLOCK;
    }
    IN_STEPS(ctr, &text, keys);
    if (text.len > 0) {
        __m128i stream;

        key_stream(keys, &text, &stream, 1);
        finish(text, stream);
    }
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_cbc_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct text text = text_from(iv, out, in, len);

    cbc_encrypt(round_keys_from(state, state->blocks.encrypt_keys), &text);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_cbc_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = text_from(iv, out, in, len);

    IN_STEPS(cbc_decrypt, &text, keys);
    return ERSATZ_OK;
}

/* CFB and OFB: the chain, once more encrypted, is the key stream of what is left at the end. */
WITH_AES static void finish_feedback(struct round_keys keys, struct text text)
{
    encrypt(keys, &text.chain, 1);
    finish(text, text.chain);
}

WITH_AES static enum ersatz_result run_cfb_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = text_from(iv, out, in, len);

    feedback(keys, false, &text);
    if (text.len > 0)
        finish_feedback(keys, text);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_cfb_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = text_from(iv, out, in, len);

    IN_STEPS(cfb_decrypt, &text, keys);
    if (text.len > 0)
        finish_feedback(keys, text);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_ofb(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = text_from(iv, out, in, len);

    feedback(keys, true, &text);
    if (text.len > 0)
        finish_feedback(keys, text);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_xts_encrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.encrypt_keys);
    struct text text = text_from(iv, out, in, len);

    encrypt(round_keys_from(state, state->blocks.tweak_keys), &text.chain, 1);
    IN_STEPS(xts, &text, keys, true);
    return ERSATZ_OK;
}

WITH_AES static enum ersatz_result run_xts_decrypt(
    const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    struct round_keys keys = round_keys_from(state, state->blocks.decrypt_keys);
    struct text text = text_from(iv, out, in, len);

    encrypt(round_keys_from(state, state->blocks.tweak_keys), &text.chain, 1);
    IN_STEPS(xts, &text, keys, false);
    return ERSATZ_OK;
}

struct imb_short imb_short_for(const struct imb_state *state, bool encrypting)
{
    static const struct imb_short by_mode[ERSATZ_MODES][2] = {
        [ERSATZ_CBC] = {{run_cbc_decrypt, CBC_DECRYPT_MAX, WHOLE_BLOCKS},
            {run_cbc_encrypt, CBC_ENCRYPT_MAX, WHOLE_BLOCKS}},
        [ERSATZ_CTR] = {{run_ctr, CTR_MAX, ANY_LENGTH}, {run_ctr, CTR_MAX, ANY_LENGTH}},
        [ERSATZ_ECB] = {{run_ecb_decrypt, ECB_MAX, WHOLE_BLOCKS}, {run_ecb_encrypt, ECB_MAX, WHOLE_BLOCKS}},
        [ERSATZ_CFB] = {{run_cfb_decrypt, SIZE_MAX, ANY_LENGTH}, {run_cfb_encrypt, SIZE_MAX, ANY_LENGTH}},
        [ERSATZ_OFB] = {{run_ofb, SIZE_MAX, ANY_LENGTH}, {run_ofb, SIZE_MAX, ANY_LENGTH}},
        [ERSATZ_XTS] = {{run_xts_decrypt, XTS_MAX, WHOLE_BLOCKS}, {run_xts_encrypt, XTS_MAX, WHOLE_BLOCKS}},
    };
    struct imb_short wide = imb_vaes_for(state->mode, encrypting);

    return wide.run != NULL ? wide : by_mode[state->mode][encrypting];
}
