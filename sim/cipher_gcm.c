/* AES-GCM: a message may come in pieces, its state stays in libcrypto's context in between. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "cipher_state.h"

#define GCM_IV_MAX 128u /* what OpenSSL's provider takes */

static enum ersatz_result end(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_len),
        OSSL_PARAM_construct_end()};

    if (!cipher->encrypt) {
        if (cipher->functions->set_ctx_params(cipher->context, params) != 1)
            return ERSATZ_BAD_INPUT;
        return cipher_piece(cipher, NULL, NULL, 0) ? ERSATZ_OK : ERSATZ_BAD_TAG;
    }
    if (!cipher_piece(cipher, NULL, NULL, 0) ||
        cipher->functions->get_ctx_params(cipher->context, params) != 1)
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

enum ersatz_result cipher_gcm(const struct ersatz_op *op)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result = ERSATZ_OK;

    if (op->u.cipher.long_iv != NULL) {
        if (op->u.cipher.iv_len < 1 || op->u.cipher.iv_len > GCM_IV_MAX)
            return ERSATZ_BAD_INPUT;
        if (!cipher_init(cipher, NULL, op->u.cipher.long_iv, op->u.cipher.iv_len))
            return ERSATZ_COMPUTE_FAILED;
    }
    if (op->u.cipher.aad_len > 0 && !cipher_piece(cipher, NULL, op->u.cipher.aad, op->u.cipher.aad_len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.len > 0 && !cipher_piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.tag != NULL)
        result = end(cipher, op->u.cipher.tag, op->u.cipher.tag_len);
    /* What this operation deciphered must not be used; earlier pieces of a message are the caller's already.
     */
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result;
}
