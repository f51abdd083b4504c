/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines, since OpenSSL 3.5: see EVP_CipherPipelineEncryptInit(3), and struct pipeline in cipher.h. */
#include <openssl/core_names.h>
#include <stdlib.h>

#include "cipher.h"
#include "driver/error.h"

/* Numbers of OpenSSL 3.5, whose headers may not be those of the build. */
enum { PIPELINE_ENCRYPT_INIT = 15, PIPELINE_DECRYPT_INIT = 16, PIPELINE_UPDATE = 17, PIPELINE_FINAL = 18 };

/* Let the pipeline have so many texts. New ones are copies of the context. */
static bool set_count(struct cipher_context *context, size_t count)
{
    struct pipeline *pipeline = context->pipeline;

    if (pipeline == NULL) {
        pipeline = calloc(1, sizeof(*pipeline));
        if (pipeline == NULL) {
            error_raise_result(ERSATZ_NO_MEMORY);
            return false;
        }
    }
    context->pipeline = NULL; /* it is not copied */
    while (pipeline->count > count)
        cipher_free_context(pipeline->contexts[--pipeline->count]);
    while (pipeline->count < count) {
        void *copy = cipher_dup_context(context);

        if (copy == NULL)
            break;
        pipeline->contexts[pipeline->count++] = copy;
    }
    context->pipeline = pipeline;
    return pipeline->count == count;
}

void pipeline_free(struct cipher_context *context)
{
    struct pipeline *pipeline = context->pipeline;

    if (pipeline == NULL)
        return;
    for (size_t i = 0; i < pipeline->count; i++)
        cipher_free_context(pipeline->contexts[i]);
    free(pipeline);
    context->pipeline = NULL;
}

bool pipeline_dup(const struct cipher_context *from, struct cipher_context *to)
{
    struct pipeline *copy;

    if (from->pipeline == NULL)
        return true;
    copy = to->pipeline = calloc(1, sizeof(*copy));
    if (copy == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return false;
    }
    for (; copy->count < from->pipeline->count; copy->count++) {
        copy->contexts[copy->count] = cipher_dup_context(from->pipeline->contexts[copy->count]);
        if (copy->contexts[copy->count] == NULL)
            return false;
    }
    return true;
}

int pipeline_set_params(const struct pipeline *pipeline, const OSSL_PARAM params[],
    int (*set)(void *context, const OSSL_PARAM params[]))
{
    for (size_t i = 0; pipeline != NULL && i < pipeline->count; i++) {
        if (!set(pipeline->contexts[i], params))
            return 0;
    }
    return 1;
}

/* ------------------------------------------------------------------------------------------- functions */

static int init(struct cipher_context *context, const unsigned char *key, size_t key_len, size_t count,
    const unsigned char **ivs, size_t iv_len, const OSSL_PARAM params[], bool encrypt)
{
    if (count < 1 || count > AES_PIPES_MAX)
        return REFUSE(PROV_R_INVALID_DATA);
    if (!set_count(context, count))
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (!context->cipher->family->init(context->pipeline->contexts[i], key, key_len,
                ivs == NULL ? NULL : ivs[i], iv_len, params, encrypt))
            return 0;
    }
    return 1;
}

static int encrypt_init(void *context, const unsigned char *key, size_t key_len, size_t count,
    const unsigned char **ivs, size_t iv_len, const OSSL_PARAM params[])
{
    return init(context, key, key_len, count, ivs, iv_len, params, true);
}

static int decrypt_init(void *context, const unsigned char *key, size_t key_len, size_t count,
    const unsigned char **ivs, size_t iv_len, const OSSL_PARAM params[])
{
    return init(context, key, key_len, count, ivs, iv_len, params, false);
}

static int run(void *arg, size_t count, unsigned char **outs, size_t *out_lens, const size_t *sizes,
    const unsigned char **ins, const size_t *lens)
{
    const struct cipher_context *context = arg;

    if (context->pipeline == NULL || context->pipeline->count != count)
        return REFUSE(PROV_R_NOT_INSTANTIATED);
    return context->cipher->family->update_all(context->pipeline, outs, out_lens, sizes, ins, lens);
}

static int update(void *context, size_t count, unsigned char **outs, size_t *out_lens, const size_t *sizes,
    const unsigned char **ins, const size_t *lens)
{
    return ins == NULL ? REFUSE(PROV_R_INVALID_DATA) : run(context, count, outs, out_lens, sizes, ins, lens);
}

static int final(void *context, size_t count, unsigned char **outs, size_t *out_lens, const size_t *sizes)
{
    return run(context, count, outs, out_lens, sizes, NULL, NULL);
}

const OSSL_DISPATCH pipeline_functions[] = {
    {PIPELINE_ENCRYPT_INIT, (void (*)(void))encrypt_init},
    {PIPELINE_DECRYPT_INIT, (void (*)(void))decrypt_init},
    {PIPELINE_UPDATE, (void (*)(void))update},
    {PIPELINE_FINAL, (void (*)(void)) final},
    {0, NULL},
};
