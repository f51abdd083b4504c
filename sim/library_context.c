/* The device's own context in libcrypto. */
#include "library_context.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>

/* Constant once made in a process; pthread_once orders the making before every use. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *provider;

/*
 * In the child of a fork: a worker of the parent may have held the context's locks, that of its generator
 * say, and nobody here would ever give them back. The child makes a context of its own; the parent's is left
 * alone, as cipher states made from it still refer to it.
 */
static void forget(void)
{
    static const pthread_once_t again = PTHREAD_ONCE_INIT;

    once = again;
    provider = NULL;
}

static void make(void)
{
    static bool watching; /* under pthread_once */

    if (!watching)
        watching = pthread_atfork(NULL, NULL, forget) == 0;
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
}

OSSL_PROVIDER *library_context_provider(void)
{
    pthread_once(&once, make);
    return provider;
}

void library_context_adopt(void)
{
    if (library_context_provider() != NULL)
        OSSL_LIB_CTX_set0_default(context);
}
