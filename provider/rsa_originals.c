/* SPDX-License-Identifier: Apache-2.0 */
/* See rsa_originals.h. */
#include "rsa_originals.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "driver/error.h"
#include "ersatz/undisturbed.h"
#include "rsa_original.h"

#define PROPERTIES "provider=ersatz,ersatz.rsa=yes"

static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER; /* while what follows is filled */

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

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

bool rsa_originals_wrap(struct provider *provider)
{
    static const OSSL_DISPATCH *const encryptions[] = {encryption_functions};
    static const OSSL_DISPATCH *const encapsulations[] = {encapsulation_functions};
    const struct plan for_keys = {OSSL_OP_KEYMGMT, KEYMGMT_LAST, rsa_keys, rsa_key_functions, KEYS};
    const struct plan for_signatures = {
        OSSL_OP_SIGNATURE, SIGNATURE_LAST, signatures, signature_functions, SIGNATURES};
    const struct plan for_encryption = {OSSL_OP_ASYM_CIPHER, ASYM_CIPHER_LAST, &encryption, encryptions, 1};
    const struct plan for_encapsulation = {OSSL_OP_KEM, KEM_LAST, &encapsulation, encapsulations, 1};
    struct ersatz_locked locked;
    bool ok;

    ersatz_lock(&lock, &locked);
    ok = rsa_keys_prepare();
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
        if (rsa_key_takes_method(&rsa_keys[i], provider))
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
