/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys of 1024 to 4096 bits, for libcrypto alone and for the engine. */
#include <openssl/bn.h>
#include <openssl/pem.h>

#include "check.h"
#include "question.h"
#include "support/card.h"

/* The short ones more often: a long one takes thirty times as long. */
static const char *const names[] = {"1024_e3", "1024_e3", "1536", "1536", "2048", "2048", "2048_e17",
    "2048_long_e", "2048_3_primes", "2047", "3072", "4096"};

#define KEYS (sizeof(names) / sizeof(names[0]))

static EVP_PKEY *sources[KEYS];
static RSA *plain[KEYS];

static BIGNUM *copy(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

static void copy_numbers(RSA *to, const RSA *from)
{
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;

    RSA_get0_key(from, &n, &e, &d);
    RSA_get0_factors(from, &p, &q);
    RSA_get0_crt_params(from, &dp, &dq, &qi);
    CHECK(RSA_set0_key(to, copy(n), copy(e), copy(d)) && RSA_set0_factors(to, copy(p), copy(q)) &&
          RSA_set0_crt_params(to, copy(dp), copy(dq), copy(qi)));
    if (RSA_get_multi_prime_extra_count(from) == 1) {
        const BIGNUM *r, *x, *t;
        BIGNUM *r_copy, *x_copy, *t_copy;

        CHECK(RSA_get0_multi_prime_factors(from, &r) && RSA_get0_multi_prime_crt_params(from, &x, &t));
        r_copy = copy(r);
        x_copy = copy(x);
        t_copy = copy(t);
        CHECK(RSA_set0_multi_prime_params(to, &r_copy, &x_copy, &t_copy, 1));
    }
}

/* A key keeps what it computes at first use: let it, so that the memory is not taken for a leak of the round
 * that does. */
static void use_plain_keys(void)
{
    unsigned char in[QUESTION_RSA_BYTES_MAX] = {0, 1}, out[QUESTION_RSA_BYTES_MAX];

    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(RSA_private_encrypt(RSA_size(plain[i]), in, out, plain[i], RSA_NO_PADDING) > 0);
        CHECK(RSA_public_decrypt(RSA_size(plain[i]), in, out, plain[i], RSA_NO_PADDING) > 0);
    }
}

void keys_load(void)
{
    const char *folder = getenv("ERSATZ_TEST_KEYS");

    CHECK(folder != NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        char path[4096];
        BIO *file;

        snprintf(path, sizeof(path), "%s/%s.pem", folder, names[i]);
        file = BIO_new_file(path, "r");
        CHECK(file != NULL);
        sources[i] = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
        CHECK(sources[i] != NULL);
        BIO_free(file);
        plain[i] = RSA_new();
        CHECK(plain[i] != NULL && RSA_set_method(plain[i], RSA_PKCS1_OpenSSL()));
        copy_numbers(plain[i], EVP_PKEY_get0_RSA(sources[i]));
        /* From 3.6 on libcrypto keeps a blinding for each thread that ever used the key, as long as the
         * key. */
        RSA_blinding_off(plain[i]);
    }
    use_plain_keys();
}

void keys_free(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        EVP_PKEY_free(sources[i]);
        RSA_free(plain[i]);
    }
}

unsigned keys_count(void)
{
    return KEYS;
}

RSA *keys_plain(unsigned key)
{
    return plain[key];
}

RSA *keys_try(unsigned key, ENGINE *engine)
{
    RSA *rsa = RSA_new_method(engine);

    if (rsa != NULL)
        copy_numbers(rsa, plain[key]);
    return rsa;
}

RSA *keys_copy(unsigned key, ENGINE *engine)
{
    RSA *rsa = keys_try(key, engine);

    CHECK(rsa != NULL);
    return rsa;
}

EVP_PKEY *keys_of_card(unsigned key, struct card *card)
{
    EVP_PKEY *pkey;

    if (card != NULL)
        return card_key(card, plain[key]);
    pkey = EVP_PKEY_new();
    CHECK(pkey != NULL && EVP_PKEY_set1_RSA(pkey, plain[key]));
    return pkey;
}

EVP_PKEY *keys_source(unsigned key)
{
    return sources[key];
}
