/* SPDX-License-Identifier: Apache-2.0 */
/* See cipher.h. */
#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "driver/error.h"
#include "ersatz/undisturbed.h"

#define PROPERTIES "provider=ersatz,ersatz.aes=yes"

#define TEXT(NAME, MODE, BITS)                                                                               \
    {                                                                                                        \
        .name = "AES-" #BITS "-" NAME, .mode = MODE, .key_len = (BITS) / 8, .new = cipher_text_new,          \
        .functions = cipher_text_functions                                                                   \
    }
#define TEXT_OF_EACH_SIZE(NAME, MODE) TEXT(NAME, MODE, 128), TEXT(NAME, MODE, 192), TEXT(NAME, MODE, 256)

#define XTS(BITS)                                                                                            \
    {                                                                                                        \
        .name = "AES-" #BITS "-XTS", .mode = ERSATZ_XTS, .key_len = 2 * (BITS) / 8, .new = cipher_text_new,  \
        .functions = cipher_text_functions                                                                   \
    }

#define AEAD(NAME, MODE, BITS, FAMILY)                                                                       \
    {                                                                                                        \
        .name = NAME, .mode = MODE, .key_len = (BITS) / 8, .new = cipher_##FAMILY##_new,                     \
        .functions = cipher_##FAMILY##_functions                                                             \
    }

static const struct cipher list[] = {
    TEXT_OF_EACH_SIZE("CBC", ERSATZ_CBC),
    TEXT_OF_EACH_SIZE("ECB", ERSATZ_ECB),
    TEXT_OF_EACH_SIZE("CTR", ERSATZ_CTR),
    TEXT_OF_EACH_SIZE("CFB", ERSATZ_CFB),
    TEXT_OF_EACH_SIZE("OFB", ERSATZ_OFB),
    XTS(128),
    XTS(256),
    AEAD("AES-128-GCM", ERSATZ_GCM, 128, gcm),
    AEAD("AES-192-GCM", ERSATZ_GCM, 192, gcm),
    AEAD("AES-256-GCM", ERSATZ_GCM, 256, gcm),
    AEAD("AES-128-CCM", ERSATZ_CCM, 128, ccm),
    AEAD("AES-192-CCM", ERSATZ_CCM, 192, ccm),
    AEAD("AES-256-CCM", ERSATZ_CCM, 256, ccm),
    AEAD("AES-128-CBC-HMAC-SHA1", ERSATZ_CBC_HMAC_SHA1, 128, cbc_hmac),
    AEAD("AES-256-CBC-HMAC-SHA1", ERSATZ_CBC_HMAC_SHA1, 256, cbc_hmac),
    AEAD("AES-128-CBC-HMAC-SHA256", ERSATZ_CBC_HMAC_SHA256, 128, cbc_hmac),
    AEAD("AES-256-CBC-HMAC-SHA256", ERSATZ_CBC_HMAC_SHA256, 256, cbc_hmac),
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

/* libssl would have the stitched ciphers send several records by one call, which the card does by a pipeline.
 */
static bool without_multiblock(const struct cipher *cipher, OSSL_PARAM params[])
{
    return cipher->new != cipher_cbc_hmac_new || answer_int(params, OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, 0);
}

/* A function of the interface has no argument that says which cipher it is for: so each has its own. */
#define CIPHER_FUNCTIONS(i)                                                                                  \
    static void *new_##i(void *provider)                                                                     \
    {                                                                                                        \
        return list[(i) % CIPHERS].new(&list[(i) % CIPHERS], provider);                                      \
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

static any_fn *function_of(const OSSL_ALGORITHM *algorithm, int number)
{
    for (const OSSL_DISPATCH *each = algorithm->implementation; each->function_id != 0; each++) {
        if (each->function_id == number)
            return each->function;
    }
    return NULL;
}

/* Fill the slot of a cipher. False: libcrypto's has not what we need. */
static bool fill(struct offered *slot, unsigned i, const OSSL_ALGORITHM *theirs)
{
    const OSSL_DISPATCH *each;
    unsigned count = OWN_FUNCTIONS;

    if (slot->functions[0].function_id != 0)
        return true; /* for another library context, and in use */
    slot->get = (OSSL_FUNC_cipher_get_params_fn *)function_of(theirs, OSSL_FUNC_CIPHER_GET_PARAMS);
    slot->gettable =
        (OSSL_FUNC_cipher_gettable_params_fn *)function_of(theirs, OSSL_FUNC_CIPHER_GETTABLE_PARAMS);
    slot->gettable_for =
        (OSSL_FUNC_cipher_gettable_ctx_params_fn *)function_of(theirs, OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS);
    slot->settable_for =
        (OSSL_FUNC_cipher_settable_ctx_params_fn *)function_of(theirs, OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS);
    if (slot->get == NULL || slot->gettable == NULL || slot->gettable_for == NULL ||
        slot->settable_for == NULL)
        return false;
    for (each = list[i].functions; each->function_id != 0; each++)
        slot->functions[count++] = *each;
    slot->functions[count] = (OSSL_DISPATCH){0, NULL};
    memcpy(slot->functions, own[i], sizeof(own[i]));
    return true;
}

/* Whether `names`, separated by colons, begins with this one. */
static bool is_named(const char *names, const char *name)
{
    size_t len = strlen(name);

    return OPENSSL_strncasecmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0');
}

static const OSSL_ALGORITHM *find(const OSSL_ALGORITHM *all, const char *name)
{
    for (; all->algorithm_names != NULL; all++) {
        if (is_named(all->algorithm_names, name))
            return all;
    }
    return NULL;
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
        const OSSL_ALGORITHM *theirs = find(all, list[i].name);

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

/* -------------------------------------------------------------------------------------------------
 * parameters
 */

bool asked_bytes(const OSSL_PARAM params[], const char *name, const uint8_t **bytes, size_t *len, bool *wrong)
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);

    if (param == NULL)
        return false;
    if (param->data_type != OSSL_PARAM_OCTET_STRING) {
        *wrong = true;
        return false;
    }
    *bytes = param->data;
    *len = param->data_size;
    return true;
}

bool answer_size(OSSL_PARAM params[], const char *name, size_t value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return param == NULL || OSSL_PARAM_set_size_t(param, value);
}

bool answer_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return param == NULL || OSSL_PARAM_set_int(param, value);
}

bool answer_unsigned(OSSL_PARAM params[], const char *name, unsigned value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return param == NULL || OSSL_PARAM_set_uint(param, value);
}

bool answer_bytes(OSSL_PARAM params[], const char *name, const void *bytes, size_t len)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    if (param == NULL)
        return true;
    return param->data_type == OSSL_PARAM_OCTET_PTR ? OSSL_PARAM_set_octet_ptr(param, bytes, len)
                                                    : OSSL_PARAM_set_octet_string(param, bytes, len);
}
