/* SPDX-License-Identifier: Apache-2.0 */
/* The ways an operation can take. */
#include "all_ways.h"

#include <openssl/engine.h>

static const char *thresholds(unsigned bytes)
{
    static const char *const modes[] = {
        "CBC", "CTR", "GCM", "XTS", "ECB", "CFB", "OFB", "CCM", "CBC-HMAC-SHA1", "CBC-HMAC-SHA256"};
    static char value[2048];
    size_t used = 0;

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        for (unsigned bits = 128; bits <= 256; bits += 64) {
            if (bits == 192 && (strcmp(modes[i], "XTS") == 0 || strstr(modes[i], "HMAC") != NULL))
                continue;
            used += (size_t)snprintf(value + used, sizeof(value) - used, "%sAES-%u-%s:%u",
                used == 0 ? "" : ",", bits, modes[i], bytes);
        }
    }
    return value;
}

void ways_set_thresholds(struct card *card, unsigned bytes)
{
    card_command(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", thresholds(bytes));
}

struct card *ways_card(const char *more)
{
    struct card *card = card_load(more);

    ways_set_thresholds(card, 0);
    return card;
}

#ifndef OPENSSL_NO_ENGINE
static void set_default_engine(ENGINE *engine, bool is_default)
{
    if (is_default)
        CHECK(ENGINE_set_default_ciphers(engine));
    else
        ENGINE_unregister_ciphers(engine);
}

#else
static void set_default_engine(ENGINE *engine, bool is_default)
{
    CHECK(engine == NULL && !is_default); /* there are none */
}
#endif

/* Of a provider its library context becomes the default one, where operations ask for the provider. */
static void set_default_context(OSSL_LIB_CTX *context, bool is_default)
{
    static OSSL_LIB_CTX *before;

    if (is_default) {
        CHECK(EVP_set_default_properties(context, "?provider=ersatz"));
        before = OSSL_LIB_CTX_set0_default(context);
    } else if (before != NULL) {
        OSSL_LIB_CTX_set0_default(before);
    }
}

void ways_set_default(struct card *card, bool is_default)
{
    if (card_engine(card) != NULL)
        set_default_engine(card_engine(card), is_default);
    else
        set_default_context(card_context(card), is_default);
}

int ways_cipher_init(struct card *card, EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
    const unsigned char *key, const unsigned char *iv, int encrypt)
{
    return card_cipher_init(card, ctx, EVP_CIPHER_get0_name(cipher), key, iv, encrypt);
}

bool ways_have_cipher(struct card *card, const EVP_CIPHER *cipher)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool has = ways_cipher_init(card, ctx, cipher, NULL, NULL, 1) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return has;
}

struct call {
    int (*function)(void *);
    void *arg;
};

static int in_job(void *arg)
{
    const struct call *call = *(struct call **)arg;

    return call->function(call->arg);
}

bool way_run(enum way way, int (*function)(void *), void *arg)
{
    struct call call = {function, arg};
    struct job job;
    bool done;

    if (way == WAY_PLAIN)
        return function(arg);
    job_init(&job, way == WAY_FD ? BY_FD : BY_CALLBACK, in_job, &call);
    job_run(&job);
    done = job_finish(&job);
    job_free(&job);
    return done;
}

uint32_t number_below(struct numbers *numbers, uint32_t limit)
{
    /* xorshift64*: Marsaglia 2003, Vigna 2016 */
    numbers->state ^= numbers->state >> 12;
    numbers->state ^= numbers->state << 25;
    numbers->state ^= numbers->state >> 27;
    return (uint32_t)((numbers->state * UINT64_C(2685821657736338717)) >> 33) % limit;
}

void number_fill(struct numbers *numbers, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)out)[i] = (unsigned char)number_below(numbers, 256);
}
