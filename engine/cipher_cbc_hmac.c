/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CBC with HMAC as an EVP_CIPHER: an adaptor to driver/aes_cbc_hmac.h. EVP keeps the IV. */
#include "driver/aes_cbc_hmac.h"

#include <openssl/objects.h>

#include "cipher.h"

static struct aes_cbc_hmac *hmac_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static enum ersatz_mode mode_of(const EVP_CIPHER_CTX *ctx)
{
    switch (EVP_CIPHER_CTX_get_nid(ctx)) {
    case NID_aes_128_cbc_hmac_sha1:
    case NID_aes_256_cbc_hmac_sha1:
        return ERSATZ_CBC_HMAC_SHA1;
    default:
        return ERSATZ_CBC_HMAC_SHA256;
    }
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    (void)iv;
    return aes_cbc_hmac_set_key(hmac_of(ctx), key, encrypt);
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct aes_cbc_hmac *hmac = hmac_of(ctx);

    if (hmac != NULL)
        aes_cbc_hmac_cleanup(hmac);
    return cipher_cleaned_up(ctx);
}

static int add_record_aad(struct aes_cbc_hmac *hmac, const unsigned char *aad, size_t len)
{
    unsigned growth;

    return aes_cbc_hmac_add_record_aad(hmac, aad, len, &growth) ? (int)growth : -1;
}

static int copy(const struct aes_cbc_hmac *from, EVP_CIPHER_CTX *ctx)
{
    struct aes_cbc_hmac *to = hmac_of(ctx);

    to->iv = EVP_CIPHER_CTX_iv_noconst(ctx);
    return aes_cbc_hmac_dup(from, to);
}

/* Negative lengths and numbers become huge ones, which are refused. */
static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct aes_cbc_hmac *hmac = hmac_of(ctx);
    size_t len = (size_t)arg;

    switch (type) {
    case EVP_CTRL_INIT:
        aes_cbc_hmac_cleanup(hmac); /* an application may ask for this again */
        aes_cbc_hmac_init(hmac, mode_of(ctx), (size_t)cipher_key_length(ctx), EVP_CIPHER_CTX_iv_noconst(ctx));
        return 1;
    case EVP_CTRL_AEAD_SET_MAC_KEY:
        return aes_cbc_hmac_set_mac_key(hmac, ptr, len);
    case EVP_CTRL_AEAD_TLS1_AAD:
        return add_record_aad(hmac, ptr, len);
    case EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS:
        return aes_cbc_hmac_set_outs(hmac, ptr, len);
    case EVP_CTRL_SET_PIPELINE_INPUT_BUFS:
        return aes_cbc_hmac_set_ins(hmac, ptr, len);
    case EVP_CTRL_SET_PIPELINE_INPUT_LENS:
        return aes_cbc_hmac_set_lens(hmac, ptr, len);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_COPY:
        return ptr != NULL && copy(hmac, ptr);
    default:
        return -1; /* not a command of these */
    }
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    return aes_cbc_hmac_update(hmac_of(ctx), out, in, len);
}

int cipher_cbc_hmac_define(EVP_CIPHER *cipher)
{
    unsigned long flags = EVP_CIPH_CBC_MODE | EVP_CIPH_FLAG_DEFAULT_ASN1 | EVP_CIPH_FLAG_AEAD_CIPHER |
                          EVP_CIPH_FLAG_PIPELINE | EVP_CIPH_CTRL_INIT | EVP_CIPH_CUSTOM_COPY |
                          EVP_CIPH_RAND_KEY | EVP_CIPH_ALWAYS_CALL_INIT;

    return EVP_CIPHER_meth_set_flags(cipher, flags) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct aes_cbc_hmac)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
