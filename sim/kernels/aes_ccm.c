/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CCM: a message is one operation, since its length goes into the first block that is computed. So do the
 * lengths of nonce and tag, and libcrypto wants them before the key: the key is kept, and given to libcrypto
 * again when an operation has other lengths than the last one.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#include "aes_state.h"

/* RFC 3610, section 2 */
#define NONCE_MIN 7u
#define NONCE_MAX 13u
#define TAG_MIN 4u
#define TAG_MAX 16u

static bool set_params(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len, size_t *iv_len)
{
    OSSL_PARAM params[3] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_len),
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, iv_len), OSSL_PARAM_construct_end()};

    return cipher->functions->set_ctx_params(cipher->context, params) == 1;
}

static bool set_up(struct ersatz_cipher *cipher, size_t iv_len, size_t tag_len)
{
    if (cipher->ccm.iv_len == iv_len && cipher->ccm.tag_len == tag_len)
        return true;
    cipher->ccm.iv_len = 0;
    if (!set_params(cipher, NULL, tag_len, &iv_len) || !cipher_init(cipher, cipher->ccm.key, NULL, 0))
        return false;
    cipher->ccm.iv_len = iv_len;
    cipher->ccm.tag_len = tag_len;
    return true;
}

static bool lengths_fit(const struct ersatz_op *op)
{
    size_t length_field = 15 - op->u.cipher.iv_len; /* how many bytes hold the length of the text */

    return op->u.cipher.long_iv != NULL && op->u.cipher.iv_len >= NONCE_MIN &&
           op->u.cipher.iv_len <= NONCE_MAX && op->u.cipher.tag != NULL && op->u.cipher.tag_len >= TAG_MIN &&
           op->u.cipher.tag_len <= TAG_MAX && op->u.cipher.tag_len % 2 == 0 &&
           (length_field >= sizeof(op->u.cipher.len) || op->u.cipher.len >> (8 * length_field) == 0);
}

/* Nonce, lengths and associated data; to decrypt, the tag to compare with. */
static bool begin(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    size_t iv_len = op->u.cipher.iv_len, len = op->u.cipher.len, done;

    if (!set_up(cipher, iv_len, op->u.cipher.tag_len) ||
        !cipher_init(cipher, NULL, op->u.cipher.long_iv, iv_len))
        return false;
    if (!cipher->encrypt && !set_params(cipher, op->u.cipher.tag, op->u.cipher.tag_len, &iv_len))
        return false;
    return cipher->functions->update(cipher->context, NULL, &done, len, NULL, len) == 1 &&
           (op->u.cipher.aad_len == 0 || cipher_piece(cipher, NULL, op->u.cipher.aad, op->u.cipher.aad_len));
}

static bool take_tag(struct ersatz_cipher *cipher, uint8_t *tag, size_t len)
{
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, len), OSSL_PARAM_construct_end()};

    return cipher->functions->get_ctx_params(cipher->context, params) == 1;
}

static enum ersatz_result compute_portable(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    size_t len = op->u.cipher.len;
    uint8_t nothing = 0; /* stands for a text of no bytes: NULL means something else */
    const uint8_t *in = len > 0 ? op->u.cipher.in : &nothing;
    uint8_t *out = len > 0 ? op->u.cipher.out : &nothing;

    if (!begin(cipher, op))
        return ERSATZ_COMPUTE_FAILED;
    if (!cipher_checked_piece(cipher, out, in, len)) {
        if (cipher->encrypt)
            return ERSATZ_COMPUTE_FAILED;
        OPENSSL_cleanse(out, len);
        return ERSATZ_BAD_TAG; /* all else that could be wrong was looked at before */
    }
    if (cipher->encrypt && !take_tag(cipher, op->u.cipher.tag, op->u.cipher.tag_len))
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

static enum ersatz_result compute_x86(const struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    uint8_t tag[TAG_MAX];
    enum ersatz_result result;

    if (cipher->encrypt && op->u.cipher.tag_len == TAG_MAX) {
        x86_ccm(cipher->x86, op, true, op->u.cipher.tag);
        return ERSATZ_OK;
    }
    x86_ccm(cipher->x86, op, cipher->encrypt, tag);
    if (cipher->encrypt) {
        memcpy(op->u.cipher.tag, tag, op->u.cipher.tag_len);
        OPENSSL_cleanse(tag, sizeof(tag)); /* only a part was asked for */
        return ERSATZ_OK;
    }
    result = cipher_compare_tags(tag, op->u.cipher.tag, op->u.cipher.tag_len);
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result;
}

enum ersatz_result cipher_ccm(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;

    if (!lengths_fit(op))
        return ERSATZ_BAD_INPUT;
    if (!cipher_has_x86(cipher, op->u.cipher.len))
        return compute_portable(cipher, op);
    *kernel = ERSATZ_KERNEL_X86;
    return compute_x86(cipher, op);
}
