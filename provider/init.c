/* SPDX-License-Identifier: Apache-2.0 */
/* The module's entry as a provider: see provider(7), provider-base(7). */
#include <dlfcn.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "choice.h"
#include "cipher.h"
#include "driver/card.h"
#include "driver/door.h"
#include "driver/error.h"
#include "driver/refusal.h"
#include "ersatz/undisturbed.h"
#include "provider.h"
#include "rsa_originals.h"
#include "secret_keys.h"
#include "settings.h"

#define NAME "ersatz: a simulated asynchronous crypto accelerator"

static const OSSL_PARAM *gettable_params(void *arg)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };

    (void)arg;
    return params;
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    OSSL_PARAM *p;

    (void)arg;
    return ((p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME)) == NULL ||
               OSSL_PARAM_set_utf8_ptr(p, NAME)) &&
           ((p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION)) == NULL ||
               OSSL_PARAM_set_utf8_ptr(p, ERSATZ_VERSION)) &&
           ((p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_BUILDINFO)) == NULL ||
               OSSL_PARAM_set_utf8_ptr(p, ERSATZ_VERSION " with " OPENSSL_VERSION_TEXT)) &&
           ((p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS)) == NULL || OSSL_PARAM_set_int(p, 1));
}

static const OSSL_ALGORITHM *query_operation(void *arg, int operation, int *no_cache)
{
    const struct provider *provider = arg;

    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_CIPHER:
        return provider->ciphers;
    case OSSL_OP_KEYMGMT:
        return provider->keys;
    case OSSL_OP_SIGNATURE:
        return provider->signatures;
    case OSSL_OP_ASYM_CIPHER:
        return provider->encryptions;
    case OSSL_OP_KEM:
        return provider->encapsulations;
    case OPERATION_SECRET_KEYS:
        return provider->secret_keys;
    default:
        return NULL;
    }
}

/* libssl asks every provider for groups and the like; an unknown name is no error. */
static int get_capabilities(void *arg, const char *capability, OSSL_CALLBACK *callback, void *callback_arg)
{
    (void)arg;
    return settings_are_asked(capability) ? settings_run(capability, callback, callback_arg) : 1;
}

static void free_provider(struct provider *provider)
{
    choice_undo(provider);
    cipher_list_free(provider);
    secret_keys_free(provider);
    rsa_originals_unwrap(provider);
    OSSL_PROVIDER_unload(provider->legacy);
    OSSL_PROVIDER_unload(provider->originals);
    OSSL_LIB_CTX_free(provider->own);
    free(provider);
}

static void teardown(void *arg)
{
    free_provider(arg);
    card_leave();
    door_close();
}

/* Threads that load the provider into one library context at a time each come here: of the providers that
 * they make, libcrypto keeps one. */
static struct ersatz_lock generator_lock = ERSATZ_LOCK_INITIALIZER;

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&generator_lock);
}

/*
 * libcrypto's generator of random numbers asks for AES by the ordinary way, in OpenSSL 3.0 to 3.4: with this
 * provider in front it would take ours. Our AES does not pause in there (driver/aes_text.c), but the
 * generator would hold on to the provider. So it takes another provider's, whichever the application's
 * properties allow: there may be no default one. Which kind of generator was chosen before cannot be asked
 * without making one. Fails once there is a generator, which then has its AES already.
 */
static void keep_out_of_generator(OSSL_LIB_CTX *application)
{
    struct ersatz_locked locked;

    if (OpenSSL_version_num() >= 0x30500000) /* it asks its own provider first */
        return;
    ERR_set_mark();
    ersatz_lock(&generator_lock, &locked); /* libcrypto takes none */
    (void)RAND_set_DRBG_type(application, "CTR-DRBG", "provider!=ersatz", "AES-256-CTR", NULL);
    ersatz_unlock(&locked);
    ERR_pop_to_mark();
}

static bool set_up(struct provider *provider)
{
    provider->own = OSSL_LIB_CTX_new();
    if (provider->own == NULL)
        return false;
    provider->originals = OSSL_PROVIDER_load(provider->own, "default");
    if (provider->originals == NULL)
        return false;
    provider->originals_context = OSSL_PROVIDER_get0_provider_ctx(provider->originals);
    return cipher_list_make(provider) && secret_keys_offer(provider) && rsa_originals_wrap(provider);
}

/* Whether the libcrypto that loads us is the one that this module is linked with. A second one in the
 * process, linked into the program, shares nothing with ours. */
static bool is_own_libcrypto(const OSSL_DISPATCH *in)
{
    void (*function)(void) = provider_function(in, OSSL_FUNC_CORE_GET_PARAMS);
    Dl_info theirs, ours;

    return function != NULL && dladdr((void *)function, &theirs) != 0 &&
           dladdr((void *)OPENSSL_init_crypto, &ours) != 0 && theirs.dli_fbase == ours.dli_fbase;
}

static OSSL_LIB_CTX *application_of(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in)
{
    OSSL_FUNC_core_get_libctx_fn *get =
        (OSSL_FUNC_core_get_libctx_fn *)provider_function(in, OSSL_FUNC_CORE_GET_LIBCTX);

    return get == NULL ? NULL : (OSSL_LIB_CTX *)get(handle);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query_operation},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
    {0, NULL},
};

/* NULL, with an error raised. */
static struct provider *open_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in)
{
    struct configuration configuration = {.handle = handle, .in = in};
    struct provider *provider;

    if (!door_open(settings_configure, &configuration))
        return NULL;
    provider = calloc(1, sizeof(*provider));
    if (provider == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
    } else {
        provider->application = application_of(handle, in);
        if (door_has_card() && set_up(provider) && choice_make(provider, &configuration)) {
            card_use();
            return provider;
        }
        free_provider(provider);
    }
    door_close();
    return NULL;
}

#pragma GCC visibility push(default)
int OSSL_provider_init(
    const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context)
{
    struct provider *provider;

    error_load();
    if (!is_own_libcrypto(in)) {
        door_refuse_libcrypto();
        provider = NULL;
    } else {
        provider = open_provider(handle, in);
    }
    if (provider == NULL) {
        refusal_say(); /* a program that loads providers by its configuration goes on without, in silence */
        return 0;
    }
    refusal_end();
    keep_out_of_generator(provider->application);
    *out = functions;
    *context = provider;
    return 1;
}
#pragma GCC visibility pop
