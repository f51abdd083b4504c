/* SPDX-License-Identifier: Apache-2.0 */
/* See secret_keys.h. */
#include "secret_keys.h"

#include <openssl/core_dispatch.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "driver/error.h"
#include "ersatz/undisturbed.h"

#define PROPERTIES "provider=ersatz,ersatz.aes=yes"

/* The functions' numbers and more of OpenSSL 3.5, whose headers may not be those of the build. */
enum { FREE = 1, IMPORT, EXPORT, GENERATE, GET_KEY_ID, IMPORT_SETTABLE, GENERATE_SETTABLE, NUMBERS };
#define SELECT_SECRET_KEY 0x02
#define PARAM_RAW_BYTES "raw-bytes"

typedef void any_fn(void);
typedef void *import_fn(void *provider, int selection, const OSSL_PARAM params[]);
typedef int export_fn(void *key, int selection, OSSL_CALLBACK *callback, void *arg);
typedef void *generate_fn(void *provider, const OSSL_PARAM params[]);
typedef const OSSL_PARAM *settable_fn(void *provider);

/* libcrypto's types AES, whose keys have 16, 24 or 32 bytes, and GENERIC-SECRET. */
enum { OF_AES, OF_ANY_SIZE, TYPES };

/* libcrypto's functions of each type, by number, and ours. Written once, before any of it is used. */
static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER; /* while they are written */
static any_fn *theirs[TYPES][NUMBERS];
static OSSL_DISPATCH ours[TYPES][NUMBERS];

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

/* A function of the interface has no argument that says which type it is for: so each has its own. The
 * argument is OF_AES or OF_ANY_SIZE. */
#define FUNCTIONS(type)                                                                                      \
    static void *import_##type(void *provider, int selection, const OSSL_PARAM params[])                     \
    {                                                                                                        \
        return ((import_fn *)theirs[type][IMPORT])(                                                          \
            ((struct provider *)provider)->originals_context, selection, params);                            \
    }                                                                                                        \
    static void *generate_##type(void *provider, const OSSL_PARAM params[])                                  \
    {                                                                                                        \
        return ((generate_fn *)theirs[type][GENERATE])(                                                      \
            ((struct provider *)provider)->originals_context, params);                                       \
    }                                                                                                        \
    static const OSSL_PARAM *import_settable_##type(void *provider)                                          \
    {                                                                                                        \
        return ((settable_fn *)theirs[type][IMPORT_SETTABLE])(                                               \
            ((struct provider *)provider)->originals_context);                                               \
    }                                                                                                        \
    static const OSSL_PARAM *generate_settable_##type(void *provider)                                        \
    {                                                                                                        \
        return ((settable_fn *)theirs[type][GENERATE_SETTABLE])(                                             \
            ((struct provider *)provider)->originals_context);                                               \
    }

FUNCTIONS(OF_AES)
FUNCTIONS(OF_ANY_SIZE)

#define LIST(type)                                                                                           \
    {                                                                                                        \
        [IMPORT] = (any_fn *)import_##type, [GENERATE] = (any_fn *)generate_##type,                          \
        [IMPORT_SETTABLE] = (any_fn *)import_settable_##type,                                                \
        [GENERATE_SETTABLE] = (any_fn *)generate_settable_##type                                             \
    }

static any_fn *const replaced[TYPES][NUMBERS] = {LIST(OF_AES), LIST(OF_ANY_SIZE)};

/* Fill the tables of a type, unless that was done for another library context. */
static void wrap(unsigned type, const OSSL_DISPATCH *all)
{
    unsigned count = 0;

    if (ours[type][0].function_id != 0)
        return;
    for (int number = FREE; number < NUMBERS; number++) {
        any_fn *function = provider_function(all, number), *other = replaced[type][number];

        theirs[type][number] = function;
        if (function != NULL)
            ours[type][count++] = (OSSL_DISPATCH){number, other != NULL ? other : function};
    }
}

bool secret_keys_offer(struct provider *provider)
{
    int no_cache;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(provider->originals, OPERATION_SECRET_KEYS, &no_cache);
    const OSSL_ALGORITHM *aes, *any_size;
    struct ersatz_locked locked;
    unsigned ciphers = 0, count = 0;

    if (all == NULL)
        return true;
    aes = provider_find(all, "AES");
    any_size = provider_find(all, "GENERIC-SECRET");
    while (provider->ciphers[ciphers].algorithm_names != NULL)
        ciphers++;
    provider->secret_keys = calloc(ciphers + 2, sizeof(*provider->secret_keys)); /* and AES, and the end */
    if (provider->secret_keys == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return false;
    }
    ersatz_lock(&lock, &locked);
    if (aes != NULL) {
        wrap(OF_AES, aes->implementation);
        provider->secret_keys[count++] =
            (OSSL_ALGORITHM){aes->algorithm_names, PROPERTIES, ours[OF_AES], aes->algorithm_description};
    }
    if (any_size != NULL) {
        wrap(OF_ANY_SIZE, any_size->implementation);
        for (unsigned i = 0; i < ciphers; i++)
            provider->secret_keys[count++] = (OSSL_ALGORITHM){provider->ciphers[i].algorithm_names,
                PROPERTIES, ours[OF_ANY_SIZE], any_size->algorithm_description};
    }
    ersatz_unlock(&locked);
    OSSL_PROVIDER_unquery_operation(provider->originals, OPERATION_SECRET_KEYS, all);
    return true;
}

void secret_keys_free(struct provider *provider)
{
    free(provider->secret_keys);
    provider->secret_keys = NULL;
}

/* ---------------------------------------------------------------------------------------------- bytes */

struct use {
    int (*use)(const uint8_t *bytes, size_t len, void *arg);
    void *arg;
    bool called;
    int result;
};

static int use_bytes(const OSSL_PARAM params[], void *arg)
{
    struct use *use = arg;
    const OSSL_PARAM *bytes = OSSL_PARAM_locate_const(params, PARAM_RAW_BYTES);

    if (bytes == NULL || bytes->data_type != OSSL_PARAM_OCTET_STRING)
        return 0;
    use->called = true;
    use->result = use->use(bytes->data, bytes->data_size, use->arg);
    return 1;
}

/* Of which type the key is, only libcrypto knows: its functions refuse a key of another type. */
int secret_key_use(void *key, int (*use)(const uint8_t *bytes, size_t len, void *arg), void *arg)
{
    struct use how = {.use = use, .arg = arg};

    for (unsigned type = 0; type < TYPES && !how.called; type++) {
        if (theirs[type][EXPORT] != NULL)
            (void)((export_fn *)theirs[type][EXPORT])(key, SELECT_SECRET_KEY, use_bytes, &how);
    }
    return how.result;
}
