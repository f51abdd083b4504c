/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider's ciphers. Each mode is an adaptor between provider-cipher(7) and what driver/aes_*.h keeps of
 * a message. Names, the static parameters of a cipher, and which parameters there are at all, are asked of
 * libcrypto's own cipher of that name, so that ours answers what that one does, in the libcrypto that runs.
 */
#ifndef ERSATZ_PROVIDER_CIPHER_H
#define ERSATZ_PROVIDER_CIPHER_H

#include <openssl/core_dispatch.h>
#include <openssl/err.h>
#include <openssl/proverr.h>
#include <stddef.h>

#include "driver/aes_common.h"
#include "ersatz/device.h"
#include "params.h"
#include "provider.h"

struct cipher;

/* The texts of EVP_CipherPipelineUpdate(3), OpenSSL 3.5: each has a context of its own. */
struct pipeline {
    size_t count;
    void *contexts[AES_PIPES_MAX];
};

/* Every context begins with these members. cipher_list.c makes contexts, zeroed, copies them byte by byte and
 * frees them. */
struct cipher_context {
    const struct cipher *cipher;
    struct pipeline *pipeline; /* NULL: there is none */
};

void *cipher_dup_context(void *context);
void cipher_free_context(void *context);

/* What the modes of a family have in common. */
struct cipher_family {
    size_t context_size;
    void (*begin)(void *context); /* the first thing that happens to a context */
    void (*cleanup)(void *context);
    bool (*dup)(const void *from, void *to); /* to is a copy of from: give it a state of its own */
    int (*init)(void *context, const unsigned char *key, size_t key_len, const unsigned char *iv,
        size_t iv_len, const OSSL_PARAM params[], bool encrypt);
    OSSL_FUNC_cipher_update_fn *update;
    OSSL_FUNC_cipher_final_fn *final;
    OSSL_FUNC_cipher_cipher_fn *one_shot; /* EVP_Cipher(3) */
    OSSL_FUNC_cipher_get_ctx_params_fn *get_params;
    OSSL_FUNC_cipher_set_ctx_params_fn *set_params;

    /*
     * The next piece of each text of a pipeline; together they are one operation of the card. outs NULL:
     * associated data. ins NULL: the end of each text. sizes: of the places at outs; NULL: they are large
     * enough.
     */
    int (*update_all)(const struct pipeline *pipeline, unsigned char *const *outs, size_t *out_lens,
        const size_t *sizes, const unsigned char *const *ins, const size_t *lens);
};

extern const struct cipher_family family_text, family_gcm, family_ccm, family_cbc_hmac;

/* One algorithm. */
struct cipher {
    const char *name; /* libcrypto's first name for it */
    enum ersatz_mode mode;
    size_t key_len; /* bytes; of both keys for XTS */
    const struct cipher_family *family;
};

/* The functions of pipelines (cipher_pipeline.c), for a cipher whose family has update_all(). */
extern const OSSL_DISPATCH pipeline_functions[];

/* Give *to, a copy of *from byte by byte, a pipeline of its own. False: it has none; an error is raised. */
bool pipeline_dup(const struct cipher_context *from, struct cipher_context *to);
void pipeline_free(struct cipher_context *context);

/* Hand the parameters of a context on to the texts of its pipeline, if it has one. */
int pipeline_set_params(const struct pipeline *pipeline, const OSSL_PARAM params[],
    int (*set)(void *context, const OSSL_PARAM params[]));

/* Fail for the reason that libcrypto's ciphers give: PROV_R_... */
#define REFUSE(reason) (ERR_raise(ERR_LIB_PROV, (reason)), 0)

/* Offer the ciphers, as provider->ciphers. False, with an error raised: no memory. */
bool cipher_list_make(struct provider *provider);
void cipher_list_free(struct provider *provider);

#endif
