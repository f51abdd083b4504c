/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's generator uses AES by the ordinary route, so it runs through the engine when that is the default.
 * It must never pause in there: no error, no repeated block, no deadlock, for any size, with many jobs at
 * once.
 */
#include <openssl/rand.h>

#include "check.h"
#include "support/card.h"

#define JOBS 64
#define SIZES 12
#define SEEN_MAX 400000

static const int sizes[SIZES] = {1, 15, 16, 17, 48, 255, 2048, 4096, 16384, 32768, 65535, 65536};

struct block {
    unsigned char bytes[16];
};

static struct block *seen;
static size_t seen_count;

static void keep(const unsigned char *bytes, int len)
{
    for (int at = 0; at + 16 <= len && seen_count < SEEN_MAX; at += 16)
        memcpy(seen[seen_count++].bytes, bytes + at, 16);
}

/* Random numbers of every size, with a cipher operation that does pause between them. */
static int take_numbers(void *arg)
{
    static const unsigned char key[32] = {1}, iv[16] = {2};
    unsigned char *buffer = malloc(65536), *text = malloc(4096);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, ok = buffer != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_ctr(), NULL, key, iv);

    (void)arg;
    memset(text, 7, 4096);
    for (int i = 0; ok && i < SIZES; i++) {
        ok = RAND_bytes(buffer, sizes[i]) == 1;
        keep(buffer, sizes[i]);
        ok = ok && RAND_priv_bytes(buffer, sizes[i]) == 1;
        keep(buffer, sizes[i]);
        ok = ok && EVP_EncryptUpdate(ctx, text, &len, text, 4096);
    }
    EVP_CIPHER_CTX_free(ctx);
    free(buffer);
    free(text);
    return ok;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

int main(void)
{
    struct job jobs[JOBS];
    struct card *card;
    int pauses = 0, running = JOBS;

    test_begin(60);
    card = card_load(ALL_SIZES);
    card_set_default(card);
    seen = calloc(SEEN_MAX, sizeof(*seen));
    CHECK(seen != NULL);
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], i % 2 == 0 ? BY_FD : BY_CALLBACK, take_numbers, NULL);
        pauses += job_run(&jobs[i]) == ASYNC_PAUSE;
    }
    CHECK_EQ(pauses, JOBS);
    for (int i = 0; running > 0; i = (i + 1) % JOBS) {
        if (jobs[i].status != ASYNC_PAUSE)
            continue;
        if (job_run(&jobs[i]) == ASYNC_FINISH) { /* early or not: in whatever order comes */
            CHECK_EQ(jobs[i].result, 1);
            running--;
        }
    }
    /* What paused was the text; not one request for the generator's key stream reached the card. */
    CHECK_EQ(card_count(card, "aes_ctr"), JOBS * SIZES);
    CHECK_EQ(card_count(card, "aes_ecb"), 0); /* the generator's own keys */
    if (!card_is_provider())                  /* which keeps out of the generator altogether */
        CHECK(card_count(card, "inline") > JOBS * SIZES * 2);
    qsort(seen, seen_count, sizeof(*seen), compare);
    CHECK(seen_count > 100000);
    for (size_t i = 1; i < seen_count; i++)
        CHECK(memcmp(&seen[i - 1], &seen[i], sizeof(*seen)) != 0);
    for (int i = 0; i < JOBS; i++)
        job_free(&jobs[i]);
    free(seen);
    card_unload(card);
    return 0;
}
