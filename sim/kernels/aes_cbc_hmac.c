/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC with HMAC, for TLS records (MAC, then pad, then encrypt). libcrypto's code for it is the kernel:
 * opening a record, it takes the same time whatever is wrong with MAC or padding. It is there only for
 * processors with AES instructions of their own.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "aes_state.h"

#define BLOCK 16u

static bool set_octets(struct ersatz_cipher *cipher, const char *name, uint8_t *data, size_t len)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(name, data, len), OSSL_PARAM_construct_end()};

    return cipher->functions->set_ctx_params(cipher->context, params) == 1;
}

enum ersatz_result ersatz_cipher_set_mac_key(struct ersatz_cipher *cipher, const uint8_t *key, size_t len)
{
    bool set;

    if (!cipher_mode_has_mac_key(cipher->mode) || !cipher->keyed)
        return ERSATZ_BAD_KEY;
    if (!cipher_claim(cipher))
        return ERSATZ_BUSY;
    set = set_octets(cipher, OSSL_CIPHER_PARAM_AEAD_MAC_KEY, (uint8_t *)key, len); /* is only read */
    cipher_release(cipher);
    return set ? ERSATZ_OK : ERSATZ_BAD_KEY;
}

enum ersatz_result cipher_cbc_hmac(const struct ersatz_op *op)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    bool is_record = op->u.cipher.aad_len != 0, done;
    uint8_t aad[EVP_AEAD_TLS1_AAD_LEN]; /* libcrypto writes into it */

    if (op->u.cipher.len == 0 || (is_record && op->u.cipher.aad_len != sizeof(aad)))
        return is_record ? ERSATZ_BAD_INPUT : ERSATZ_OK;
    /* libcrypto may have kept the length of the parent's record, and would take plain text for one. */
    if (!is_record && cipher->message == MESSAGE_LOST)
        return ERSATZ_LOST;
    if (!cipher_init(cipher, NULL, op->u.cipher.iv, BLOCK))
        return ERSATZ_COMPUTE_FAILED;
    if (is_record) {
        memcpy(aad, op->u.cipher.aad, sizeof(aad));
        if (!set_octets(cipher, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, aad, sizeof(aad)))
            return ERSATZ_BAD_INPUT;
    }
    done = cipher_checked_piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len);
    cipher->message = MESSAGE_NONE; /* with the record, its length is forgotten */
    if (done)
        return ERSATZ_OK;
    if (!is_record || cipher->encrypt)
        return ERSATZ_BAD_INPUT; /* the length is not the one that the associated data make */
    OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return ERSATZ_BAD_TAG;
}
