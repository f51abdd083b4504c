/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's generator derives its keys with AES-ECB, and reseeds while it does. With the engine as default
 * for everything and every threshold 0, jobs that take random numbers, and reseed, never pause: not one ECB
 * request of the generator's reaches the card, while the jobs' own longer ones do.
 */
#include <openssl/rand.h>

#include <openssl/engine.h>

#include "all_ways.h"

#define JOBS 16
#define ROUNDS 40

static unsigned char seen[JOBS * ROUNDS * 2][32];
static int seen_count;

static int take_numbers(void *arg)
{
    static const unsigned char key[32] = {1};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[64] = {0};
    int len;

    (void)arg;
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_256_ecb(), NULL, key, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        RAND_seed(text, sizeof(text)); /* reseeds: derivation function, then update */
        CHECK(RAND_bytes(seen[seen_count++], 32) == 1);
        CHECK(RAND_priv_bytes(seen[seen_count++], 32) == 1);
        CHECK(EVP_EncryptUpdate(ctx, text, &len, text, 48)); /* like the generator's: stays here */
        CHECK(EVP_EncryptUpdate(ctx, text, &len, text, 64)); /* goes to the card */
    }
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

int main(void)
{
    struct job jobs[JOBS];
    struct card *card;
    ENGINE *engine;
    int pauses = 0, running = JOBS;

    test_begin(60);
    card = ways_card(NULL);
    engine = card_engine(card);
    CHECK(ENGINE_set_default(engine, ENGINE_METHOD_ALL));
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], i % 2 == 0 ? BY_FD : BY_CALLBACK, take_numbers, NULL);
        job_run(&jobs[i]);
    }
    for (int i = 0; running > 0; i = (i + 1) % JOBS) {
        if (jobs[i].status != ASYNC_PAUSE)
            continue;
        pauses++;
        running -= job_run(&jobs[i]) == ASYNC_FINISH;
    }
    CHECK_EQ(card_count(card, "aes_ecb"), JOBS * ROUNDS);
    CHECK_EQ(card_count(card, "aes_ctr"), 0);
    CHECK_EQ(card_count(card, "completed"), JOBS * ROUNDS);
    /* The generator did go through the engine: more than once for each number and each text of 48 bytes. */
    CHECK(card_count(card, "inline") > JOBS * ROUNDS * 3);
    CHECK(pauses >= JOBS * ROUNDS);
    CHECK_EQ(seen_count, JOBS * ROUNDS * 2);
    qsort(seen, (size_t)seen_count, sizeof(seen[0]), compare);
    for (int i = 1; i < seen_count; i++)
        CHECK(memcmp(seen[i - 1], seen[i], sizeof(seen[0])) != 0);
    for (int i = 0; i < JOBS; i++)
        job_free(&jobs[i]);
    ENGINE_unregister_ciphers(engine);
    ENGINE_unregister_RSA(engine);
    card_unload(card);
    return 0;
}
