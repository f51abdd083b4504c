/* SPDX-License-Identifier: Apache-2.0 */
/* See cipher.h. */
#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "driver/error.h"
#include "ersatz/undisturbed.h"
#include "secret_keys.h"

#define PROPERTIES "provider=ersatz,ersatz.aes=yes"

#define CIPHER(NAME, MODE, BITS, FAMILY)                                                                     \
    {                                                                                                        \
        .name = NAME, .mode = MODE, .key_len = (BITS) / 8, .family = &FAMILY                                 \
    }
#define OF_EACH_SIZE(NAME, MODE, FAMILY)                                                                     \
    CIPHER("AES-128-" NAME, MODE, 128, FAMILY), CIPHER("AES-192-" NAME, MODE, 192, FAMILY),                  \
        CIPHER("AES-256-" NAME, MODE, 256, FAMILY)

static const struct cipher list[] = {
    OF_EACH_SIZE("CBC", ERSATZ_CBC, family_text),
    OF_EACH_SIZE("ECB", ERSATZ_ECB, family_text),
    OF_EACH_SIZE("CTR", ERSATZ_CTR, family_text),
    OF_EACH_SIZE("CFB", ERSATZ_CFB, family_text),
    OF_EACH_SIZE("OFB", ERSATZ_OFB, family_text),
    CIPHER("AES-128-XTS", ERSATZ_XTS, 2 * 128, family_text),
    CIPHER("AES-256-XTS", ERSATZ_XTS, 2 * 256, family_text),
    OF_EACH_SIZE("GCM", ERSATZ_GCM, family_gcm),
    OF_EACH_SIZE("CCM", ERSATZ_CCM, family_ccm),
    CIPHER("AES-128-CBC-HMAC-SHA1", ERSATZ_CBC_HMAC_SHA1, 128, family_cbc_hmac),
    CIPHER("AES-256-CBC-HMAC-SHA1", ERSATZ_CBC_HMAC_SHA1, 256, family_cbc_hmac),
    CIPHER("AES-128-CBC-HMAC-SHA256", ERSATZ_CBC_HMAC_SHA256, 128, family_cbc_hmac),
    CIPHER("AES-256-CBC-HMAC-SHA256", ERSATZ_CBC_HMAC_SHA256, 256, family_cbc_hmac),
};

#define CIPHERS (sizeof(list) / sizeof(list[0]))
#define SLOTS 32u
_Static_assert(CIPHERS <= SLOTS, "each cipher needs a set of functions");

/* libcrypto's functions of each, which need no context, and ours. */
struct offered {
    OSSL_FUNC_cipher_get_params_fn *get;
    OSSL_FUNC_cipher_gettable_params_fn *gettable;
    OSSL_FUNC_cipher_gettable_ctx_params_fn *gettable_for;
    OSSL_FUNC_cipher_settable_ctx_params_fn *settable_for;
    OSSL_DISPATCH functions[32];
};

static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER; /* while this is filled: once for each cipher */
static struct offered offered[SLOTS];

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

typedef void any_fn(void);

/* libssl would have the stitched ciphers send several records by one call, which the card does by a
 * pipeline. */
static bool without_multiblock(const struct cipher *cipher, OSSL_PARAM params[])
{
    return cipher->family != &family_cbc_hmac || answer_int(params, OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, 0);
}

/* ----------------------------------------------------------------------------------------------- contexts */

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        error_raise_result(ERSATZ_NO_MEMORY);
    return memory;
}

static void *new_context(const struct cipher *cipher)
{
    struct cipher_context *context = allocate(cipher->family->context_size);

    if (context == NULL)
        return NULL;
    context->cipher = cipher;
    cipher->family->begin(context);
    return context;
}

static void free_memory(void *context, size_t size)
{
    OPENSSL_cleanse(context, size);
    free(context);
}

void cipher_free_context(void *arg)
{
    struct cipher_context *context = arg;
    const struct cipher_family *family;

    if (context == NULL)
        return;
    pipeline_free(context);
    family = context->cipher->family;
    family->cleanup(context);
    free_memory(context, family->context_size);
}

void *cipher_dup_context(void *arg)
{
    const struct cipher_context *from = arg;
    const struct cipher_family *family = from->cipher->family;
    struct cipher_context *to = allocate(family->context_size);

    if (to == NULL)
        return NULL;
    memcpy(to, from, family->context_size);
    to->pipeline = NULL;
    if (!family->dup(from, to)) {
        free_memory(to, family->context_size);
        return NULL;
    }
    if (pipeline_dup(from, to))
        return to;
    cipher_free_context(to);
    return NULL;
}

static int init(void *arg, const unsigned char *key, size_t key_len, const unsigned char *iv, size_t iv_len,
    const OSSL_PARAM params[], bool encrypt)
{
    struct cipher_context *context = arg;

    if (context->pipeline != NULL)
        pipeline_free(context);
    return context->cipher->family->init(context, key, key_len, iv, iv_len, params, encrypt);
}

static int encrypt_init(void *context, const unsigned char *key, size_t key_len, const unsigned char *iv,
    size_t iv_len, const OSSL_PARAM params[])
{
    return init(context, key, key_len, iv, iv_len, params, true);
}

static int decrypt_init(void *context, const unsigned char *key, size_t key_len, const unsigned char *iv,
    size_t iv_len, const OSSL_PARAM params[])
{
    return init(context, key, key_len, iv, iv_len, params, false);
}

/* Since OpenSSL 3.5: a key that is an object of its own, see secret_keys.h. */
struct keyed_init {
    void *context;
    const unsigned char *iv;
    size_t iv_len;
    const OSSL_PARAM *params;
    bool encrypt;
};

static int init_with(const uint8_t *key, size_t len, void *arg)
{
    const struct keyed_init *how = arg;

    return init(how->context, key, len, how->iv, how->iv_len, how->params, how->encrypt);
}

static int encrypt_init_key(
    void *context, void *key, const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
    struct keyed_init how = {context, iv, iv_len, params, true};

    return key == NULL ? init_with(NULL, 0, &how) : secret_key_use(key, init_with, &how);
}

static int decrypt_init_key(
    void *context, void *key, const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
    struct keyed_init how = {context, iv, iv_len, params, false};

    return key == NULL ? init_with(NULL, 0, &how) : secret_key_use(key, init_with, &how);
}

/* ---------------------------------------------------------------------------------------------- functions */

/* A function of the interface has no argument that says which cipher it is for: so each has its own. */
#define CIPHER_FUNCTIONS(i)                                                                                  \
    static void *new_##i(void *provider)                                                                     \
    {                                                                                                        \
        (void)provider;                                                                                      \
        return new_context(&list[(i) % CIPHERS]);                                                            \
    }                                                                                                        \
    static int get_##i(OSSL_PARAM params[])                                                                  \
    {                                                                                                        \
        return offered[i].get(params) && without_multiblock(&list[(i) % CIPHERS], params);                   \
    }                                                                                                        \
    static const OSSL_PARAM *gettable_##i(void *provider)                                                    \
    {                                                                                                        \
        return offered[i].gettable(((struct provider *)provider)->originals_context);                        \
    }                                                                                                        \
    static const OSSL_PARAM *gettable_for_##i(void *context, void *provider)                                 \
    {                                                                                                        \
        (void)context;                                                                                       \
        return offered[i].gettable_for(NULL, ((struct provider *)provider)->originals_context);              \
    }                                                                                                        \
    static const OSSL_PARAM *settable_for_##i(void *context, void *provider)                                 \
    {                                                                                                        \
        (void)context;                                                                                       \
        return offered[i].settable_for(NULL, ((struct provider *)provider)->originals_context);              \
    }

/* clang-format off */
#define EACH_SLOT(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) \
    X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
    X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
/* clang-format on */

EACH_SLOT(CIPHER_FUNCTIONS)

#define FUNCTIONS_OF(i)                                                                                      \
    {{OSSL_FUNC_CIPHER_NEWCTX, (any_fn *)new_##i}, {OSSL_FUNC_CIPHER_GET_PARAMS, (any_fn *)get_##i},         \
        {OSSL_FUNC_CIPHER_GETTABLE_PARAMS, (any_fn *)gettable_##i},                                          \
        {OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, (any_fn *)gettable_for_##i},                                  \
        {OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, (any_fn *)settable_for_##i}},

#define OWN_FUNCTIONS 5u
static const OSSL_DISPATCH own[SLOTS][OWN_FUNCTIONS] = {EACH_SLOT(FUNCTIONS_OF)};

/* Numbers of OpenSSL 3.5, whose headers may not be those of the build. */
enum { ENCRYPT_SKEY_INIT = 19, DECRYPT_SKEY_INIT = 20 };

/* The same for all ciphers. */
static const OSSL_DISPATCH common[] = {
    {OSSL_FUNC_CIPHER_FREECTX, (any_fn *)cipher_free_context},
    {OSSL_FUNC_CIPHER_DUPCTX, (any_fn *)cipher_dup_context},
    {OSSL_FUNC_CIPHER_ENCRYPT_INIT, (any_fn *)encrypt_init},
    {OSSL_FUNC_CIPHER_DECRYPT_INIT, (any_fn *)decrypt_init},
    {ENCRYPT_SKEY_INIT, (any_fn *)encrypt_init_key},
    {DECRYPT_SKEY_INIT, (any_fn *)decrypt_init_key},
    {0, NULL},
};

static unsigned append(OSSL_DISPATCH *to, unsigned count, const OSSL_DISPATCH *functions)
{
    for (; functions->function_id != 0; functions++)
        to[count++] = *functions;
    return count;
}

static unsigned append_family(OSSL_DISPATCH *to, unsigned count, const struct cipher_family *family)
{
    const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_CIPHER_UPDATE, (any_fn *)family->update},
        {OSSL_FUNC_CIPHER_FINAL, (any_fn *)family->final},
        {OSSL_FUNC_CIPHER_CIPHER, (any_fn *)family->one_shot},
        {OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (any_fn *)family->get_params},
        {OSSL_FUNC_CIPHER_SET_CTX_PARAMS, (any_fn *)family->set_params},
        {0, NULL},
    };

    return append(to, count, functions);
}

/* Fill the slot of a cipher. False: libcrypto's has not what we need. */
static bool fill(struct offered *slot, unsigned i, const OSSL_ALGORITHM *theirs)
{
    const OSSL_DISPATCH *all = theirs->implementation;
    unsigned count = OWN_FUNCTIONS;

    if (slot->functions[0].function_id != 0)
        return true; /* for another library context, and in use */
    slot->get = (OSSL_FUNC_cipher_get_params_fn *)provider_function(all, OSSL_FUNC_CIPHER_GET_PARAMS);
    slot->gettable =
        (OSSL_FUNC_cipher_gettable_params_fn *)provider_function(all, OSSL_FUNC_CIPHER_GETTABLE_PARAMS);
    slot->gettable_for = (OSSL_FUNC_cipher_gettable_ctx_params_fn *)provider_function(
        all, OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS);
    slot->settable_for = (OSSL_FUNC_cipher_settable_ctx_params_fn *)provider_function(
        all, OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS);
    if (slot->get == NULL || slot->gettable == NULL || slot->gettable_for == NULL ||
        slot->settable_for == NULL)
        return false;
    count = append(slot->functions, count, common);
    count = append_family(slot->functions, count, list[i].family);
    if (list[i].mode == ERSATZ_CBC || list[i].mode == ERSATZ_GCM)
        count = append(slot->functions, count, pipeline_functions);
    slot->functions[count] = (OSSL_DISPATCH){0, NULL};
    memcpy(slot->functions, own[i], sizeof(own[i]));
    return true;
}

bool cipher_list_make(struct provider *provider)
{
    int no_cache;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(provider->originals, OSSL_OP_CIPHER, &no_cache);
    struct ersatz_locked locked;
    unsigned count = 0;

    provider->ciphers = all == NULL ? NULL : calloc(CIPHERS + 1, sizeof(*provider->ciphers));
    if (provider->ciphers == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return false;
    }
    ersatz_lock(&lock, &locked);
    for (unsigned i = 0; i < CIPHERS; i++) {
        const OSSL_ALGORITHM *theirs = provider_find(all, list[i].name);

        if (theirs == NULL || !fill(&offered[i], i, theirs))
            continue; /* a libcrypto that was built without it */
        provider->ciphers[count++] = (OSSL_ALGORITHM){.algorithm_names = theirs->algorithm_names,
            .property_definition = PROPERTIES,
            .implementation = offered[i].functions,
            .algorithm_description = theirs->algorithm_description};
    }
    ersatz_unlock(&locked);
    OSSL_PROVIDER_unquery_operation(provider->originals, OSSL_OP_CIPHER, all);
    return true;
}

void cipher_list_free(struct provider *provider)
{
    free(provider->ciphers);
    provider->ciphers = NULL;
}
