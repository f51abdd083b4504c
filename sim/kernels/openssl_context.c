/* SPDX-License-Identifier: Apache-2.0 */
/* The device's own context in libcrypto. */
#include "openssl_context.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ersatz/undisturbed.h"

#include "ersatz/device.h"

/* Constant once made in a process; if that failed, out of memory for example, it is tried again. */
static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER;
/* Release when both are made, acquire before they are used. */
static _Atomic bool made;
static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *provider;

/*
 * In the child of a fork: a worker of the parent may have held the context's locks, that of its generator
 * say, and nobody here would ever give them back. The child makes a context of its own; the parent's is left
 * alone, as cipher states made from it still refer to it.
 */
static void forget(void)
{
    atomic_store_explicit(&made, false, memory_order_relaxed); /* one thread */
    context = NULL;
    provider = NULL;
}

/* Fails only without memory; the child then uses the parent's context, as most libraries do. */
__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
    pthread_atfork(NULL, NULL, forget);
}

/* Under the lock. */
static void make(void)
{
    context = OSSL_LIB_CTX_new();
    if (context == NULL)
        return;
    /*
     * Blinding an RSA operation takes random numbers. OpenSSL's usual generator is built on AES, and EVP
     * gives it the AES of whatever engine is the default: a worker's generator would then hold a reference to
     * the engine that waits for the worker to end. A generator built on a hash does not.
     */
    if (RAND_set_DRBG_type(context, "HASH-DRBG", NULL, NULL, "SHA2-256") == 1)
        provider = OSSL_PROVIDER_load(context, "default");
    if (provider == NULL) {
        OSSL_LIB_CTX_free(context);
        context = NULL;
    }
}

OSSL_PROVIDER *library_context_provider(void)
{
    struct ersatz_locked locked;
    OSSL_PROVIDER *known;

    if (atomic_load_explicit(&made, memory_order_acquire))
        return provider;
    ersatz_lock(&lock, &locked);
    if (provider == NULL)
        make();
    if (provider != NULL)
        atomic_store_explicit(&made, true, memory_order_release);
    known = provider;
    ersatz_unlock(&locked);
    return known;
}

OSSL_LIB_CTX *library_context_enter(void)
{
    return library_context_provider() != NULL ? OSSL_LIB_CTX_set0_default(context) : NULL;
}

void library_context_leave(OSSL_LIB_CTX *before)
{
    if (before != NULL)
        OSSL_LIB_CTX_set0_default(before);
}

void *ersatz_random_enter(void)
{
    return library_context_enter();
}

void ersatz_random_leave(void *before)
{
    library_context_leave(before);
}

void library_context_adopt(void)
{
    library_context_enter();
}

enum ersatz_result ersatz_random(uint8_t *out, size_t len, bool secret)
{
    int (*draw)(OSSL_LIB_CTX *, unsigned char *, size_t, unsigned) =
        secret ? RAND_priv_bytes_ex : RAND_bytes_ex;

    if (library_context_provider() == NULL || draw(context, out, len, 0) != 1)
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

void library_context_disown(void)
{
    OSSL_LIB_CTX_set0_default(OSSL_LIB_CTX_get0_global_default());
}
