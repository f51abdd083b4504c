/* SPDX-License-Identifier: Apache-2.0 */
/* The list of the engine's ciphers, and what all modes share. */
#include "cipher.h"

#include <openssl/crypto.h>
#include <openssl/objects.h>

#include "driver/aes_common.h"
#include "driver/card.h"
#include "driver/error.h"

#define BLOCK 16
#define AEAD_IV_DEFAULT 12

static const struct {
    int nid;
    enum ersatz_mode mode;
    int key_len;
} known[] = {
    {NID_aes_128_cbc, ERSATZ_CBC, 16},
    {NID_aes_192_cbc, ERSATZ_CBC, 24},
    {NID_aes_256_cbc, ERSATZ_CBC, 32},
    {NID_aes_128_ctr, ERSATZ_CTR, 16},
    {NID_aes_192_ctr, ERSATZ_CTR, 24},
    {NID_aes_256_ctr, ERSATZ_CTR, 32},
    {NID_aes_128_gcm, ERSATZ_GCM, 16},
    {NID_aes_192_gcm, ERSATZ_GCM, 24},
    {NID_aes_256_gcm, ERSATZ_GCM, 32},
    {NID_aes_128_xts, ERSATZ_XTS, 32},
    {NID_aes_256_xts, ERSATZ_XTS, 64},
    {NID_aes_128_ecb, ERSATZ_ECB, 16},
    {NID_aes_192_ecb, ERSATZ_ECB, 24},
    {NID_aes_256_ecb, ERSATZ_ECB, 32},
    {NID_aes_128_cfb128, ERSATZ_CFB, 16},
    {NID_aes_192_cfb128, ERSATZ_CFB, 24},
    {NID_aes_256_cfb128, ERSATZ_CFB, 32},
    {NID_aes_128_ofb128, ERSATZ_OFB, 16},
    {NID_aes_192_ofb128, ERSATZ_OFB, 24},
    {NID_aes_256_ofb128, ERSATZ_OFB, 32},
    {NID_aes_128_ccm, ERSATZ_CCM, 16},
    {NID_aes_192_ccm, ERSATZ_CCM, 24},
    {NID_aes_256_ccm, ERSATZ_CCM, 32},
    {NID_aes_128_cbc_hmac_sha1, ERSATZ_CBC_HMAC_SHA1, 16},
    {NID_aes_256_cbc_hmac_sha1, ERSATZ_CBC_HMAC_SHA1, 32},
    {NID_aes_128_cbc_hmac_sha256, ERSATZ_CBC_HMAC_SHA256, 16},
    {NID_aes_256_cbc_hmac_sha256, ERSATZ_CBC_HMAC_SHA256, 32},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

/* Made by the first bind and freed after the last one. ENGINE's lock orders both with every use. A cipher for
 * which there is no kernel on this processor is left out. */
static EVP_CIPHER *ciphers[KNOWN];
static int nids[KNOWN];
static unsigned listed;

static int block_size(enum ersatz_mode mode)
{
    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_ECB:
    case ERSATZ_CBC_HMAC_SHA1:
    case ERSATZ_CBC_HMAC_SHA256:
        return BLOCK;
    default:
        return 1;
    }
}

static int iv_length(enum ersatz_mode mode)
{
    switch (mode) {
    case ERSATZ_GCM:
    case ERSATZ_CCM:
        return AEAD_IV_DEFAULT;
    case ERSATZ_ECB:
        return 0;
    default:
        return BLOCK;
    }
}

static int define(EVP_CIPHER *cipher, enum ersatz_mode mode)
{
    switch (mode) {
    case ERSATZ_GCM:
        return cipher_gcm_define(cipher);
    case ERSATZ_CCM:
        return cipher_ccm_define(cipher);
    case ERSATZ_CBC_HMAC_SHA1:
    case ERSATZ_CBC_HMAC_SHA256:
        return cipher_cbc_hmac_define(cipher);
    default:
        return cipher_text_define(cipher, mode);
    }
}

static EVP_CIPHER *make(enum ersatz_mode mode, int nid, int key_len)
{
    EVP_CIPHER *cipher = EVP_CIPHER_meth_new(nid, block_size(mode), key_len);

    if (cipher == NULL)
        return NULL;
    if (EVP_CIPHER_meth_set_iv_length(cipher, iv_length(mode)) && define(cipher, mode))
        return cipher;
    EVP_CIPHER_meth_free(cipher);
    return NULL;
}

static unsigned key_bits(enum ersatz_mode mode, int key_len)
{
    return (unsigned)key_len * 8 / (mode == ERSATZ_XTS ? 2 : 1);
}

int cipher_list_create(void)
{
    if (listed > 0)
        return 1; /* by an earlier bind */
    /* Every libcrypto has AES-CBC: if it is missing, the device can use none of libcrypto's ciphers. Then the
     * load must fail: nobody would notice that an engine has no ciphers. */
    if (!ersatz_cipher_is_available(ERSATZ_CBC, 128)) {
        error_raise(REASON_NO_MEMORY, "libcrypto's default provider could not be loaded for the device");
        return 0;
    }
    for (unsigned i = 0; i < KNOWN; i++) {
        if (!ersatz_cipher_is_available(known[i].mode, key_bits(known[i].mode, known[i].key_len)))
            continue;
        nids[listed] = known[i].nid;
        ciphers[listed] = make(known[i].mode, known[i].nid, known[i].key_len);
        if (ciphers[listed] == NULL) {
            cipher_list_destroy();
            return 0;
        }
        listed++;
    }
    return 1;
}

void cipher_list_destroy(void)
{
    while (listed > 0)
        EVP_CIPHER_meth_free(ciphers[--listed]);
}

int cipher_list(ENGINE *engine, const EVP_CIPHER **cipher, const int **list, int nid)
{
    (void)engine;
    if (cipher == NULL) {
        *list = nids;
        return (int)listed;
    }
    for (unsigned i = 0; i < listed; i++) {
        if (nids[i] == nid) {
            *cipher = ciphers[i];
            return 1;
        }
    }
    *cipher = NULL;
    return 0;
}

/*
 * A context may be freed after OPENSSL_cleanup(), for example by a handler of exit(3) that is older than
 * libcrypto's. libcrypto would then call ENGINE_finish(3), whose lock is gone, and crash. If the cleanup
 * function fails, libcrypto leaves the context as it is and does not call it. So the data are freed here.
 */
int cipher_cleaned_up(EVP_CIPHER_CTX *ctx)
{
    void *data;

    if (!card_is_past_cleanup())
        return 1;
    data = EVP_CIPHER_CTX_get_cipher_data(ctx);
    EVP_CIPHER_CTX_set_cipher_data(ctx, NULL);
    OPENSSL_clear_free(data, (size_t)EVP_CIPHER_impl_ctx_size(EVP_CIPHER_CTX_get0_cipher(ctx)));
    return 0;
}

int cipher_tell(int *out, int value)
{
    if (out == NULL)
        return 0;
    *out = value;
    return 1;
}

int cipher_random_key(EVP_CIPHER_CTX *ctx, unsigned char *out)
{
    return out != NULL && aes_random(out, (size_t)cipher_key_length(ctx), true);
}
