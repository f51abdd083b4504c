/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM for a provider: an adaptor to driver/aes_ccm.h. */
#include "driver/aes_ccm.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "cipher.h"

struct ccm {
    const struct cipher *cipher;
    struct pipeline *pipeline;
    struct aes_ccm aes;
    size_t aad_growth; /* what the announced record grows by at its end */
};

static void begin(void *arg)
{
    struct ccm *ccm = arg;

    aes_ccm_init(&ccm->aes, ccm->cipher->key_len);
}

static void cleanup(void *arg)
{
    struct ccm *ccm = arg;

    aes_ccm_cleanup(&ccm->aes);
}

static bool dup(const void *from, void *to)
{
    const struct ccm *original = from;
    struct ccm *copy = to;

    return aes_ccm_dup(&original->aes, &copy->aes);
}

/* ------------------------------------------------------------------------------------------ parameters */

/* A tag, or without one the length of tags. */
static int set_tag(void *arg, const OSSL_PARAM *p)
{
    struct ccm *ccm = arg;
    const uint8_t *tag = p->data;
    size_t len = p->data_size;

    if (p->data_type != OSSL_PARAM_OCTET_STRING)
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    if (len % 2 != 0 || len < 4 || len > AES_CCM_TAG_MAX)
        return REFUSE(PROV_R_INVALID_TAG_LENGTH);
    if (tag == NULL)
        return aes_ccm_set_tag_len(&ccm->aes, len);
    return aes_ccm_set_tag(&ccm->aes, tag, len) || REFUSE(PROV_R_TAG_NOT_NEEDED);
}

static int set_nonce_len(struct ccm *ccm, const OSSL_PARAM *p)
{
    size_t len;

    if (p == NULL)
        return 1;
    if (!OSSL_PARAM_get_size_t(p, &len))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    if (len < 7 || len > 13)
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    return aes_ccm_set_nonce_len(&ccm->aes, len);
}

/* Not inlined, so that the common cases need few registers. */
static __attribute__((noinline)) int set_all(void *arg, const OSSL_PARAM params[])
{
    struct ccm *ccm = arg;
    const OSSL_PARAM *tag = cipher_param_const(params, OSSL_CIPHER_PARAM_AEAD_TAG);
    const uint8_t *bytes;
    size_t len;
    bool wrong = false;

    if (tag != NULL && !set_tag(ccm, tag))
        return 0;
    if (!set_nonce_len(ccm, cipher_param_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)))
        return 0;
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, &bytes, &len, &wrong)) {
        ccm->aad_growth = bytes == NULL ? 0 : aes_ccm_set_record_aad(&ccm->aes, bytes, len);
        if (ccm->aad_growth == 0)
            return REFUSE(PROV_R_INVALID_DATA);
    }
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, &bytes, &len, &wrong)) {
        if (bytes == NULL || len != AES_CCM_FIXED_IV)
            return REFUSE(PROV_R_INVALID_IV_LENGTH);
        aes_ccm_set_fixed_iv(&ccm->aes, bytes);
    }
    return wrong ? REFUSE(PROV_R_FAILED_TO_GET_PARAMETER) : 1;
}

static int set_params(void *arg, const OSSL_PARAM params[])
{
    return set_tagged_params(arg, params, set_tag, set_all);
}

/* The nonce and, in a longer parameter, the bytes behind it, as from libcrypto. */
static int get_iv(const struct ccm *ccm, OSSL_PARAM *p)
{
    uint8_t iv[16] = {0};
    size_t len;

    if (p == NULL)
        return 1;
    if (ccm->aes.nonce_len > p->data_size)
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    if (p->data_type == OSSL_PARAM_OCTET_PTR)
        return give_bytes(p, ccm->aes.nonce, ccm->aes.nonce_len);
    memcpy(iv, ccm->aes.nonce, sizeof(ccm->aes.nonce));
    len = p->data_size < sizeof(iv) ? p->data_size : sizeof(iv);
    return give_bytes(p, iv, len) || REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
}

static int get_tag(struct ccm *ccm, OSSL_PARAM *p)
{
    if (p == NULL)
        return 1;
    if (p->data_type != OSSL_PARAM_OCTET_STRING)
        return REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
    if (!ccm->aes.encrypt || !ccm->aes.tag_set)
        return REFUSE(PROV_R_TAG_NOT_SET);
    if (p->data == NULL || !aes_ccm_get_tag(&ccm->aes, p->data, p->data_size))
        return 0;
    p->return_size = p->data_size;
    return 1;
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    struct ccm *ccm = arg;

    if (param_is_alone(params, OSSL_CIPHER_PARAM_AEAD_TAG))
        return get_tag(ccm, params); /* the common case */
    if (!answer_size(params, OSSL_CIPHER_PARAM_IVLEN, ccm->aes.nonce_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_KEYLEN, ccm->aes.key_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN, ccm->aes.tag_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, ccm->aad_growth))
        return REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
    return get_iv(ccm, cipher_param(params, OSSL_CIPHER_PARAM_IV)) &&
           get_iv(ccm, cipher_param(params, OSSL_CIPHER_PARAM_UPDATED_IV)) &&
           get_tag(ccm, cipher_param(params, OSSL_CIPHER_PARAM_AEAD_TAG));
}

/* ------------------------------------------------------------------------------------------ operations */

static int init(void *arg, const unsigned char *key, size_t key_len, const unsigned char *iv, size_t iv_len,
    const OSSL_PARAM params[], bool encrypt)
{
    struct ccm *ccm = arg;

    if (iv != NULL && iv_len != ccm->aes.nonce_len)
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    if (key != NULL && key_len != ccm->aes.key_len)
        return REFUSE(PROV_R_INVALID_KEY_LENGTH);
    if (!aes_ccm_set_key(&ccm->aes, key, encrypt))
        return 0;
    if (iv != NULL)
        aes_ccm_set_nonce(&ccm->aes, iv);
    return params == NULL || set_params(ccm, params);
}

static int update(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct ccm *ccm = arg;

    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    return aes_ccm_update(&ccm->aes, out, in, len, out_len) || REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
}

static int final(void *arg, unsigned char *out, size_t *out_len, size_t size)
{
    struct ccm *ccm = arg;
    size_t done;

    (void)size;
    if (!aes_ccm_update(&ccm->aes, out, NULL, 0, &done))
        return 0;
    *out_len = 0;
    return 1;
}

/* EVP_Cipher(3). */
static int one_shot(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct ccm *ccm = arg;
    size_t done;

    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!aes_ccm_update(&ccm->aes, out, in, len, &done))
        return 0;
    *out_len = len;
    return 1;
}

const struct cipher_family family_ccm = {.context_size = sizeof(struct ccm),
    .begin = begin,
    .cleanup = cleanup,
    .dup = dup,
    .init = init,
    .update = update,
    .final = final,
    .one_shot = one_shot,
    .get_params = get_params,
    .set_params = set_params};
