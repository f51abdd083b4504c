/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CBC with HMAC-SHA1 or HMAC-SHA256 for a provider: an adaptor to driver/aes_cbc_hmac.h. */
#include "driver/aes_cbc_hmac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/tls1.h>
#include <string.h>

#include "cipher.h"

#define BLOCK 16u

struct cbc_hmac {
    const struct cipher *cipher;
    struct pipeline *pipeline;
    struct aes_cbc_hmac aes;
    uint8_t iv[BLOCK];       /* the next operation's; aes.iv */
    uint8_t first_iv[BLOCK]; /* as it was set */
    bool iv_set;
    unsigned version; /* of TLS; 0: not said */
    size_t mac_len;
    size_t aad_growth; /* what MAC and padding add to the announced record */
};

static void begin(void *arg)
{
    struct cbc_hmac *hmac = arg;

    hmac->mac_len = hmac->cipher->mode == ERSATZ_CBC_HMAC_SHA1 ? 20 : 32;
    aes_cbc_hmac_init(&hmac->aes, hmac->cipher->mode, hmac->cipher->key_len, hmac->iv);
}

static void cleanup(void *arg)
{
    struct cbc_hmac *hmac = arg;

    aes_cbc_hmac_cleanup(&hmac->aes);
}

static bool dup(const void *from, void *to)
{
    const struct cbc_hmac *original = from;
    struct cbc_hmac *copy = to;

    copy->aes.iv = copy->iv;
    return aes_cbc_hmac_dup(&original->aes, &copy->aes);
}

/* ------------------------------------------------------------------------------------------ parameters */

/* Several records by one call, in libcrypto's own way: the ciphers say that they do not have it. */
static bool asks_for_multiblock(const OSSL_PARAM params[])
{
    for (; params->key != NULL; params++) {
        if (strncmp(params->key, "tls1multi_", 10) == 0)
            return true;
    }
    return false;
}

static int set_params(void *arg, const OSSL_PARAM params[])
{
    struct cbc_hmac *hmac = arg;
    const OSSL_PARAM *p;
    const uint8_t *bytes;
    size_t len;
    unsigned growth;
    bool wrong = false;

    if (params == NULL || params->key == NULL)
        return 1;
    if (asks_for_multiblock(params))
        return 0;
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_MAC_KEY, &bytes, &len, &wrong) &&
        !aes_cbc_hmac_set_mac_key(&hmac->aes, bytes, len))
        return 0;
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, &bytes, &len, &wrong)) {
        hmac->aes.aads = 0; /* without a pipeline, one record at a time: the one announced last */
        if (!aes_cbc_hmac_add_record_aad(&hmac->aes, bytes, len, &growth) || growth == 0)
            return 0;
        hmac->aad_growth = growth;
    }
    if ((p = cipher_param_const(params, OSSL_CIPHER_PARAM_KEYLEN)) != NULL) {
        if (!OSSL_PARAM_get_size_t(p, &len))
            return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
        if (len != hmac->aes.key_len)
            return REFUSE(PROV_R_INVALID_KEY_LENGTH);
    }
    if ((p = cipher_param_const(params, OSSL_CIPHER_PARAM_TLS_VERSION)) != NULL &&
        !OSSL_PARAM_get_uint(p, &hmac->version))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    return wrong ? REFUSE(PROV_R_FAILED_TO_GET_PARAMETER) : 1;
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    const struct cbc_hmac *hmac = arg;

    return (answer_size(params, OSSL_CIPHER_PARAM_IVLEN, BLOCK) &&
               answer_size(params, OSSL_CIPHER_PARAM_KEYLEN, hmac->aes.key_len) &&
               answer_size(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, hmac->aad_growth) &&
               answer_bytes(params, OSSL_CIPHER_PARAM_IV, hmac->first_iv, BLOCK) &&
               answer_bytes(params, OSSL_CIPHER_PARAM_UPDATED_IV, hmac->iv, BLOCK) &&
               answer_size(params, OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK_MAX_BUFSIZE, 0)) ||
           REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
}

/* ------------------------------------------------------------------------------------------ operations */

static int init(void *arg, const unsigned char *key, size_t key_len, const unsigned char *iv, size_t iv_len,
    const OSSL_PARAM params[], bool encrypt)
{
    struct cbc_hmac *hmac = arg;

    if (iv != NULL) {
        if (iv_len != BLOCK)
            return REFUSE(PROV_R_INVALID_IV_LENGTH);
        memcpy(hmac->first_iv, iv, BLOCK);
        hmac->iv_set = true;
    }
    if (hmac->iv_set)
        memcpy(hmac->iv, hmac->first_iv, BLOCK); /* a new text without a new IV begins with the old one */
    if (key != NULL && key_len != hmac->aes.key_len)
        return REFUSE(PROV_R_INVALID_KEY_LENGTH);
    return aes_cbc_hmac_set_key(&hmac->aes, key, encrypt) && set_params(hmac, params);
}

/* How much of an opened record of len bytes is text. MAC and padding were found right, so they are no
 * secret. */
static size_t text_of_record(const struct cbc_hmac *hmac, const unsigned char *record, size_t len)
{
    size_t around = hmac->mac_len + record[len - 1] + 1;

    if (hmac->version != TLS1_VERSION)
        around += BLOCK; /* the explicit IV in front */
    return len < around ? 0 : len - around;
}

static int compute_text(struct cbc_hmac *hmac, unsigned char *out, size_t *out_len, size_t size,
    const unsigned char *in, size_t len)
{
    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!aes_cbc_hmac_update(&hmac->aes, out, in, len))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    *out_len = len;
    return 1;
}

static int update(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct cbc_hmac *hmac = arg;
    bool is_record = hmac->aes.aads > 0;

    if (hmac->aes.states[0] == NULL)
        return REFUSE(PROV_R_NO_KEY_SET);
    if (len == 0) {
        *out_len = 0;
        return 1;
    }
    if (!compute_text(hmac, out, out_len, size, in, len))
        return 0;
    if (is_record && !hmac->aes.encrypt && hmac->version != 0)
        *out_len = text_of_record(hmac, out, len);
    return 1;
}

static int final(void *arg, unsigned char *out, size_t *out_len, size_t size)
{
    const struct cbc_hmac *hmac = arg;

    (void)out;
    (void)size;
    if (hmac->aes.states[0] == NULL)
        return REFUSE(PROV_R_NO_KEY_SET);
    *out_len = 0;
    return 1;
}

/* EVP_Cipher(3). */
static int one_shot(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct cbc_hmac *hmac = arg;

    if (hmac->aes.states[0] == NULL)
        return REFUSE(PROV_R_NO_KEY_SET);
    return compute_text(hmac, out, out_len, size, in, len);
}

const struct cipher_family family_cbc_hmac = {.context_size = sizeof(struct cbc_hmac),
    .begin = begin,
    .cleanup = cleanup,
    .dup = dup,
    .init = init,
    .update = update,
    .final = final,
    .one_shot = one_shot,
    .get_params = get_params,
    .set_params = set_params};
