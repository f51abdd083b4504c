/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every private operation is blinded by a number of its own, however many there are of one key, on however
 * many threads, and however long each is paused: all results are right, and no number comes twice.
 */
#include <dlfcn.h>
#include <openssl/bn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "support/card.h"

#define SIZE 256
#define JOBS 8
#define TIMES 50 /* all together enough to draw anew some times */
#define THREADS 3
#define ALL (THREADS * JOBS * TIMES)

static struct card *card;
static EVP_PKEY *key;
static const unsigned char in[SIZE] = {[SIZE - 1] = 2};
static unsigned char wanted[SIZE];
static uint64_t used[ALL];
static _Atomic unsigned uses;

/* In place of libcrypto's: what the module unblinds with. libcrypto by itself gives no inverse. */
__attribute__((visibility("default"))) int BN_BLINDING_invert_ex(
    BIGNUM *number, const BIGNUM *inverse, BN_BLINDING *blinding, BN_CTX *ctx)
{
    int (*real)(BIGNUM *, const BIGNUM *, BN_BLINDING *, BN_CTX *);
    unsigned char bytes[SIZE];

    *(void **)&real = dlsym(RTLD_NEXT, "BN_BLINDING_invert_ex");
    CHECK(real != NULL);
    if (inverse != NULL) {
        unsigned index = atomic_fetch_add(&uses, 1);

        CHECK(index < ALL && BN_bn2binpad(inverse, bytes, SIZE) == SIZE);
        memcpy(&used[index], bytes + SIZE - sizeof(used[index]), sizeof(used[index]));
    }
    return real(number, inverse, blinding, ctx);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int sign(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned char out[SIZE];

        CHECK_EQ(key_sign(card, key, RSA_NO_PADDING, in, SIZE, out), SIZE);
        CHECK_EQ(memcmp(out, wanted, SIZE), 0);
    }
    return 1;
}

static void *in_jobs(void *unused)
{
    struct job jobs[JOBS];
    unsigned running = JOBS;

    for (unsigned i = 0; i < JOBS; i++)
        job_init(&jobs[i], BY_FD, sign, NULL);
    for (bool done[JOBS] = {false}; running > 0;) {
        for (unsigned i = 0; i < JOBS; i++) {
            if (done[i] || (jobs[i].job != NULL && !fd_is_readable(job_fd(&jobs[i]))))
                continue;
            done[i] = job_run(&jobs[i]) == ASYNC_FINISH;
            running -= done[i];
        }
    }
    for (unsigned i = 0; i < JOBS; i++)
        job_free(&jobs[i]);
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    RSA *plain = test_rsa();

    test_begin(120);
    CHECK_EQ(RSA_private_encrypt(SIZE, in, wanted, plain, RSA_NO_PADDING), SIZE);
    card = card_load(NULL);
    key = test_key(card);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, in_jobs, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(card_count(card, "rsa_priv"), ALL);
    CHECK_EQ(uses, ALL);
    qsort(used, ALL, sizeof(used[0]), by_value);
    for (unsigned i = 1; i < ALL; i++)
        CHECK(used[i] != used[i - 1]);
    EVP_PKEY_free(key);
    RSA_free(plain);
    card_unload(card);
    return 0;
}
