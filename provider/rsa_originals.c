/* SPDX-License-Identifier: Apache-2.0 */
/* See rsa_originals.h. */
#include "rsa_originals.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "driver/error.h"
#include "driver/rsa.h"
#include "ersatz/undisturbed.h"

#define PROPERTIES "provider=ersatz,ersatz.rsa=yes"

/* Function numbers that came after OpenSSL 3.0, whose headers may lack them. They are part of the
 * interface. */
enum {
    KEYMGMT_GEN_GET_PARAMS = 15,
    KEYMGMT_GEN_GETTABLE_PARAMS = 16,
    KEYMGMT_NEW_EX = 17,
    KEYMGMT_IMPORT_TYPES_EX = 45,
    KEYMGMT_EXPORT_TYPES_EX = 46,
};

/* The last number of each operation that is known here (OpenSSL 4.0). */
enum { KEYMGMT_LAST = 46, SIGNATURE_LAST = 32, ASYM_CIPHER_LAST = 11, KEM_LAST = 13, NUMBERS = 47 };

typedef void any_fn(void);

static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER; /* while what follows is filled */

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

/* One algorithm of libcrypto's. Its functions belong to the code and not to a library context: one set serves
 * all providers. Written once, before any of it is used. */
struct original {
    any_fn *functions[NUMBERS];  /* libcrypto's, by number; NULL: there is none */
    OSSL_DISPATCH ours[NUMBERS]; /* what we offer */
};

/* Call libcrypto's function of that number and type. */
#define THEIRS(original, number, type) ((type *)(original)->functions[number])

/* Functions of one parameter, or of a context and a provider context, that list parameters. */
typedef const OSSL_PARAM *list_fn(void *provider);
typedef const OSSL_PARAM *list_for_fn(void *context, void *provider);
typedef const OSSL_PARAM *list_types_fn(void *provider, int selection);

/* ------------------------------------------------------------------------------------------------ keys */

#define KEYS 2u /* RSA, RSA-PSS */

static struct original keys[KEYS];
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
#define FUNCTION(number, function)                                                                           \
    {                                                                                                        \
        number, (any_fn *)(function)                                                                         \
    }

#define KEY_FUNCTIONS(i)                                                                                     \
    static void *key_new_##i(void *provider)                                                                 \
    {                                                                                                        \
        return key_new(&keys[i], provider);                                                                  \
    }                                                                                                        \
    static void *key_new_ex_##i(void *provider, const OSSL_PARAM params[])                                   \
    {                                                                                                        \
        return key_new_ex(&keys[i], provider, params);                                                       \
    }                                                                                                        \
    static void *key_dup_##i(const void *key, int selection)                                                 \
    {                                                                                                        \
        return key_dup(&keys[i], key, selection);                                                            \
    }                                                                                                        \
    static void *gen_init_##i(void *provider, int selection, const OSSL_PARAM params[])                      \
    {                                                                                                        \
        return gen_init(&keys[i], provider, selection, params);                                              \
    }                                                                                                        \
    static const OSSL_PARAM *gen_settable_##i(void *generation, void *provider)                              \
    {                                                                                                        \
        return gen_list(&keys[i], OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, generation, provider);              \
    }                                                                                                        \
    static const OSSL_PARAM *gen_gettable_##i(void *generation, void *provider)                              \
    {                                                                                                        \
        return gen_list(&keys[i], KEYMGMT_GEN_GETTABLE_PARAMS, generation, provider);                        \
    }                                                                                                        \
    static const OSSL_PARAM *key_gettable_##i(void *provider)                                                \
    {                                                                                                        \
        return list(&keys[i], OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, provider);                                  \
    }                                                                                                        \
    static const OSSL_PARAM *key_settable_##i(void *provider)                                                \
    {                                                                                                        \
        return list(&keys[i], OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, provider);                                  \
    }                                                                                                        \
    static const OSSL_PARAM *import_types_##i(void *provider, int selection)                                 \
    {                                                                                                        \
        return list_types(&keys[i], KEYMGMT_IMPORT_TYPES_EX, provider, selection);                           \
    }                                                                                                        \
    static const OSSL_PARAM *export_types_##i(void *provider, int selection)                                 \
    {                                                                                                        \
        return list_types(&keys[i], KEYMGMT_EXPORT_TYPES_EX, provider, selection);                           \
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

static const OSSL_DISPATCH *const key_functions[KEYS] = {key_functions_0, key_functions_1};

/* ------------------------------------------------------------------------------------------ operations */

#define SIGNATURES 24u /* RSA itself, and from OpenSSL 3.4 on one with each digest: 15 */

static struct original signatures[SIGNATURES], encryption, encapsulation;

static const OSSL_PARAM *list_for(
    const struct original *original, unsigned number, void *context, const struct provider *provider)
{
    return THEIRS(original, number, list_for_fn)(context, provider->originals_context);
}

/*
 * Signatures and OAEP find their digests in our own library context. Where the application has loaded
 * libcrypto's legacy provider, it expects that one's digests, too.
 */
static void look_for_legacy(struct provider *provider)
{
    struct ersatz_locked locked;

    if (atomic_load_explicit(&provider->knows_legacy, memory_order_acquire) ||
        !OSSL_PROVIDER_available(provider->application, "legacy"))
        return;
    ersatz_lock(&lock, &locked);
    if (!atomic_load_explicit(&provider->knows_legacy, memory_order_relaxed)) {
        ERR_set_mark();
        provider->legacy = OSSL_PROVIDER_load(provider->own, "legacy");
        ERR_pop_to_mark(); /* without it, the digest is refused */
        atomic_store_explicit(&provider->knows_legacy, true, memory_order_release);
    }
    ersatz_unlock(&locked);
}

#define SIGNATURE_FUNCTIONS(i)                                                                               \
    static void *signature_new_##i(void *provider, const char *properties)                                   \
    {                                                                                                        \
        look_for_legacy(provider);                                                                           \
        return THEIRS(&signatures[i], OSSL_FUNC_SIGNATURE_NEWCTX, OSSL_FUNC_signature_newctx_fn)(            \
            ((struct provider *)provider)->originals_context, properties);                                   \
    }                                                                                                        \
    static const OSSL_PARAM *signature_gettable_##i(void *context, void *provider)                           \
    {                                                                                                        \
        return list_for(&signatures[i], OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, context, provider);         \
    }                                                                                                        \
    static const OSSL_PARAM *signature_settable_##i(void *context, void *provider)                           \
    {                                                                                                        \
        return list_for(&signatures[i], OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, context, provider);         \
    }                                                                                                        \
    static const OSSL_DISPATCH signature_functions_##i[] = {                                                 \
        FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new_##i),                                             \
        FUNCTION(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, signature_gettable_##i),                           \
        FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable_##i),                           \
        {0, NULL},                                                                                           \
    };

/* What X(n) stands for, for each of SIGNATURES. */
/* clang-format off */
#define EACH_SIGNATURE(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) \
    X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
/* clang-format on */

EACH_SIGNATURE(SIGNATURE_FUNCTIONS)

#define NAME_OF_SIGNATURE_FUNCTIONS(i) signature_functions_##i,
static const OSSL_DISPATCH *const signature_functions[SIGNATURES] = {
    EACH_SIGNATURE(NAME_OF_SIGNATURE_FUNCTIONS)};

static void *encryption_new(void *provider)
{
    look_for_legacy(provider);
    return THEIRS(&encryption, OSSL_FUNC_ASYM_CIPHER_NEWCTX, OSSL_FUNC_asym_cipher_newctx_fn)(
        ((struct provider *)provider)->originals_context);
}

static const OSSL_PARAM *encryption_gettable(void *context, void *provider)
{
    return list_for(&encryption, OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, context, provider);
}

static const OSSL_PARAM *encryption_settable(void *context, void *provider)
{
    return list_for(&encryption, OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, context, provider);
}

static const OSSL_DISPATCH encryption_functions[] = {
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_NEWCTX, encryption_new),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, encryption_gettable),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, encryption_settable),
    {0, NULL},
};

static void *encapsulation_new(void *provider)
{
    return THEIRS(&encapsulation, OSSL_FUNC_KEM_NEWCTX, OSSL_FUNC_kem_newctx_fn)(
        ((struct provider *)provider)->originals_context);
}

static const OSSL_PARAM *encapsulation_gettable(void *context, void *provider)
{
    return list_for(&encapsulation, OSSL_FUNC_KEM_GETTABLE_CTX_PARAMS, context, provider);
}

static const OSSL_PARAM *encapsulation_settable(void *context, void *provider)
{
    return list_for(&encapsulation, OSSL_FUNC_KEM_SETTABLE_CTX_PARAMS, context, provider);
}

static const OSSL_DISPATCH encapsulation_functions[] = {
    FUNCTION(OSSL_FUNC_KEM_NEWCTX, encapsulation_new),
    FUNCTION(OSSL_FUNC_KEM_GETTABLE_CTX_PARAMS, encapsulation_gettable),
    FUNCTION(OSSL_FUNC_KEM_SETTABLE_CTX_PARAMS, encapsulation_settable),
    {0, NULL},
};

/* -------------------------------------------------------------------------------------------- wrapping */

/* Fill *original with libcrypto's functions up to number last, those in `replaced` by ours. */
static void wrap(
    struct original *original, const OSSL_DISPATCH *theirs, const OSSL_DISPATCH *replaced, int last)
{
    unsigned count = 0;

    if (original->ours[0].function_id != 0)
        return; /* done for another library context, and in use */
    for (; theirs->function_id != 0; theirs++) {
        int number = theirs->function_id;
        any_fn *ours = provider_function(replaced, number);

        if (number > last || original->functions[number] != NULL)
            continue;
        original->functions[number] = theirs->function;
        original->ours[count++] = (OSSL_DISPATCH){number, ours != NULL ? ours : theirs->function};
    }
    original->ours[count] = (OSSL_DISPATCH){0, NULL};
}

static bool is_rsa(const OSSL_ALGORITHM *algorithm)
{
    return strncmp(algorithm->algorithm_names, "RSA", 3) == 0;
}

/* What one operation's algorithms are to become. */
struct plan {
    int operation, last;
    struct original *originals;
    const OSSL_DISPATCH *const *functions;
    unsigned room;
};

/* Offer libcrypto's RSA algorithms of one operation as ours. NULL: there are none. *ok becomes false without
 * memory or room. */
static OSSL_ALGORITHM *offer(struct provider *provider, const struct plan *plan, bool *ok)
{
    int no_cache;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(provider->originals, plan->operation, &no_cache);
    OSSL_ALGORITHM *offered;
    unsigned count = 0;

    if (all == NULL)
        return NULL;
    offered = calloc(plan->room + 1, sizeof(*offered));
    if (offered == NULL) {
        *ok = false;
        return NULL;
    }
    for (const OSSL_ALGORITHM *theirs = all; theirs->algorithm_names != NULL; theirs++) {
        if (!is_rsa(theirs))
            continue;
        if (count == plan->room) {
            error_raise(REASON_DEVICE,
                "libcrypto has more RSA algorithms than this provider knows, such as %s",
                theirs->algorithm_names);
            *ok = false;
            break;
        }
        wrap(&plan->originals[count], theirs->implementation, plan->functions[count], plan->last);
        offered[count] = (OSSL_ALGORITHM){.algorithm_names = theirs->algorithm_names,
            .property_definition = PROPERTIES,
            .implementation = plan->originals[count].ours,
            .algorithm_description = theirs->algorithm_description};
        count++;
    }
    OSSL_PROVIDER_unquery_operation(provider->originals, plan->operation, all);
    if (count == 0) {
        free(offered);
        return NULL;
    }
    return offered;
}

/* Whether a key that is made by *original is an RSA object that takes the card's method, and one that every
 * constructor of keys has given it. */
static bool takes_method(const struct original *original, struct provider *provider)
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

bool rsa_originals_wrap(struct provider *provider)
{
    static const OSSL_DISPATCH *const encryptions[] = {encryption_functions};
    static const OSSL_DISPATCH *const encapsulations[] = {encapsulation_functions};
    const struct plan for_keys = {OSSL_OP_KEYMGMT, KEYMGMT_LAST, keys, key_functions, KEYS};
    const struct plan for_signatures = {
        OSSL_OP_SIGNATURE, SIGNATURE_LAST, signatures, signature_functions, SIGNATURES};
    const struct plan for_encryption = {OSSL_OP_ASYM_CIPHER, ASYM_CIPHER_LAST, &encryption, encryptions, 1};
    const struct plan for_encapsulation = {OSSL_OP_KEM, KEM_LAST, &encapsulation, encapsulations, 1};
    struct ersatz_locked locked;
    bool ok = true;

    ersatz_lock(&lock, &locked);
    if (owner_index <= 0) /* not made yet, or refused */
        owner_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    ok = owner_index > 0;
    provider->keys = offer(provider, &for_keys, &ok);
    provider->signatures = offer(provider, &for_signatures, &ok);
    provider->encryptions = offer(provider, &for_encryption, &ok);
    provider->encapsulations = offer(provider, &for_encapsulation, &ok);
    ersatz_unlock(&locked);
    if (!ok || provider->keys == NULL || provider->signatures == NULL || provider->encryptions == NULL) {
        rsa_originals_unwrap(provider);
        return false;
    }
    for (unsigned i = 0; provider->keys[i].algorithm_names != NULL; i++) {
        if (takes_method(&keys[i], provider))
            continue;
        error_raise(REASON_DEVICE,
            "an RSA key of this libcrypto (%s) does not take a method; RSA is not offered",
            OpenSSL_version(OPENSSL_VERSION));
        rsa_originals_unwrap(provider);
        return false;
    }
    return true;
}

void rsa_originals_unwrap(struct provider *provider)
{
    free(provider->keys);
    free(provider->signatures);
    free(provider->encryptions);
    free(provider->encapsulations);
    provider->keys = provider->signatures = provider->encryptions = provider->encapsulations = NULL;
}
