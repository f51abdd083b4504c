/* SPDX-License-Identifier: Apache-2.0 */
/* One RSA key for many: two jobs on one thread at once (each would unblind with the other's value), many
 * threads, and a key whose numbers are replaced between operations. */
#include <openssl/bn.h>
#include <pthread.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 48
#define THREADS 8

static struct card *card;

static void many_jobs(void)
{
    struct work *works[JOBS];
    struct job jobs[JOBS];

    for (int i = 0; i < JOBS; i++) {
        works[i] = work_rsa(card, (unsigned char)i);
        if (i > 0)
            work_set_key(works[i], works[0]->key);
        works[i]->times = 3;
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

static void *sign_often(void *arg)
{
    struct work *work = arg;

    for (int i = 0; i < 20; i++)
        CHECK_EQ(work_do(&work), 1);
    return NULL;
}

static void many_threads(void)
{
    struct work *works[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        works[i] = work_rsa(card, (unsigned char)i);
        if (i > 0)
            work_set_key(works[i], works[0]->key);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, sign_often, works[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        work_free(works[i]);
    }
}

/* The card's, with an RSA object in it. */
static RSA *test_object(void)
{
    EVP_PKEY *key = test_key(card);
    RSA *rsa = EVP_PKEY_get1_RSA(key);

    CHECK(rsa != NULL);
    EVP_PKEY_free(key);
    return rsa;
}

static RSA *new_key(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *f4 = BN_new();

    CHECK(RSA_set_method(rsa, RSA_PKCS1_OpenSSL()) && BN_set_word(f4, RSA_F4) &&
          RSA_generate_key_ex(rsa, 2048, f4, NULL));
    BN_free(f4);
    return rsa;
}

static void changed_key(void)
{
    RSA *rsa = test_object(), *other = new_key();
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    unsigned char in[20] = {1}, out[256], wanted[256];

    CHECK_EQ(RSA_private_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), 256);
    RSA_get0_key(other, &n, &e, &d);
    RSA_get0_factors(other, &p, &q);
    RSA_get0_crt_params(other, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), BN_dup(d)) && RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)) &&
          RSA_set0_crt_params(rsa, BN_dup(dp), BN_dup(dq), BN_dup(qi)));
    CHECK_EQ(RSA_private_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), 256);
    CHECK_EQ(RSA_private_encrypt(20, in, wanted, other, RSA_PKCS1_PADDING), 256);
    CHECK_EQ(memcmp(out, wanted, 256), 0);
    RSA_free(rsa);
    RSA_free(other);
}

static void get_numbers(const RSA *rsa, const BIGNUM *numbers[8])
{
    RSA_get0_key(rsa, &numbers[0], &numbers[1], &numbers[2]);
    RSA_get0_factors(rsa, &numbers[3], &numbers[4]);
    RSA_get0_crt_params(rsa, &numbers[5], &numbers[6], &numbers[7]);
}

static void set_numbers(RSA *rsa, BIGNUM *const numbers[8])
{
    CHECK(RSA_set0_key(rsa, numbers[0], numbers[1], numbers[2]) &&
          RSA_set0_factors(rsa, numbers[3], numbers[4]) &&
          RSA_set0_crt_params(rsa, numbers[5], numbers[6], numbers[7]));
}

static void sign_like(RSA *rsa, RSA *other)
{
    unsigned char in[20] = {1}, out[256], wanted[256];

    CHECK_EQ(RSA_private_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), 256);
    CHECK_EQ(RSA_private_encrypt(20, in, wanted, other, RSA_PKCS1_PADDING), 256);
    CHECK_EQ(memcmp(out, wanted, 256), 0);
}

/* A key changed twice between two operations, so that its numbers may lie where the first ones lay. */
static void recycled_numbers(void)
{
    enum { SPARE = 400 };
    RSA *rsa = test_object(), *other = new_key(), *plain = test_rsa();
    const BIGNUM *before[8], *source[8];
    BIGNUM *numbers[8], *spare[SPARE];

    get_numbers(other, source);
    sign_like(rsa, plain);
    RSA_free(plain);
    get_numbers(rsa, before);
    for (int i = 0; i < 8; i++)
        numbers[i] = BN_dup(source[i]);
    set_numbers(rsa, numbers); /* frees the numbers of before */
    for (int i = 0; i < SPARE; i++)
        spare[i] = BN_new();
    for (int n = 0; n < 8; n++) {
        numbers[n] = NULL;
        for (int i = 0; i < SPARE && numbers[n] == NULL; i++) {
            if (spare[i] == before[n]) {
                numbers[n] = spare[i];
                spare[i] = NULL;
            }
        }
        if (numbers[n] == NULL) /* this allocator does not give memory back soon */
            numbers[n] = BN_new();
        CHECK(BN_copy(numbers[n], source[n]));
    }
    set_numbers(rsa, numbers);
    sign_like(rsa, other);
    for (int i = 0; i < SPARE; i++)
        BN_free(spare[i]);
    RSA_free(rsa);
    RSA_free(other);
}

int main(void)
{
    test_begin(60);
    card = card_load(NULL);
    many_jobs();
    many_threads();
    CHECK_EQ(card_count(card, "rsa_priv"), JOBS * 3 + THREADS * 20);
    if (!card_is_provider()) { /* whose keys do not change */
        changed_key();
        recycled_numbers();
        CHECK_EQ(card_count(card, "rsa_priv"), JOBS * 3 + THREADS * 20 + 2 + 2);
    }
    card_unload(card);
    return 0;
}
