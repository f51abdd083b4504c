/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM for a provider: an adaptor to driver/aes_gcm.h. */
#include "driver/aes_gcm.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "cipher.h"
#include "driver/aes_common.h"

/* Since OpenSSL 3.4. */
#define PARAM_IV_GENERATED "iv-generated"
/* Since OpenSSL 3.5. */
#define PARAM_PIPELINE_TAG "pipeline-tag"

struct gcm {
    const struct cipher *cipher;
    struct pipeline *pipeline;
    struct aes_gcm aes;
    bool iv_set;       /* by the caller or by us */
    bool iv_random;    /* it was made up, since none was set */
    size_t aad_growth; /* what the announced record grows by at its end */
};

static void begin(void *arg)
{
    struct gcm *gcm = arg;

    aes_gcm_init(&gcm->aes, gcm->cipher->key_len);
}

static void cleanup(void *arg)
{
    struct gcm *gcm = arg;

    aes_gcm_cleanup(&gcm->aes);
}

static bool dup(const void *from, void *to)
{
    const struct gcm *original = from;
    struct gcm *copy = to;

    return aes_gcm_dup(&original->aes, &copy->aes);
}

/* ------------------------------------------------------------------------------------------ parameters */

static int set_iv_len(struct gcm *gcm, const OSSL_PARAM *p)
{
    size_t len;

    if (p == NULL)
        return 1;
    if (!OSSL_PARAM_get_size_t(p, &len))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    if (len < 1 || len > AES_GCM_IV_MAX)
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    return aes_gcm_set_iv_len(&gcm->aes, len);
}

/* The length of all ones says that the whole IV is given back. */
static bool set_fixed_iv(struct gcm *gcm, const uint8_t *fixed, size_t len)
{
    if (len == SIZE_MAX)
        aes_gcm_set_first_iv(&gcm->aes, fixed);
    else if (!aes_gcm_set_fixed_iv(&gcm->aes, fixed, len))
        return false;
    gcm->iv_set = true;
    return true;
}

/* The tags of a pipeline's texts: a pointer to an array of pointers, each to so many bytes. NULL: it is not
 * that. */
static uint8_t *const *tags_of(const OSSL_PARAM *p)
{
    return p->data_type == OSSL_PARAM_OCTET_PTR && p->data != NULL ? *(uint8_t *const **)p->data : NULL;
}

static int set_tags(const struct gcm *gcm, const OSSL_PARAM *p)
{
    uint8_t *const *tags;

    if (p == NULL)
        return 1;
    tags = tags_of(p);
    if (tags == NULL || gcm->pipeline == NULL)
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    for (size_t i = 0; i < gcm->pipeline->count; i++) {
        struct gcm *text = gcm->pipeline->contexts[i];

        if (!aes_gcm_set_tag(&text->aes, tags[i], p->data_size))
            return REFUSE(PROV_R_INVALID_TAG);
    }
    return 1;
}

static int get_tags(const struct gcm *gcm, const OSSL_PARAM *p)
{
    uint8_t *const *tags;

    if (p == NULL)
        return 1;
    tags = tags_of(p);
    if (tags == NULL || gcm->pipeline == NULL)
        return REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
    for (size_t i = 0; i < gcm->pipeline->count; i++) {
        const struct gcm *text = gcm->pipeline->contexts[i];

        if (!aes_gcm_get_tag(&text->aes, tags[i], p->data_size))
            return REFUSE(PROV_R_INVALID_TAG);
    }
    return 1;
}

static int set_tag(void *arg, const OSSL_PARAM *p)
{
    struct gcm *gcm = arg;

    if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL || p->data_size > AES_GCM_TAG_MAX)
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    return aes_gcm_set_tag(&gcm->aes, p->data, p->data_size) || REFUSE(PROV_R_INVALID_TAG);
}

/* Not inlined, so that the common cases need few registers. */
static __attribute__((noinline)) int set_all(void *arg, const OSSL_PARAM params[])
{
    struct gcm *gcm = arg;
    const OSSL_PARAM *tag = cipher_param_const(params, OSSL_CIPHER_PARAM_AEAD_TAG);
    const uint8_t *bytes;
    size_t len;
    bool wrong = false;

    if (tag != NULL && !set_tag(gcm, tag))
        return 0;
    if (!set_iv_len(gcm, cipher_param_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)))
        return 0;
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, &bytes, &len, &wrong)) {
        gcm->aad_growth = bytes == NULL ? 0 : aes_gcm_set_record_aad(&gcm->aes, bytes, len);
        if (gcm->aad_growth == 0)
            return REFUSE(PROV_R_INVALID_AAD);
    }
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, &bytes, &len, &wrong) &&
        (bytes == NULL || !set_fixed_iv(gcm, bytes, len)))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    if (asked_bytes(params, OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, &bytes, &len, &wrong) &&
        (bytes == NULL || !aes_gcm_set_invocation(&gcm->aes, bytes, len)))
        return 0;
    return wrong ? REFUSE(PROV_R_FAILED_TO_GET_PARAMETER)
                 : set_tags(gcm, cipher_param_const(params, PARAM_PIPELINE_TAG));
}

static int set_params(void *arg, const OSSL_PARAM params[])
{
    return set_tagged_params(arg, params, set_tag, set_all);
}

/* Encrypting without an IV means to make one up, as libcrypto does: 96 random bits at least. Not inlined: it
 * takes stack. */
static __attribute__((noinline)) bool make_up_iv(struct gcm *gcm)
{
    uint8_t iv[AES_GCM_IV_MAX];

    if (!gcm->aes.encrypt || gcm->aes.iv_len < 12 || !aes_random(iv, gcm->aes.iv_len, false))
        return false;
    aes_gcm_set_iv(&gcm->aes, iv);
    gcm->iv_set = gcm->iv_random = true;
    return true;
}

/* For a message. aes_gcm_update() knows whether the IV was used up. */
static bool has_iv(struct gcm *gcm)
{
    return gcm->iv_set || (gcm->aes.state != NULL && make_up_iv(gcm));
}

/* The IV, as a parameter: there must be one, and room for it, unless only its length is asked for. libcrypto
 * 4.0 makes one up even here, and without a key. */
static int get_iv(struct gcm *gcm, OSSL_PARAM *p)
{
    if (p == NULL)
        return 1;
    if (!gcm->iv_set && !(OpenSSL_version_num() >= 0x40000000 && make_up_iv(gcm)))
        return 0;
    if (p->data != NULL && gcm->aes.iv_len > p->data_size)
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    return give_bytes(p, gcm->aes.iv, gcm->aes.iv_len) || REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
}

static int get_tag(const struct gcm *gcm, OSSL_PARAM *p)
{
    if (p == NULL)
        return 1;
    if (p->data_type != OSSL_PARAM_OCTET_STRING)
        return REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
    if (p->data == NULL || !aes_gcm_get_tag(&gcm->aes, p->data, p->data_size))
        return REFUSE(PROV_R_INVALID_TAG);
    p->return_size = p->data_size;
    return 1;
}

static int generate_iv(struct gcm *gcm, const OSSL_PARAM *p)
{
    return p == NULL || (p->data != NULL && p->data_type == OSSL_PARAM_OCTET_STRING &&
                            aes_gcm_generate_iv(&gcm->aes, p->data, p->data_size));
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    struct gcm *gcm = arg;

    if (param_is_alone(params, OSSL_CIPHER_PARAM_AEAD_TAG))
        return get_tag(gcm, params); /* the common case */
    if (!answer_size(params, OSSL_CIPHER_PARAM_IVLEN, gcm->aes.iv_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_KEYLEN, gcm->aes.key_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN,
            gcm->aes.tag_len == 0 ? AES_GCM_TAG_MAX : gcm->aes.tag_len) ||
        !answer_size(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, gcm->aad_growth) ||
        !answer_unsigned(params, PARAM_IV_GENERATED, gcm->iv_random))
        return REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
    return get_iv(gcm, cipher_param(params, OSSL_CIPHER_PARAM_IV)) &&
           get_iv(gcm, cipher_param(params, OSSL_CIPHER_PARAM_UPDATED_IV)) &&
           get_tag(gcm, cipher_param(params, OSSL_CIPHER_PARAM_AEAD_TAG)) &&
           get_tags(gcm, cipher_param(params, PARAM_PIPELINE_TAG)) &&
           generate_iv(gcm, cipher_param(params, OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN));
}

/* ------------------------------------------------------------------------------------------ operations */

static int init(void *arg, const unsigned char *key, size_t key_len, const unsigned char *iv, size_t iv_len,
    const OSSL_PARAM params[], bool encrypt)
{
    struct gcm *gcm = arg;

    if (iv != NULL && (iv_len < 1 || iv_len > AES_GCM_IV_MAX))
        return REFUSE(PROV_R_INVALID_IV_LENGTH);
    if (key != NULL && key_len != gcm->aes.key_len)
        return REFUSE(PROV_R_INVALID_KEY_LENGTH);
    if (!aes_gcm_set_key(&gcm->aes, key, encrypt))
        return 0;
    if (iv != NULL) {
        if (iv_len != gcm->aes.iv_len && !aes_gcm_set_iv_len(&gcm->aes, iv_len))
            return 0;
        aes_gcm_set_iv(&gcm->aes, iv);
        gcm->iv_set = true;
        gcm->iv_random = false;
    }
    return params == NULL || set_params(gcm, params);
}

static bool compute(struct gcm *gcm, unsigned char *out, const unsigned char *in, size_t len, size_t *done)
{
    return (gcm->aes.is_record || has_iv(gcm)) && aes_gcm_update(&gcm->aes, out, in, len, done);
}

static int update(
    void *gcm, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    if (len == 0) {
        *out_len = 0;
        return 1;
    }
    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    return compute(gcm, out, in, len, out_len) || REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
}

static bool lacks_tag(const struct gcm *gcm)
{
    return !gcm->aes.encrypt && gcm->aes.tag_len == 0;
}

static int final(void *gcm, unsigned char *out, size_t *out_len, size_t size)
{
    size_t done;

    (void)size;
    if (!compute(gcm, out, NULL, 0, &done))
        return lacks_tag(gcm) ? REFUSE(PROV_R_TAG_NOT_SET) : 0;
    *out_len = 0;
    return 1;
}

static int update_all(const struct pipeline *pipeline, unsigned char *const *outs, size_t *out_lens,
    const size_t *sizes, const unsigned char *const *ins, const size_t *lens)
{
    struct aes_gcm *messages[AES_PIPES_MAX];

    for (size_t i = 0; i < pipeline->count; i++) {
        struct gcm *gcm = pipeline->contexts[i];

        if (outs == NULL && ins != NULL) { /* associated data, which wait for the text */
            if (!update(gcm, NULL, &out_lens[i], lens[i], ins[i], lens[i]))
                return 0;
            continue;
        }
        if (ins != NULL && sizes != NULL && sizes[i] < lens[i])
            return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
        if (gcm->aes.is_record || !has_iv(gcm))
            return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
        messages[i] = &gcm->aes;
        out_lens[i] = ins == NULL ? 0 : lens[i];
    }
    if (outs == NULL && ins != NULL)
        return 1;
    if (aes_gcm_update_all(messages, (unsigned)pipeline->count, outs, ins, lens))
        return 1;
    return ins == NULL ? 0 : REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
}

/* EVP_Cipher(3). */
static int one_shot(
    void *gcm, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    size_t done;

    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!compute(gcm, out, in, len, &done))
        return 0;
    *out_len = len;
    return 1;
}

const struct cipher_family family_gcm = {.context_size = sizeof(struct gcm),
    .begin = begin,
    .cleanup = cleanup,
    .dup = dup,
    .init = init,
    .update = update,
    .final = final,
    .one_shot = one_shot,
    .get_params = get_params,
    .set_params = set_params,
    .update_all = update_all};
