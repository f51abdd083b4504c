/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM as an EVP_CIPHER: an adaptor to driver/aes_ccm.h. */
#include "driver/aes_ccm.h"

#include "cipher.h"

static struct aes_ccm *ccm_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *nonce, int encrypt)
{
    struct aes_ccm *ccm = ccm_of(ctx);

    if (!aes_ccm_set_key(ccm, key, encrypt))
        return 0;
    if (nonce != NULL)
        aes_ccm_set_nonce(ccm, nonce);
    return 1;
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct aes_ccm *ccm = ccm_of(ctx);

    if (ccm != NULL)
        aes_ccm_cleanup(ccm);
    return cipher_cleaned_up(ctx);
}

static int set_fixed_iv(struct aes_ccm *ccm, const unsigned char *fixed, int len)
{
    if (fixed == NULL || len != (int)AES_CCM_FIXED_IV)
        return 0;
    aes_ccm_set_fixed_iv(ccm, fixed);
    return 1;
}

/* Negative lengths become huge ones, which are refused. */
static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct aes_ccm *ccm = ccm_of(ctx);
    size_t len = (size_t)arg;

    switch (type) {
    case EVP_CTRL_INIT:
        aes_ccm_cleanup(ccm); /* an application may ask for this again */
        aes_ccm_init(ccm, (size_t)cipher_key_length(ctx));
        return 1;
    case EVP_CTRL_GET_IVLEN:
        return cipher_tell(ptr, (int)ccm->nonce_len);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_AEAD_SET_IVLEN:
        return aes_ccm_set_nonce_len(ccm, len);
    case EVP_CTRL_CCM_SET_L:
        return aes_ccm_set_length_field(ccm, len);
    case EVP_CTRL_AEAD_SET_TAG:
        return ptr == NULL ? aes_ccm_set_tag_len(ccm, len) : aes_ccm_set_tag(ccm, ptr, len);
    case EVP_CTRL_AEAD_GET_TAG:
        return ptr != NULL && aes_ccm_get_tag(ccm, ptr, len);
    case EVP_CTRL_CCM_SET_IV_FIXED:
        return set_fixed_iv(ccm, ptr, arg);
    case EVP_CTRL_AEAD_TLS1_AAD:
        return (int)aes_ccm_set_record_aad(ccm, ptr, len);
    case EVP_CTRL_COPY:
        return ptr != NULL && aes_ccm_dup(ccm, ccm_of(ptr));
    default:
        return -1; /* not a command of CCM */
    }
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    size_t done;

    return aes_ccm_update(ccm_of(ctx), out, in, len, &done) ? (int)done : -1;
}

int cipher_ccm_define(EVP_CIPHER *cipher)
{
    return EVP_CIPHER_meth_set_flags(cipher, EVP_CIPH_CCM_MODE | CIPHER_AEAD_FLAGS) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct aes_ccm)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
