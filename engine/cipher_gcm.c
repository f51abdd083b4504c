/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM as an EVP_CIPHER: an adaptor to driver/aes_gcm.h. */
#include "driver/aes_gcm.h"

#include "cipher.h"

static struct aes_gcm *gcm_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    struct aes_gcm *gcm = gcm_of(ctx);

    if (!aes_gcm_set_key(gcm, key, encrypt))
        return 0;
    if (iv != NULL)
        aes_gcm_set_iv(gcm, iv);
    return 1;
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct aes_gcm *gcm = gcm_of(ctx);

    if (gcm != NULL)
        aes_gcm_cleanup(gcm);
    return cipher_cleaned_up(ctx);
}

/* EVP's length -1 says that the whole IV is given back. */
static int set_fixed_iv(struct aes_gcm *gcm, const unsigned char *fixed, int len)
{
    if (len != -1)
        return aes_gcm_set_fixed_iv(gcm, fixed, (size_t)len);
    aes_gcm_set_first_iv(gcm, fixed);
    return 1;
}

/* Negative lengths become huge ones, which are refused. */
static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct aes_gcm *gcm = gcm_of(ctx);
    size_t len = (size_t)arg;

    switch (type) {
    case EVP_CTRL_INIT:
        aes_gcm_cleanup(gcm); /* an application may ask for this again */
        aes_gcm_init(gcm, (size_t)cipher_key_length(ctx));
        return 1;
    case EVP_CTRL_GET_IVLEN:
        return cipher_tell(ptr, (int)gcm->iv_len);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_AEAD_SET_IVLEN:
        return aes_gcm_set_iv_len(gcm, len);
    case EVP_CTRL_AEAD_SET_TAG:
        return ptr != NULL && aes_gcm_set_tag(gcm, ptr, len);
    case EVP_CTRL_AEAD_GET_TAG:
        return ptr != NULL && aes_gcm_get_tag(gcm, ptr, len);
    case EVP_CTRL_GCM_SET_IV_FIXED:
        return ptr != NULL && set_fixed_iv(gcm, ptr, arg);
    case EVP_CTRL_GCM_IV_GEN:
        return ptr != NULL && aes_gcm_generate_iv(gcm, ptr, len);
    case EVP_CTRL_GCM_SET_IV_INV:
        return ptr != NULL && aes_gcm_set_invocation(gcm, ptr, len);
    case EVP_CTRL_AEAD_TLS1_AAD:
        return (int)aes_gcm_set_record_aad(gcm, ptr, len);
    case EVP_CTRL_COPY:
        return ptr != NULL && aes_gcm_dup(gcm, gcm_of(ptr));
    default:
        return -1; /* not a command of GCM */
    }
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    size_t done;

    return aes_gcm_update(gcm_of(ctx), out, in, len, &done) ? (int)done : -1;
}

int cipher_gcm_define(EVP_CIPHER *cipher)
{
    return EVP_CIPHER_meth_set_flags(cipher, EVP_CIPH_GCM_MODE | CIPHER_AEAD_FLAGS) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct aes_gcm)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
