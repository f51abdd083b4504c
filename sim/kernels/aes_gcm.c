/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM: a message may come in pieces; in between, its state stays with the kernel it began with. The
 * x86 kernel takes all associated data at once, with the first text or with the tag. A message that begins
 * otherwise is libcrypto's.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#include "aes_state.h"

#define GCM_IV_MAX 128u /* what OpenSSL's provider takes */
#define TAG_MAX 16u

/* ---------------------------------------------------------------------------------------------- libcrypto */

static enum ersatz_result end_portable(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_len),
        OSSL_PARAM_construct_end()};

    if (!cipher->encrypt) {
        if (cipher->functions->set_ctx_params(cipher->context, params) != 1)
            return ERSATZ_BAD_INPUT;
        return cipher_checked_piece(cipher, NULL, NULL, 0) ? ERSATZ_OK : ERSATZ_BAD_TAG;
    }
    if (!cipher_piece(cipher, NULL, NULL, 0) ||
        cipher->functions->get_ctx_params(cipher->context, params) != 1)
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

static enum ersatz_result go_on_portable(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    if (op->u.cipher.aad_len > 0 && !cipher_piece(cipher, NULL, op->u.cipher.aad, op->u.cipher.aad_len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.len > 0 && !cipher_piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    return op->u.cipher.tag != NULL ? end_portable(cipher, op->u.cipher.tag, op->u.cipher.tag_len)
                                    : ERSATZ_OK;
}

/* ---------------------------------------------------------------------------------------------------- x86 */

static enum ersatz_result end_x86(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    uint8_t whole[TAG_MAX];
    enum ersatz_result result = ERSATZ_OK;

    if (tag_len < 1 || tag_len > TAG_MAX)
        return cipher->encrypt ? ERSATZ_COMPUTE_FAILED : ERSATZ_BAD_INPUT; /* as libcrypto has it */
    x86_gcm_end(cipher->x86, whole);
    if (cipher->encrypt) {
        memcpy(tag, whole, tag_len);
        return ERSATZ_OK;
    }
    if (CRYPTO_memcmp(tag, whole, tag_len) != 0)
        result = ERSATZ_BAD_TAG;
    OPENSSL_cleanse(whole, sizeof(whole)); /* of a forged message, it is secret */
    return result;
}

static enum ersatz_result go_on_x86(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    if (op->u.cipher.aad_len > 0 && op->u.cipher.long_iv == NULL)
        return ERSATZ_COMPUTE_FAILED; /* it comes before the text */
    if (op->u.cipher.len > 0 &&
        !x86_gcm_text(cipher->x86, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    return op->u.cipher.tag != NULL ? end_x86(cipher, op->u.cipher.tag, op->u.cipher.tag_len) : ERSATZ_OK;
}

/* ---------------------------------------------------------------------------------------------------- both
 */

/* op brings an IV. */
static enum ersatz_result begin(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    const uint8_t *iv = op->u.cipher.long_iv;
    size_t iv_len = op->u.cipher.iv_len;
    bool has_all_aad = op->u.cipher.len > 0 || op->u.cipher.tag != NULL;

    if (iv_len < 1 || iv_len > GCM_IV_MAX)
        return ERSATZ_BAD_INPUT;
    cipher->message =
        has_all_aad && cipher_has_x86(cipher, op->u.cipher.len) ? MESSAGE_X86 : MESSAGE_PORTABLE;
    if (cipher->message == MESSAGE_X86)
        x86_gcm_begin(cipher->x86, iv, iv_len, op->u.cipher.aad, op->u.cipher.aad_len, cipher->encrypt);
    else if (!cipher_init(cipher, NULL, iv, iv_len))
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

enum ersatz_result cipher_gcm(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result = ERSATZ_OK;

    if (op->u.cipher.long_iv != NULL)
        result = begin(cipher, op);
    if (result != ERSATZ_OK)
        return result;
    if (cipher->message == MESSAGE_LOST)
        return ERSATZ_LOST;
    if (cipher->message == MESSAGE_NONE)
        return ERSATZ_COMPUTE_FAILED; /* libcrypto would make up an IV and tell nobody */
    result = cipher->message == MESSAGE_X86 ? go_on_x86(cipher, op) : go_on_portable(cipher, op);
    *kernel = cipher->message == MESSAGE_X86 ? cipher->kernel : ERSATZ_KERNEL_PORTABLE;
    if (op->u.cipher.tag != NULL && result != ERSATZ_BAD_INPUT)
        cipher->message = MESSAGE_NONE;
    /* What this operation deciphered must not be used; earlier pieces of a message are the caller's already.
     */
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result;
}
