/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CCM (RFC 3610), a message at once. With E for the block cipher and P for the padded text:
 *
 *   MAC: M = E(B0), then M = E(M ^ block) for each block of associated data and then of text
 *   text: C[i] = P[i] ^ E(A[i]), from i = 1 on
 *   tag: M ^ E(A[0])
 *
 *   B0:    flags, nonce, length of the text          A[i]: length of the length - 1, nonce, i
 *
 * numbers with the first byte the highest. Each block of the MAC waits for the one before it, which leaves
 * the AES unit idle most of the time: the key stream of the next block is computed beside it, at no cost.
 *
 * What depends on data or keys are the operands of instructions, never an address or a branch.
 */
#include "x86_aes.h"

struct ccm {
    struct round_keys keys;
    vector mac;
    vector stream;  /* of the next block of text */
    vector counter; /* of the block after that, as a number */
};

/* One block into the MAC. */
INLINE void mac_block(struct ccm *ccm, vector block)
{
    ccm->mac = xor_vectors(ccm->mac, block);
    encrypt_all(ccm->keys, &ccm->mac, 1);
}

/* One block of text into the MAC, and the key stream of the next. The first key is added to the text, which
 * is there earlier than the MAC: so the chain is shorter by one instruction. */
INLINE void mac_block_and_count(struct ccm *ccm, vector text)
{
    vector blocks[2] = {text, swap_bytes(ccm->counter)};

    add_first_key(ccm->keys, blocks, 2);
    __asm__("" : "+x"(blocks[0])); /* compilers would change the order */
    blocks[0] = xor_vectors(blocks[0], ccm->mac);
    encrypt_rounds_all(ccm->keys, blocks, 2);
    ccm->mac = blocks[0];
    ccm->stream = blocks[1];
    ccm->counter = _mm_add_epi64(ccm->counter, _mm_set_epi64x(0, 1)); /* no text is so long that it carries */
}

/* The MAC of B0, E(A[0]) and E(A[1]). Returns E(A[0]). */
INLINE vector begin(struct ccm *ccm, const struct ersatz_op *op)
{
    size_t iv_len = op->u.cipher.iv_len, length_len = 15 - iv_len, tag_len = op->u.cipher.tag_len;
    vector nonce = _mm_slli_si128(load_part(op->u.cipher.long_iv, iv_len), 1), blocks[3];
    int flags = (op->u.cipher.aad_len > 0 ? 0x40 : 0) | (int)((tag_len - 2) / 2 << 3);

    nonce = _mm_or_si128(nonce, _mm_cvtsi32_si128((int)length_len - 1));
    ccm->counter = swap_bytes(nonce);
    blocks[0] = _mm_or_si128(_mm_or_si128(nonce, _mm_cvtsi32_si128(flags)),
        swap_bytes(_mm_set_epi64x(0, (long long)op->u.cipher.len)));
    blocks[1] = swap_bytes(ccm->counter);
    blocks[2] = swap_bytes(_mm_add_epi64(ccm->counter, _mm_set_epi64x(0, 1)));
    ccm->counter = _mm_add_epi64(ccm->counter, _mm_set_epi64x(0, 2));
    encrypt_all(ccm->keys, blocks, 3);
    ccm->mac = blocks[0];
    ccm->stream = blocks[2];
    return blocks[1];
}

/* How long associated data are, in front of them: RFC 3610, 2.2. Returns how many bytes that takes. */
static size_t describe_aad(uint8_t out[10], uint64_t len)
{
    size_t size = len < 0xff00 ? 2 : len >> 32 == 0 ? 4 : 8, at = 0;

    if (size > 2) {
        out[at++] = 0xff;
        out[at++] = size == 4 ? 0xfe : 0xff;
    }
    while (size-- > 0)
        out[at++] = (uint8_t)(len >> 8 * size);
    return at;
}

/* The first block of associated data that are not of the usual length. Returns how many of them it has. */
static __attribute__((noinline)) size_t first_of_long_aad(
    uint8_t first[X86_BLOCK], const uint8_t *aad, size_t len)
{
    size_t at = describe_aad(first, len);

    memcpy(first + at, aad, X86_BLOCK - at);
    return X86_BLOCK - at;
}

#define SHORT_AAD (X86_BLOCK - 2) /* fits into one block, behind its length */

INLINE void mac_aad(struct ccm *ccm, const uint8_t *aad, size_t len)
{
    uint8_t first[X86_BLOCK];
    size_t part = len;

    if (len <= SHORT_AAD) {
        mac_block(
            ccm, _mm_or_si128(_mm_slli_si128(load_part(aad, len), 2), _mm_cvtsi32_si128((int)len << 8)));
    } else {
        part = first_of_long_aad(first, aad, len);
        mac_block(ccm, load(first));
    }
    aad += part;
    len -= part;
    for (; len >= X86_BLOCK; aad += X86_BLOCK, len -= X86_BLOCK)
        mac_block(ccm, load(aad));
    if (len > 0)
        mac_block(ccm, load_part(aad, len));
}

/* The last bytes of a text, less than a block; the MAC takes zeros for the others. */
INLINE void last_bytes(struct ccm *ccm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    uint8_t bytes[X86_BLOCK];

    store(bytes, ccm->stream);
    for (size_t i = 0; i < X86_BLOCK; i++) {
        uint8_t before = i < len ? in[i] : 0, after = before ^ bytes[i];

        if (i < len)
            out[i] = after;
        bytes[i] = encrypt || i >= len ? before : after;
    }
    mac_block(ccm, load(bytes));
    x86_cleanse_block(bytes);
}

INLINE void crypt_text(struct ccm *ccm, const struct ersatz_op *op, bool encrypt)
{
    uint8_t *out = op->u.cipher.out;
    const uint8_t *in = op->u.cipher.in;
    size_t len = op->u.cipher.len;

    for (; len >= X86_BLOCK; in += X86_BLOCK, out += X86_BLOCK, len -= X86_BLOCK) {
        vector before = load(in), after = xor_vectors(before, ccm->stream);

        store(out, after);
        if (len == X86_BLOCK)
            mac_block(ccm, encrypt ? before : after);
        else
            mac_block_and_count(ccm, encrypt ? before : after);
    }
    if (len > 0)
        last_bytes(ccm, out, in, len, encrypt);
}

TARGET void x86_ccm(
    const struct x86_state *state, const struct ersatz_op *op, bool encrypt, uint8_t tag[X86_BLOCK])
{
    struct ccm ccm = {.keys = round_keys_from(state, state->keys.encrypt)};
    vector stream_of_tag = begin(&ccm, op);

    if (op->u.cipher.aad_len > 0)
        mac_aad(&ccm, op->u.cipher.aad, op->u.cipher.aad_len);
    if (encrypt)
        crypt_text(&ccm, op, true);
    else
        crypt_text(&ccm, op, false);
    store(tag, xor_vectors(ccm.mac, stream_of_tag));
}
