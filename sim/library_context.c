/* The device's own context in libcrypto. */
#include "library_context.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>

/* Constant once made; pthread_once orders the making before every use. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *provider;

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
