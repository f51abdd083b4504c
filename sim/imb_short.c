/*
 * Short operations, and the chained modes one stream at a time: with the processor's AES instructions at
 * once, since for these the way into the library costs more than it saves. Blocks that do not wait for each
 * other go four at a time, which hides most of an instruction's latency. Keys are as the library expands
 * them: round keys in the order of use, those for decryption with the inverse mix of columns already applied.
 *
 * What depends on data or keys here are the operands of instructions, never an address or a branch.
 */
#include <immintrin.h>

#include "imb_manager.h"
#include "imb_state.h"

#define WITH_AES __attribute__((target("aes,sse4.1")))

/* Up to which length it is faster: measured. Beyond it are the library's wide vectors, or libcrypto's longer
 * loops. */
#define CTR_MAX 64u
#define CBC_DECRYPT_MAX 64u
#define CBC_ENCRYPT_MAX 1024u
#define ECB_MAX 256u
#define XTS_MAX 512u
#define WIDE 4u

struct round_keys {
    const __m128i *key;
    unsigned rounds;
};

/* -------------------------------------------------------------------------------------------------- blocks
 */

WITH_AES static inline __m128i load(const uint8_t *in)
{
    return _mm_loadu_si128((const __m128i *)in);
}

WITH_AES static inline void store(uint8_t *out, __m128i block)
{
    _mm_storeu_si128((__m128i *)out, block);
}

WITH_AES static inline __m128i encrypt(struct round_keys keys, __m128i block)
{
    block = _mm_xor_si128(block, keys.key[0]);
    for (unsigned round = 1; round < keys.rounds; round++)
        block = _mm_aesenc_si128(block, keys.key[round]);
    return _mm_aesenclast_si128(block, keys.key[keys.rounds]);
}

WITH_AES static inline __m128i decrypt(struct round_keys keys, __m128i block)
{
    block = _mm_xor_si128(block, keys.key[0]);
    for (unsigned round = 1; round < keys.rounds; round++)
        block = _mm_aesdec_si128(block, keys.key[round]);
    return _mm_aesdeclast_si128(block, keys.key[keys.rounds]);
}

WITH_AES static inline void encrypt_wide(struct round_keys keys, __m128i block[WIDE])
{
    __m128i a = _mm_xor_si128(block[0], keys.key[0]), b = _mm_xor_si128(block[1], keys.key[0]),
            c = _mm_xor_si128(block[2], keys.key[0]), d = _mm_xor_si128(block[3], keys.key[0]);

    for (unsigned round = 1; round < keys.rounds; round++) {
        a = _mm_aesenc_si128(a, keys.key[round]);
        b = _mm_aesenc_si128(b, keys.key[round]);
        c = _mm_aesenc_si128(c, keys.key[round]);
        d = _mm_aesenc_si128(d, keys.key[round]);
    }
    block[0] = _mm_aesenclast_si128(a, keys.key[keys.rounds]);
    block[1] = _mm_aesenclast_si128(b, keys.key[keys.rounds]);
    block[2] = _mm_aesenclast_si128(c, keys.key[keys.rounds]);
    block[3] = _mm_aesenclast_si128(d, keys.key[keys.rounds]);
}

WITH_AES static inline void decrypt_wide(struct round_keys keys, __m128i block[WIDE])
{
    __m128i a = _mm_xor_si128(block[0], keys.key[0]), b = _mm_xor_si128(block[1], keys.key[0]),
            c = _mm_xor_si128(block[2], keys.key[0]), d = _mm_xor_si128(block[3], keys.key[0]);

    for (unsigned round = 1; round < keys.rounds; round++) {
        a = _mm_aesdec_si128(a, keys.key[round]);
        b = _mm_aesdec_si128(b, keys.key[round]);
        c = _mm_aesdec_si128(c, keys.key[round]);
        d = _mm_aesdec_si128(d, keys.key[round]);
    }
    block[0] = _mm_aesdeclast_si128(a, keys.key[keys.rounds]);
    block[1] = _mm_aesdeclast_si128(b, keys.key[keys.rounds]);
    block[2] = _mm_aesdeclast_si128(c, keys.key[keys.rounds]);
    block[3] = _mm_aesdeclast_si128(d, keys.key[keys.rounds]);
}

/* What is left at the end of a text is less than a block. */
WITH_AES static void finish(__m128i stream, uint8_t *out, const uint8_t *in, size_t len)
{
    uint8_t bytes[IMB_BLOCK];

    store(bytes, stream);
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ bytes[i];
}

/* ------------------------------------------------------------------------------------ blocks on their own */

WITH_AES static void ecb(struct round_keys keys, bool encrypting, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i block[WIDE];

    for (; len >= WIDE * IMB_BLOCK;
         len -= WIDE * IMB_BLOCK, in += WIDE * IMB_BLOCK, out += WIDE * IMB_BLOCK) {
        for (unsigned i = 0; i < WIDE; i++)
            block[i] = load(in + i * IMB_BLOCK);
        if (encrypting)
            encrypt_wide(keys, block);
        else
            decrypt_wide(keys, block);
        for (unsigned i = 0; i < WIDE; i++)
            store(out + i * IMB_BLOCK, block[i]);
    }
    for (; len > 0; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK)
        store(out, encrypting ? encrypt(keys, load(in)) : decrypt(keys, load(in)));
}

/* The last 32 bits count, and do not carry further: the caller has seen to it that they need not. */
WITH_AES static void ctr(
    struct round_keys keys, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m128i one = _mm_set_epi32(1, 0, 0, 0);
    __m128i counter = _mm_shuffle_epi8(load(iv), swap), block[WIDE];

    for (; len >= WIDE * IMB_BLOCK;
         len -= WIDE * IMB_BLOCK, in += WIDE * IMB_BLOCK, out += WIDE * IMB_BLOCK) {
        for (unsigned i = 0; i < WIDE; i++, counter = _mm_add_epi32(counter, one))
            block[i] = _mm_shuffle_epi8(counter, swap);
        encrypt_wide(keys, block);
        for (unsigned i = 0; i < WIDE; i++)
            store(out + i * IMB_BLOCK, _mm_xor_si128(block[i], load(in + i * IMB_BLOCK)));
    }
    for (; len >= IMB_BLOCK; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK) {
        block[0] = encrypt(keys, _mm_shuffle_epi8(counter, swap));
        store(out, _mm_xor_si128(block[0], load(in)));
        counter = _mm_add_epi32(counter, one);
    }
    if (len > 0)
        finish(encrypt(keys, _mm_shuffle_epi8(counter, swap)), out, in, len);
}

WITH_AES static void cbc_decrypt(
    struct round_keys keys, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i last = load(iv), cipher[WIDE], block[WIDE];

    for (; len >= WIDE * IMB_BLOCK;
         len -= WIDE * IMB_BLOCK, in += WIDE * IMB_BLOCK, out += WIDE * IMB_BLOCK) {
        for (unsigned i = 0; i < WIDE; i++)
            block[i] = cipher[i] = load(in + i * IMB_BLOCK);
        decrypt_wide(keys, block);
        for (unsigned i = 0; i < WIDE; i++, last = cipher[i - 1])
            store(out + i * IMB_BLOCK, _mm_xor_si128(block[i], last));
    }
    for (; len > 0; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK) {
        cipher[0] = load(in);
        store(out, _mm_xor_si128(decrypt(keys, cipher[0]), last));
        last = cipher[0];
    }
}

/* -------------------------------------------------------------------------------------- blocks in a chain */

WITH_AES static void cbc_encrypt(
    struct round_keys keys, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i last = load(iv);

    for (; len > 0; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK) {
        last = encrypt(keys, _mm_xor_si128(last, load(in)));
        store(out, last);
    }
}

/* CFB to encrypt, and OFB: what is encrypted next is the text's last block, or the key stream's. */
WITH_AES static void feedback(
    struct round_keys keys, bool is_ofb, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i last = load(iv);

    for (; len >= IMB_BLOCK; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK) {
        __m128i stream = encrypt(keys, last), text = _mm_xor_si128(stream, load(in));

        store(out, text);
        last = is_ofb ? stream : text;
    }
    if (len > 0)
        finish(encrypt(keys, last), out, in, len);
}

WITH_AES static void cfb_decrypt(
    struct round_keys keys, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i last = load(iv), cipher[WIDE], block[WIDE];

    for (; len >= WIDE * IMB_BLOCK;
         len -= WIDE * IMB_BLOCK, in += WIDE * IMB_BLOCK, out += WIDE * IMB_BLOCK) {
        for (unsigned i = 0; i < WIDE; i++) {
            cipher[i] = load(in + i * IMB_BLOCK);
            block[i] = i == 0 ? last : cipher[i - 1];
        }
        last = cipher[WIDE - 1];
        encrypt_wide(keys, block);
        for (unsigned i = 0; i < WIDE; i++)
            store(out + i * IMB_BLOCK, _mm_xor_si128(block[i], cipher[i]));
    }
    for (; len >= IMB_BLOCK; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK) {
        cipher[0] = load(in);
        store(out, _mm_xor_si128(encrypt(keys, last), cipher[0]));
        last = cipher[0];
    }
    if (len > 0)
        finish(encrypt(keys, last), out, in, len);
}

/* ------------------------------------------------------------------------------------------------------ XTS
 */

/* Times x in the field of IEEE 1619-2018, 5.2: the carries out of both halves come back in, times 0x87 or 1.
 */
WITH_AES static inline __m128i times_x(__m128i tweak)
{
    __m128i carries = _mm_srai_epi32(_mm_shuffle_epi32(tweak, 0x13), 31);

    return _mm_xor_si128(_mm_add_epi64(tweak, tweak), _mm_and_si128(carries, _mm_set_epi32(0, 1, 0, 0x87)));
}

/* Whole blocks only. */
WITH_AES static void xts(struct round_keys keys, struct round_keys tweak_keys, bool encrypting,
    const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len)
{
    __m128i next = encrypt(tweak_keys, load(iv)), tweak[WIDE], block[WIDE];

    for (; len >= WIDE * IMB_BLOCK;
         len -= WIDE * IMB_BLOCK, in += WIDE * IMB_BLOCK, out += WIDE * IMB_BLOCK) {
        for (unsigned i = 0; i < WIDE; i++, next = times_x(next)) {
            tweak[i] = next;
            block[i] = _mm_xor_si128(load(in + i * IMB_BLOCK), next);
        }
        if (encrypting)
            encrypt_wide(keys, block);
        else
            decrypt_wide(keys, block);
        for (unsigned i = 0; i < WIDE; i++)
            store(out + i * IMB_BLOCK, _mm_xor_si128(block[i], tweak[i]));
    }
    for (; len > 0; len -= IMB_BLOCK, in += IMB_BLOCK, out += IMB_BLOCK, next = times_x(next)) {
        block[0] = _mm_xor_si128(load(in), next);
        block[0] = encrypting ? encrypt(keys, block[0]) : decrypt(keys, block[0]);
        store(out, _mm_xor_si128(block[0], next));
    }
}

/* --------------------------------------------------------------------------------------------------- which
 */

static bool is_short(const struct imb_state *state, size_t len, bool encrypting)
{
    switch (state->mode) {
    case ERSATZ_CFB:
    case ERSATZ_OFB:
        return true;
    case ERSATZ_CBC:
        return len <= (encrypting ? CBC_ENCRYPT_MAX : CBC_DECRYPT_MAX);
    case ERSATZ_XTS:
        return len <= XTS_MAX && len % IMB_BLOCK == 0;
    case ERSATZ_ECB:
        return len <= ECB_MAX;
    default:
        return len <= CTR_MAX;
    }
}

bool imb_compute_short(const struct imb_state *state, const struct ersatz_op *op, bool encrypting)
{
    const struct imb_blocks *expanded = &state->blocks;
    unsigned rounds = (unsigned)state->block_key_len / 4 + 6;
    struct round_keys encrypt_keys = {(const __m128i *)expanded->encrypt_keys, rounds};
    struct round_keys decrypt_keys = {(const __m128i *)expanded->decrypt_keys, rounds};
    struct round_keys either = encrypting ? encrypt_keys : decrypt_keys;
    const uint8_t *in = op->u.cipher.in, *iv = op->u.cipher.iv;
    uint8_t *out = op->u.cipher.out;
    size_t len = op->u.cipher.len;

    if (!is_short(state, len, encrypting))
        return false;
    switch (state->mode) {
    case ERSATZ_CTR:
        ctr(encrypt_keys, iv, out, in, len);
        return true;
    case ERSATZ_ECB:
        ecb(either, encrypting, out, in, len);
        return true;
    case ERSATZ_CBC:
        (encrypting ? cbc_encrypt : cbc_decrypt)(either, iv, out, in, len);
        return true;
    case ERSATZ_CFB:
        if (encrypting)
            feedback(encrypt_keys, false, iv, out, in, len);
        else
            cfb_decrypt(encrypt_keys, iv, out, in, len);
        return true;
    case ERSATZ_OFB:
        feedback(encrypt_keys, true, iv, out, in, len);
        return true;
    case ERSATZ_XTS:
        xts(either, (struct round_keys){(const __m128i *)expanded->tweak_keys, rounds}, encrypting, iv, out,
            in, len);
        return true;
    default:
        return false;
    }
}
