/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CFB with 128 bits of feedback, and AES-OFB. A call may end inside a block; then, as in libcrypto, the
 * context's IV holds what is left of the block's key stream, from the byte that the context's number says,
 * and before it what the block feeds back so far.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "cipher.h"

#define BLOCK 16u

/* The key stream at the IV takes the IV's place: in both modes, and both directions, it is what zeros come
 * out as. */
static bool turn_iv(EVP_CIPHER_CTX *ctx, enum ersatz_mode mode)
{
    static const unsigned char zeros[BLOCK];
    unsigned char stream[BLOCK];
    bool done = cipher_blocks_run(ctx, mode, stream, zeros, BLOCK, true);

    if (done)
        memcpy(cipher_blocks_iv(ctx), stream, BLOCK);
    OPENSSL_cleanse(stream, BLOCK);
    return done;
}

/* Up to len bytes with the key stream in the IV, from byte `at`. Returns how many. */
static size_t within_block(EVP_CIPHER_CTX *ctx, enum ersatz_mode mode, unsigned char *out,
    const unsigned char *in, size_t len, unsigned at)
{
    unsigned char *iv = cipher_blocks_iv(ctx);
    bool encrypting = EVP_CIPHER_CTX_is_encrypting(ctx);
    size_t done = 0;

    for (; done < len && at < BLOCK; done++, at++) {
        unsigned char before = in[done];

        out[done] = before ^ iv[at];
        if (mode == ERSATZ_CFB)
            iv[at] = encrypting ? out[done] : before;
    }
    EVP_CIPHER_CTX_set_num(ctx, (int)(at % BLOCK));
    return done;
}

/* Whole blocks, and the last one's feedback into the IV: CFB the ciphertext, OFB the key stream. */
static bool blocks(
    EVP_CIPHER_CTX *ctx, enum ersatz_mode mode, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned char *iv = cipher_blocks_iv(ctx);
    unsigned char last[BLOCK];

    memcpy(last, in + len - BLOCK, BLOCK); /* in may be out */
    if (!cipher_blocks_run(ctx, mode, out, in, len, false))
        return false;
    if (mode == ERSATZ_CFB) {
        memcpy(iv, EVP_CIPHER_CTX_is_encrypting(ctx) ? out + len - BLOCK : last, BLOCK);
    } else {
        for (unsigned i = 0; i < BLOCK; i++)
            iv[i] = last[i] ^ out[len - BLOCK + i];
    }
    OPENSSL_cleanse(last, BLOCK); /* it may be plaintext */
    return true;
}

static int feedback(
    EVP_CIPHER_CTX *ctx, enum ersatz_mode mode, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned at = (unsigned)EVP_CIPHER_CTX_get_num(ctx);
    size_t done = 0, whole;

    if (at >= BLOCK)
        return 0;
    if (at != 0)
        done = within_block(ctx, mode, out, in, len, at);
    whole = (len - done) - (len - done) % BLOCK;
    if (whole > 0 && !blocks(ctx, mode, out + done, in + done, whole))
        return 0;
    done += whole;
    if (done == len)
        return 1;
    if (!turn_iv(ctx, mode))
        return 0;
    within_block(ctx, mode, out + done, in + done, len - done, 0);
    return 1;
}

int cipher_cfb(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    return feedback(ctx, ERSATZ_CFB, out, in, len);
}

int cipher_ofb(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    return feedback(ctx, ERSATZ_OFB, out, in, len);
}
