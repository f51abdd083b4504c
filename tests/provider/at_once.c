/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads load the provider at the same time. Functions of libcrypto's that take no lock are replaced by ones
 * that stay a while and look whether another thread comes.
 */
#include <dlfcn.h>
#include <libgen.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define THREADS 8u
#define STAY_US 20000

static _Atomic unsigned names_loaded, generator_inside;
static const RSA_METHOD *other_method; /* NULL: the default one does not change */

#define INSTEAD __attribute__((visibility("default")))

/* libcrypto calls it for other providers, too. */
INSTEAD int ERR_load_strings(int library, ERR_STRING_DATA *strings)
{
    int (*real)(int, ERR_STRING_DATA *);

    *(void **)&real = dlsym(RTLD_NEXT, "ERR_load_strings");
    if (strcmp(strings->string, "ersatz") == 0) {
        names_loaded++;
        usleep(STAY_US);
    }
    return real(library, strings);
}

INSTEAD int RAND_set_DRBG_type(
    OSSL_LIB_CTX *context, const char *drbg, const char *properties, const char *cipher, const char *digest)
{
    int (*real)(OSSL_LIB_CTX *, const char *, const char *, const char *, const char *), result;

    *(void **)&real = dlsym(RTLD_NEXT, "RAND_set_DRBG_type");
    CHECK_EQ(atomic_fetch_add(&generator_inside, 1), 0);
    usleep(STAY_US);
    result = real(context, drbg, properties, cipher, digest);
    generator_inside--;
    return result;
}

/* As if another thread changed it just after. libcrypto calls this for a new key, too. */
INSTEAD const RSA_METHOD *RSA_get_default_method(void)
{
    const RSA_METHOD *(*real)(void), *method;

    *(void **)&real = dlsym(RTLD_NEXT, "RSA_get_default_method");
    method = real();
    if (other_method != NULL)
        RSA_set_default_method(other_method);
    return method;
}

static void *load(void *barrier)
{
    OSSL_PROVIDER *provider;

    pthread_barrier_wait(barrier);
    provider = OSSL_PROVIDER_load(NULL, "ersatz");
    CHECK(provider != NULL);
    return provider;
}

int main(void)
{
    char *module = strdup(getenv("ERSATZ_MODULE")), *folder = dirname(module);
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    void *loaded;

    CHECK(OSSL_PROVIDER_set_default_search_path(NULL, folder));
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, load, &barrier), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], &loaded), 0);
        CHECK(OSSL_PROVIDER_unload(loaded));
    }
    CHECK_EQ(names_loaded, 1);

    other_method = RSA_meth_dup(RSA_get_default_method());
    context = OSSL_LIB_CTX_new();
    CHECK(OSSL_PROVIDER_set_default_search_path(context, folder));
    provider = OSSL_PROVIDER_load(context, "ersatz");
    CHECK(provider != NULL && OSSL_PROVIDER_unload(provider));
    OSSL_LIB_CTX_free(context);
    free(module);
    return 0;
}
