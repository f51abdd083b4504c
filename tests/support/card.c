/* SPDX-License-Identifier: Apache-2.0 */
/* See card.h. */
#include "support/card.h"

#include <openssl/bn.h>
#include <openssl/engine.h>

#include "check.h"
#include "support/door.h"

bool card_is_provider(void)
{
    const char *name = getenv("DOOR");
    bool is_provider = name != NULL && strcmp(name, "provider") == 0;

    CHECK(name == NULL || is_provider || strcmp(name, "engine") == 0);
    return is_provider;
}

static const struct door *door(void)
{
    if (card_is_provider())
        return &provider_door;
#ifdef OPENSSL_NO_ENGINE
    FAIL("this OpenSSL has no engines: DOOR must be provider");
#else
    return &engine_door;
#endif
}

static struct card *open_card(const char *commands, OSSL_LIB_CTX *context)
{
    struct card *card = calloc(1, sizeof(*card));
    const char *module = getenv("ERSATZ_MODULE");

    CHECK(card != NULL && module != NULL);
    card->context = context;
    if (door()->open(card, module, commands))
        return card;
    free(card);
    return NULL;
}

struct card *card_try(const char *commands)
{
    return open_card(commands, card_is_provider() ? OSSL_LIB_CTX_new() : NULL);
}

static struct card *loaded(struct card *card)
{
    if (card == NULL)
        ERR_print_errors_fp(stderr);
    CHECK(card != NULL);
    return card;
}

struct card *card_load(const char *commands)
{
    return loaded(card_try(commands));
}

struct card *card_load_for_good(const char *commands)
{
    return loaded(open_card(commands, NULL));
}

void card_unload(struct card *card)
{
    door()->close(card);
    free(card);
}

void card_finish(struct card *card)
{
    CHECK(door()->finish(card));
}

void card_init(struct card *card)
{
    CHECK(door()->init(card));
}

/* -------------------------------------------------------------------------------- commands and statistics */

bool card_try_command(struct card *card, const char *name, const char *value)
{
    return door()->run(card, name, value, NULL, NULL);
}

void card_command(struct card *card, const char *name, const char *value)
{
    if (!card_try_command(card, name, value)) {
        ERR_print_errors_fp(stderr);
        FAIL("the command was refused");
    }
}

bool card_ask(struct card *card, const char *command, int *answer)
{
    const char *colon = strchr(command, ':');
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(command, ":"), command);
    return door()->run(card, name, colon == NULL ? NULL : colon + 1, answer, NULL);
}

int card_number(struct card *card, const char *command)
{
    int answer;

    CHECK(card_ask(card, command, &answer));
    return answer;
}

bool card_refuses(struct card *card, const char *name, const char *value, const char *text)
{
    ERR_clear_error();
    return !card_try_command(card, name, value) && error_speaks_of(text);
}

char *card_statistics(struct card *card)
{
    char *text = NULL;

    return door()->run(card, "STATS", NULL, NULL, &text) ? text : NULL;
}

/* -1: there is none. */
static long find_count(struct card *card, const char *name)
{
    char quoted[64], *text = card_statistics(card), *at;
    long count = -1;

    CHECK(text != NULL);
    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    at = strstr(text, quoted);
    if (at != NULL)
        count = strtol(at + strlen(quoted), NULL, 10);
    free(text);
    return count;
}

long card_count(struct card *card, const char *name)
{
    long count = find_count(card, name);

    CHECK(count >= 0);
    return count;
}

bool card_has_count(struct card *card, const char *name)
{
    return find_count(card, name) >= 0;
}

void card_wait_for(struct card *card, const char *name, long value)
{
    while (card_count(card, name) < value)
        usleep(200);
}

void card_wait_in_flight(struct card *card, int count)
{
    while (card_number(card, "GET_NUM_REQUESTS_IN_FLIGHT") != count)
        usleep(200);
}

/* --------------------------------------------------------------------------------------------- operations */

int card_cipher_init(struct card *card, EVP_CIPHER_CTX *ctx, const char *name, const unsigned char *key,
    const unsigned char *iv, int encrypt)
{
    EVP_CIPHER *fetched = NULL;
    const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);
    int done;

    if (card != NULL && card->provider != NULL)
        cipher = fetched = EVP_CIPHER_fetch(card->context, name, "provider=ersatz");
    done = cipher != NULL && EVP_CipherInit_ex(ctx, cipher, card_engine(card), key, iv, encrypt);
    EVP_CIPHER_free(fetched);
    return done;
}

EVP_PKEY *card_key(struct card *card, RSA *numbers)
{
    return door()->new_key(card, numbers);
}

EVP_PKEY_CTX *card_key_context(struct card *card, EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), int padding)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(card_context(card), key, card_properties(card));

    if (ctx == NULL || init(ctx) <= 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, padding) <= 0) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    CHECK(card == NULL || EVP_PKEY_CTX_get0_provider(ctx) == card->provider);
    return ctx;
}

static int operate(struct card *card, EVP_PKEY *key, int padding, int (*init)(EVP_PKEY_CTX *),
    int (*work)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t),
    const unsigned char *in, size_t in_len, unsigned char *out)
{
    EVP_PKEY_CTX *ctx = card_key_context(card, key, init, padding);
    size_t len = (size_t)EVP_PKEY_get_size(key);
    bool done = ctx != NULL && work(ctx, out, &len, in, in_len) > 0;

    EVP_PKEY_CTX_free(ctx);
    return done ? (int)len : -1;
}

int key_sign(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out)
{
    return operate(card, key, padding, EVP_PKEY_sign_init, EVP_PKEY_sign, in, len, out);
}

int key_recover(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out)
{
    return operate(card, key, padding, EVP_PKEY_verify_recover_init, EVP_PKEY_verify_recover, in, len, out);
}

int key_encrypt(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out)
{
    return operate(card, key, padding, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, in, len, out);
}

int key_decrypt(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out)
{
    return operate(card, key, padding, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, in, len, out);
}

/* The primes of tests/vectors/keys/2048.pem. To draw a key would take most of the time of a short test. */
static const char prime_p[] = "F0984791A468888978DE9BD01833CB8F90A75B855E12F770C7F57DB0821E55BB"
                              "04312DA983F796814690A56D7A4C1B7CA4DE86C9303060E164549A5A5D197457"
                              "FFDECFD3C8D4325A0D8B97FB91E42C1DB27281054D5D1FF0838DFAA818D71F48"
                              "B4B6829E9DD85B928CD0084EBA5A0A66C9D2400D95B9897CDDE0EC6AE052BB69";
static const char prime_q[] = "DFACF9386B4DF7C2C59C141F00C20A592A0791B661CE9FEBD01537DC94327827"
                              "EA144E4188E50754FA9054B75ACE935BCE60491DBC824B3A6B45D357DEC37530"
                              "3C60D4CA17F90B84E7371D369108711B9D5D0C57D72A58155202DCE842AAFFAB"
                              "CA6C8CD62CF06A08D93128C3050437652834B28E0AD7896BF3D22FBA3903C007";

static RSA *make_rsa(void)
{
    RSA *rsa = RSA_new();
    BN_CTX *context = BN_CTX_new();
    BIGNUM *p = NULL, *q = NULL, *n = BN_new(), *e = BN_new(), *d = BN_new();
    BIGNUM *dp = BN_new(), *dq = BN_new(), *less = BN_new(), *phi = BN_new(), *inverse;

    CHECK(rsa != NULL && context != NULL && n != NULL && e != NULL && d != NULL);
    CHECK(dp != NULL && dq != NULL && less != NULL && phi != NULL);
    CHECK(RSA_set_method(rsa, RSA_PKCS1_OpenSSL()));
    CHECK(BN_hex2bn(&p, prime_p) && BN_hex2bn(&q, prime_q) && BN_set_word(e, RSA_F4) &&
          BN_mul(n, p, q, context));
    CHECK(BN_sub(dp, p, BN_value_one()) && BN_sub(less, q, BN_value_one()) && BN_mul(phi, dp, less, context));
    CHECK(BN_mod_inverse(d, e, phi, context) && BN_mod(dq, d, less, context) && BN_mod(dp, d, dp, context));
    inverse = BN_mod_inverse(NULL, q, p, context);
    CHECK(inverse != NULL && RSA_set0_key(rsa, n, e, d) && RSA_set0_factors(rsa, p, q));
    CHECK(RSA_set0_crt_params(rsa, dp, dq, inverse));
    BN_free(less);
    BN_free(phi);
    BN_CTX_free(context);
    return rsa;
}

RSA *test_rsa(void)
{
    static RSA *rsa;

    if (rsa == NULL)
        rsa = make_rsa();
    CHECK(RSA_up_ref(rsa));
    return rsa;
}

EVP_PKEY *test_key(struct card *card)
{
    RSA *rsa = test_rsa();
    EVP_PKEY *key = card_key(card, rsa);

    if (key == NULL)
        ERR_print_errors_fp(stderr);
    CHECK(key != NULL);
    RSA_free(rsa);
    return key;
}

/* ----------------------------------------------------------------------------------------- as the default */

void card_set_default(struct card *card)
{
    door()->set_default(card);
}

OSSL_LIB_CTX *card_context(struct card *card)
{
    return card == NULL ? NULL : card->context;
}

const char *card_properties(struct card *card)
{
    return card == NULL || card->provider == NULL ? NULL : "?provider=ersatz";
}

ENGINE *card_engine(struct card *card)
{
    return card == NULL ? NULL : card->engine;
}
