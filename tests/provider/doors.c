/* SPDX-License-Identifier: Apache-2.0 */
/* The module as an engine that is the default, and as a provider, in one process, loaded and left in any
 * order: keys of both doors work, and one card computes for both. */
#include <openssl/engine.h>

#include "check.h"
#include "proc.h"
#include "support/door.h"

#define WORKERS 2

static unsigned methods = ENGINE_METHOD_RSA; /* for which the engine is the default */
static struct card cards[2];                 /* as an engine, as a provider */
static long signatures;                      /* by either door */

static void open_door(bool provider)
{
    struct card *card = &cards[provider];

    *card = (struct card){.context = provider ? OSSL_LIB_CTX_new() : NULL};
    CHECK((provider ? &provider_door : &engine_door)
              ->open(card, getenv("ERSATZ_MODULE"), "SYNC_OFFLOAD:1;WORKERS:2;INSTANCES:2"));
    if (!provider)
        CHECK_EQ(ENGINE_set_default(card->engine, methods), 1);
}

static void close_door(bool provider)
{
    (provider ? &provider_door : &engine_door)->close(&cards[provider]);
}

/* The default provider's keys are the engine's. */
static void use_door(bool provider)
{
    static const unsigned char text[] = "signed";
    unsigned char signature[128];
    size_t len = sizeof(signature);
    OSSL_LIB_CTX *context = cards[provider].context;
    const char *properties = provider ? "?provider=ersatz" : "provider=default";
    EVP_PKEY *key = EVP_PKEY_Q_keygen(context, properties, "RSA", (size_t)1024);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    CHECK(key != NULL);
    CHECK_EQ(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", context, properties, key, NULL), 1);
    CHECK_EQ(EVP_DigestSign(ctx, signature, &len, text, sizeof(text)), 1);
    signatures++;
    CHECK_EQ(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", context, properties, key, NULL), 1);
    CHECK_EQ(EVP_DigestVerify(ctx, signature, len, text, sizeof(text)), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static long count_signatures(void)
{
    char *text, *at;
    long count;

    CHECK(provider_door.run(&cards[1], "STATS", NULL, NULL, &text));
    at = strstr(text, "\"rsa_priv\": ");
    CHECK(at != NULL);
    count = strtol(at + strlen("\"rsa_priv\": "), NULL, 10);
    free(text);
    return count;
}

/* Each argument: whether the provider does so, or the engine. */
static void live(bool first, bool leaves_first)
{
    int alone = count_threads();

    open_door(first);
    use_door(first);
    open_door(!first);
    use_door(false);
    use_door(true);
    expect_threads(alone + WORKERS);
    CHECK_EQ(count_signatures(), signatures);
    if (methods == ENGINE_METHOD_ALL)
        return; /* libcrypto's generator of random numbers uses the engine until the process ends */
    close_door(leaves_first);
    use_door(!leaves_first);
    if (!leaves_first)
        CHECK_EQ(count_signatures(), signatures);
    expect_threads(alone + WORKERS);
    close_door(!leaves_first);
    expect_threads(alone);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    test_begin(120);
    for (unsigned i = 0; i < 4; i++)
        live((i & 1) != 0, (i & 2) != 0);
    methods = ENGINE_METHOD_ALL;
    live(strcmp(argv[1], "provider") == 0, false);
    return 0;
}
