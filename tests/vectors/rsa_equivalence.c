/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA through the card against libcrypto's own, to the bit: the same calls with the same random bytes, for
 * keys of many sizes and forms, and what must be refused.
 *
 * rsa_equivalence WAY ROUTE [KEY]; ROUTE is how a key comes to the card:
 *   default   decoded or built while the card is the default for RSA
 *   explicit  EVP_PKEY_CTX_new(key, engine), or properties that name the provider
 *   low       RSA_new_method(engine), and the RSA_...() functions
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "check.h"
#include "rsa_side.h"
#include "transcript.h"
#include "ways.h"

#define LONG_BITS 3072

/* Keys, in as many forms as are tried: all; without the one of 16,384 bits; up to LONG_BITS. */
#define ALL_COMPARED 40
#define MOST_COMPARED 38
#define SHORT_COMPARED 29

enum form { WHOLE, NO_CRT, PUBLIC, FORMS };

static const struct known {
    const char *name;
    int bits, primes;
    enum work work;
} keys[] = {
    {"512", 512, 2, FULL},
    {"1023", 1023, 2, FULL},
    {"1024_e3", 1024, 2, FULL},
    {"1536", 1536, 2, FULL},
    {"2047", 2047, 2, FULL},
    {"2048", 2048, 2, FULL},
    {"2048_e17", 2048, 2, SHORT},
    {"2048_long_e", 2048, 2, SHORT},
    {"2048_3_primes", 2048, 3, FULL},
    {"3072", 3072, 2, SHORT},
    {"4096", 4096, 2, SHORT},
    {"4096_4_primes", 4096, 4, SHORT},
    {"8192", 8192, 2, SHORTEST},
    {"8192_5_primes", 8192, 5, SHORTEST},
    {"16384", 16384, 2, SHORTEST},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* ----------------------------------------------------------------------------------------------- keys */

static EVP_PKEY *read_key(const char *name)
{
    char path[512];
    BIO *file;
    EVP_PKEY *key;

    CHECK(getenv("ERSATZ_TEST_KEYS") != NULL);
    snprintf(path, sizeof(path), "%s/%s.pem", getenv("ERSATZ_TEST_KEYS"), name);
    file = BIO_new_file(path, "r");
    if (file == NULL)
        fprintf(stderr, "%s cannot be read\n", path);
    CHECK(file != NULL);
    key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    CHECK(key != NULL);
    BIO_free(file);
    return key;
}

static void push(OSSL_PARAM_BLD *builder, const EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;

    CHECK(EVP_PKEY_get_bn_param(key, name, &number) && OSSL_PARAM_BLD_push_BN(builder, name, number));
    /* freed by nobody: the builder refers to it until the parameters are made */
}

/* The same key with less in it. */
static EVP_PKEY *build_key(const EVP_PKEY *whole, enum form form)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM *parameters;
    EVP_PKEY *key = NULL;

    push(builder, whole, OSSL_PKEY_PARAM_RSA_N);
    push(builder, whole, OSSL_PKEY_PARAM_RSA_E);
    if (form == NO_CRT)
        push(builder, whole, OSSL_PKEY_PARAM_RSA_D);
    parameters = OSSL_PARAM_BLD_to_param(builder);
    CHECK(EVP_PKEY_fromdata_init(ctx) == 1 &&
          EVP_PKEY_fromdata(ctx, &key, form == NO_CRT ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters) ==
              1);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make_key(const char *name, enum form form)
{
    EVP_PKEY *whole = read_key(name), *key;

    if (form == WHOLE)
        return whole;
    key = build_key(whole, form);
    EVP_PKEY_free(whole);
    return key;
}

static BIGNUM *copy(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

/* The numbers of a key in an RSA with the engine's method, or libcrypto's. */
static RSA *make_rsa(const EVP_PKEY *key, enum form form, ENGINE *engine)
{
    const RSA *from = EVP_PKEY_get0_RSA(key);
    RSA *rsa = RSA_new_method(engine);
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    int extra = RSA_get_multi_prime_extra_count(from);

    RSA_get0_key(from, &n, &e, &d);
    RSA_get0_factors(from, &p, &q);
    RSA_get0_crt_params(from, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, copy(n), copy(e), form == PUBLIC ? NULL : copy(d)));
    if (form != WHOLE)
        return rsa;
    CHECK(RSA_set0_factors(rsa, copy(p), copy(q)) && RSA_set0_crt_params(rsa, copy(dp), copy(dq), copy(qi)));
    if (extra > 0) {
        const BIGNUM *r[3], *x[3], *t[3];
        BIGNUM *r_copy[3], *x_copy[3], *t_copy[3];

        CHECK(RSA_get0_multi_prime_factors(from, r) && RSA_get0_multi_prime_crt_params(from, x, t));
        for (int i = 0; i < extra; i++) {
            r_copy[i] = copy(r[i]);
            x_copy[i] = copy(x[i]);
            t_copy[i] = copy(t[i]);
        }
        CHECK(RSA_set0_multi_prime_params(rsa, r_copy, x_copy, t_copy, extra));
    }
    return rsa;
}

/* ------------------------------------------------------------------------------------------------ both */

static int exercise(void *arg)
{
    struct side *side = *(struct side **)arg;

    side->transcript.count = 0;
    ERR_clear_error();
    if (side->low) {
        rsa_low_level(side);
    } else {
        rsa_signatures(side);
        rsa_encryption(side);
    }
    RAND_set_rand_method(NULL);
    return 1;
}

#ifndef OPENSSL_NO_ENGINE
/* libcrypto's own older method, behind an ENGINE: what EVP does for an explicit engine is then the same for
 * both. */
static int plain_methods(ENGINE *engine, EVP_PKEY_METHOD **method, const int **nids, int nid)
{
    static const int none[] = {0};

    (void)engine;
    if (method == NULL) {
        *nids = none;
        return 0;
    }
    *method = nid == EVP_PKEY_RSA ? (EVP_PKEY_METHOD *)EVP_PKEY_meth_find(EVP_PKEY_RSA) : NULL;
    return *method != NULL;
}

static ENGINE *plain_engine(void)
{
    static ENGINE *engine;

    if (engine == NULL) {
        engine = ENGINE_new();
        CHECK(
            engine != NULL && ENGINE_set_id(engine, "plain") && ENGINE_set_pkey_meths(engine, plain_methods));
    }
    return engine;
}

static void set_default_method(ENGINE *engine, bool is_default)
{
    if (is_default)
        CHECK(ENGINE_set_default_RSA(engine));
    else
        ENGINE_unregister_RSA(engine);
}
#else
static ENGINE *plain_engine(void)
{
    return NULL;
}

static void set_default_method(ENGINE *engine, bool is_default)
{
    CHECK(engine == NULL && !is_default);
}
#endif

static void set_default(struct card *card, bool is_default)
{
    static OSSL_LIB_CTX *before;

    if (card_is_provider() && is_default) {
        CHECK(EVP_set_default_properties(card_context(card), card_properties(card)));
        before = OSSL_LIB_CTX_set0_default(card_context(card));
    } else if (card_is_provider()) {
        OSSL_LIB_CTX_set0_default(before);
    } else {
        set_default_method(card_engine(card), is_default);
    }
}

static void compare(const struct known *known, enum form form, const char *route, struct card *card)
{
    static struct side plain, tested;
    static const char *const forms[FORMS] = {"whole", "no CRT values", "public"};
    struct side *of_plain = &plain;
    bool is_default = strcmp(route, "default") == 0;
    char name[64];

    plain.key = make_key(known->name, form);
    plain.n = NULL;
    RSA_get0_key(EVP_PKEY_get0_RSA(plain.key), &plain.n, NULL, NULL);
    CHECK_EQ(BN_num_bits(plain.n), known->bits);
    plain.work = known->work;
    plain.low = strcmp(route, "low") == 0;
    plain.tls = is_default;
    tested.n = plain.n;
    tested.work = plain.work;
    tested.tls = plain.tls;
    tested.low = plain.low;
    if (is_default) {
        set_default(card, true);
        tested.key = make_key(known->name, form);
        set_default(card, false); /* the key has its method; the plain side shall not */
    } else if (plain.low) {
        plain.rsa = make_rsa(plain.key, form, NULL);
        tested.rsa = make_rsa(plain.key, form, card_engine(card));
    } else {
        tested.key = plain.key;
        if (card_is_provider()) {
            tested.card = card;
        } else {
            plain.engine = plain_engine();
            tested.engine = card_engine(card);
        }
        CHECK(EVP_PKEY_up_ref(tested.key));
    }
    exercise(&of_plain);
    if (is_default)
        set_default(card, true);
    way_run(exercise, &tested);
    if (is_default)
        set_default(card, false);
    snprintf(name, sizeof(name), "%s, %s", known->name, forms[form]);
    transcript_compare(name, &plain.transcript, &tested.transcript);
    CHECK(form == PUBLIC ? tested.private_done == plain.private_done : tested.private_done > 0);
    EVP_PKEY_free(plain.key);
    EVP_PKEY_free(tested.key);
    RSA_free(plain.rsa);
    RSA_free(tested.rsa);
    plain.rsa = tested.rsa = NULL;
    tested.key = NULL;
    printf("%s, %s: %d calls; so far %ld private and %ld public operations\n", known->name, forms[form],
        tested.transcript.count, tested.private_done, tested.public_done);
    fflush(stdout);
    way_check_card("rsa_priv", tested.private_done);
    way_check_card("rsa_pub", tested.public_done);
}

int main(int argc, char **argv)
{
    const char *only = argc > 3 ? argv[3] : NULL;
    struct card *card;
    int done = 0, longest = LONG_BITS;

    test_begin(240);
    CHECK(argc >= 3);
    if (strcmp(argv[1], "fd") == 0) /* long keys take long: one way is enough */
        longest = strcmp(argv[2], "default") == 0 ? 16384 : 8192;
    card = way_begin(2, argv);
    for (unsigned i = 0; i < KEYS; i++) {
        if (only != NULL && strcmp(only, keys[i].name) != 0)
            continue;
        if (keys[i].bits > longest && only == NULL)
            continue;
        for (enum form form = WHOLE; form < FORMS; form++) {
            /* Without CRT values a private operation takes four times as long, or with more primes nine. */
            if (form == NO_CRT && (keys[i].bits > 4096 || keys[i].primes > 2))
                continue;
            compare(&keys[i], form, argv[2], card);
            done++;
        }
    }
    if (only == NULL)
        CHECK_EQ(done, longest > 8192 ? ALL_COMPARED : longest == 8192 ? MOST_COMPARED : SHORT_COMPARED);
    card_unload(card);
    return 0;
}
