/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys of libcrypto's with the card's method: made, generated, copied. */
#include <openssl/core_names.h>
#include <stdint.h>
#include <stdlib.h>

#include "driver/error.h"
#include "driver/rsa.h"
#include "rsa_original.h"

/* Function numbers that came after OpenSSL 3.0, whose headers may lack them. They are part of the
 * interface. */
enum {
    KEYMGMT_GEN_GET_PARAMS = 15,
    KEYMGMT_GEN_GETTABLE_PARAMS = 16,
    KEYMGMT_NEW_EX = 17,
    KEYMGMT_IMPORT_TYPES_EX = 45,
    KEYMGMT_EXPORT_TYPES_EX = 46,
};

struct original rsa_keys[KEYS];
static int owner_index; /* of a key's ex_data: its struct provider */

static void key_free(const struct original *original, void *key)
{
    THEIRS(original, OSSL_FUNC_KEYMGMT_FREE, OSSL_FUNC_keymgmt_free_fn)(key);
}

/* Give a new key, or NULL, the card's method. A key that does not take it is freed. */
static void *adopt(const struct original *original, struct provider *provider, void *key)
{
    if (key == NULL)
        return NULL;
    if (RSA_set_method(key, rsa_method()) && RSA_set_ex_data(key, owner_index, provider))
        return key;
    key_free(original, key);
    return NULL;
}

static void *key_new(const struct original *original, struct provider *provider)
{
    return adopt(original, provider,
        THEIRS(original, OSSL_FUNC_KEYMGMT_NEW, OSSL_FUNC_keymgmt_new_fn)(provider->originals_context));
}

static void *key_new_ex(const struct original *original, struct provider *provider, const OSSL_PARAM params[])
{
    typedef void *new_ex_fn(void *, const OSSL_PARAM[]);

    return adopt(
        original, provider, THEIRS(original, KEYMGMT_NEW_EX, new_ex_fn)(provider->originals_context, params));
}

/* A key that is being generated. libcrypto's context does not tell us whose the key will be. */
struct generation {
    const struct original *original;
    struct provider *provider;
    void *context; /* libcrypto's */
};

static void *gen_init(
    const struct original *original, struct provider *provider, int selection, const OSSL_PARAM params[])
{
    struct generation *generation = malloc(sizeof(*generation));

    if (generation == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return NULL;
    }
    generation->original = original;
    generation->provider = provider;
    generation->context = THEIRS(original, OSSL_FUNC_KEYMGMT_GEN_INIT, OSSL_FUNC_keymgmt_gen_init_fn)(
        provider->originals_context, selection, params);
    if (generation->context == NULL) {
        free(generation);
        return NULL;
    }
    return generation;
}

static void gen_cleanup(void *arg)
{
    struct generation *generation = arg;

    if (generation == NULL)
        return;
    THEIRS(generation->original, OSSL_FUNC_KEYMGMT_GEN_CLEANUP, OSSL_FUNC_keymgmt_gen_cleanup_fn)
    (generation->context);
    free(generation);
}

static int gen_set_template(void *arg, void *template)
{
    const struct generation *generation = arg;

    return THEIRS(generation->original, OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE,
        OSSL_FUNC_keymgmt_gen_set_template_fn)(generation->context, template);
}

static int gen_set_params(void *arg, const OSSL_PARAM params[])
{
    const struct generation *generation = arg;

    return THEIRS(generation->original, OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS,
        OSSL_FUNC_keymgmt_gen_set_params_fn)(generation->context, params);
}

static int gen_get_params(void *arg, OSSL_PARAM params[])
{
    typedef int get_params_fn(void *, OSSL_PARAM[]);
    const struct generation *generation = arg;

    return THEIRS(generation->original, KEYMGMT_GEN_GET_PARAMS, get_params_fn)(generation->context, params);
}

static const OSSL_PARAM *gen_list(
    const struct original *original, unsigned number, void *arg, const struct provider *provider)
{
    const struct generation *generation = arg;

    return THEIRS(original, number, list_for_fn)(
        generation == NULL ? NULL : generation->context, provider->originals_context);
}

static void *gen(void *arg, OSSL_CALLBACK *callback, void *callback_arg)
{
    const struct generation *generation = arg;

    return adopt(generation->original, generation->provider,
        THEIRS(generation->original, OSSL_FUNC_KEYMGMT_GEN, OSSL_FUNC_keymgmt_gen_fn)(
            generation->context, callback, callback_arg));
}

struct copy {
    const struct original *original;
    void *key;
    int selection;
};

static int import_copy(const OSSL_PARAM params[], void *arg)
{
    const struct copy *copy = arg;

    return THEIRS(copy->original, OSSL_FUNC_KEYMGMT_IMPORT, OSSL_FUNC_keymgmt_import_fn)(
        copy->key, copy->selection, params);
}

/* By export and import, since libcrypto refuses to copy a key that has another's method. */
static void *key_dup(const struct original *original, const void *key, int selection)
{
    struct copy copy = {.original = original, .selection = selection};

    copy.key = key_new(original, RSA_get_ex_data(key, owner_index));
    if (copy.key == NULL || RSA_get0_n(key) == NULL ||
        (selection & (OSSL_KEYMGMT_SELECT_KEYPAIR | OSSL_KEYMGMT_SELECT_OTHER_PARAMETERS)) == 0)
        return copy.key;
    if (THEIRS(original, OSSL_FUNC_KEYMGMT_EXPORT, OSSL_FUNC_keymgmt_export_fn)(
            (void *)(uintptr_t)key, selection, import_copy, &copy))
        return copy.key;
    key_free(original, copy.key);
    return NULL;
}

static const OSSL_PARAM *list(
    const struct original *original, unsigned number, const struct provider *provider)
{
    return THEIRS(original, number, list_fn)(provider->originals_context);
}

static const OSSL_PARAM *list_types(
    const struct original *original, unsigned number, const struct provider *provider, int selection)
{
    return THEIRS(original, number, list_types_fn)(provider->originals_context, selection);
}

/* A function of the interface has no argument that says which algorithm it is for: so each has its own. */
#define KEY_FUNCTIONS(i)                                                                                     \
    static void *key_new_##i(void *provider)                                                                 \
    {                                                                                                        \
        return key_new(&rsa_keys[i], provider);                                                              \
    }                                                                                                        \
    static void *key_new_ex_##i(void *provider, const OSSL_PARAM params[])                                   \
    {                                                                                                        \
        return key_new_ex(&rsa_keys[i], provider, params);                                                   \
    }                                                                                                        \
    static void *key_dup_##i(const void *key, int selection)                                                 \
    {                                                                                                        \
        return key_dup(&rsa_keys[i], key, selection);                                                        \
    }                                                                                                        \
    static void *gen_init_##i(void *provider, int selection, const OSSL_PARAM params[])                      \
    {                                                                                                        \
        return gen_init(&rsa_keys[i], provider, selection, params);                                          \
    }                                                                                                        \
    static const OSSL_PARAM *gen_settable_##i(void *generation, void *provider)                              \
    {                                                                                                        \
        return gen_list(&rsa_keys[i], OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, generation, provider);          \
    }                                                                                                        \
    static const OSSL_PARAM *gen_gettable_##i(void *generation, void *provider)                              \
    {                                                                                                        \
        return gen_list(&rsa_keys[i], KEYMGMT_GEN_GETTABLE_PARAMS, generation, provider);                    \
    }                                                                                                        \
    static const OSSL_PARAM *key_gettable_##i(void *provider)                                                \
    {                                                                                                        \
        return list(&rsa_keys[i], OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, provider);                              \
    }                                                                                                        \
    static const OSSL_PARAM *key_settable_##i(void *provider)                                                \
    {                                                                                                        \
        return list(&rsa_keys[i], OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, provider);                              \
    }                                                                                                        \
    static const OSSL_PARAM *import_types_##i(void *provider, int selection)                                 \
    {                                                                                                        \
        return list_types(&rsa_keys[i], KEYMGMT_IMPORT_TYPES_EX, provider, selection);                       \
    }                                                                                                        \
    static const OSSL_PARAM *export_types_##i(void *provider, int selection)                                 \
    {                                                                                                        \
        return list_types(&rsa_keys[i], KEYMGMT_EXPORT_TYPES_EX, provider, selection);                       \
    }                                                                                                        \
    static const OSSL_DISPATCH key_functions_##i[] = {                                                       \
        FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new_##i),                                                        \
        FUNCTION(KEYMGMT_NEW_EX, key_new_ex_##i),                                                            \
        FUNCTION(OSSL_FUNC_KEYMGMT_DUP, key_dup_##i),                                                        \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN_INIT, gen_init_##i),                                                  \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, gen_settable_##i),                                   \
        FUNCTION(KEYMGMT_GEN_GETTABLE_PARAMS, gen_gettable_##i),                                             \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, gen_set_template),                                      \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, gen_set_params),                                          \
        FUNCTION(KEYMGMT_GEN_GET_PARAMS, gen_get_params),                                                    \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN, gen),                                                                \
        FUNCTION(OSSL_FUNC_KEYMGMT_GEN_CLEANUP, gen_cleanup),                                                \
        FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_##i),                                       \
        FUNCTION(OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, key_settable_##i),                                       \
        FUNCTION(KEYMGMT_IMPORT_TYPES_EX, import_types_##i),                                                 \
        FUNCTION(KEYMGMT_EXPORT_TYPES_EX, export_types_##i),                                                 \
        {0, NULL},                                                                                           \
    };

KEY_FUNCTIONS(0)
KEY_FUNCTIONS(1)

const OSSL_DISPATCH *const rsa_key_functions[KEYS] = {key_functions_0, key_functions_1};

bool rsa_keys_prepare(void)
{
    if (owner_index <= 0) /* not made yet, or refused */
        owner_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return owner_index > 0;
}

bool rsa_key_takes_method(const struct original *original, struct provider *provider)
{
    OSSL_FUNC_keymgmt_new_fn *new = THEIRS(original, OSSL_FUNC_KEYMGMT_NEW, OSSL_FUNC_keymgmt_new_fn);
    const RSA_METHOD *before = RSA_get_default_method(), *method;
    void *key = new (provider->originals_context), *ours;
    bool taken;

    if (key == NULL)
        return false;
    /* The card's own, if this module is the default ENGINE for RSA, too. And another thread may change the
     * default method. */
    method = RSA_get_method(key);
    taken = method == before || method == RSA_get_default_method() || method == rsa_method();
    key_free(original, key);
    if (!taken)
        return false;
    ours = key_new(original, provider);
    taken = ours != NULL && RSA_get_method(ours) == rsa_method();
    key_free(original, ours);
    return taken;
}
