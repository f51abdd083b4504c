/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's life: loaded often, in several library contexts, in a thread that ends; unloaded while jobs
 * are paused; across forks, and at the end of the process. DOOR is "provider". */
#include <malloc.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "check.h"
#include "child.h"
#include "ersatz/record.h"
#include "proc.h"
#include "sanitizer.h"
#include "scratch.h"
#include "support/card.h"
#include "support/door.h"

#define BYTES 4096
#define WORKERS 2

static const unsigned char key[16] = "a key for AES", text[BYTES] = "a text";
static unsigned char signature[256], ciphertext[BYTES]; /* of `text`, by libcrypto alone */

static int alone; /* threads, without the card's */

/* One provider, in a library context of its own, or in the default one. */
struct place {
    struct card *card;
    EVP_PKEY *key;
};

static struct place open_place(void)
{
    struct place place = {.card = card_load("SYNC_OFFLOAD:1;INSTANCES:2;WORKERS:2")};

    place.key = test_key(place.card);
    return place;
}

static void close_place(struct place *place)
{
    EVP_PKEY_free(place->key);
    card_unload(place->card);
}

/* --------------------------------------------------------------------------------------------------- work */

/* 1: done, and right; 0: refused. */
static int sign(void *arg)
{
    const struct place *place = *(struct place **)arg;
    unsigned char out[sizeof(signature)];

    if (key_sign(place->card, place->key, RSA_PKCS1_PADDING, text, 32, out) < 0)
        return 0;
    CHECK_EQ(memcmp(out, signature, sizeof(out)), 0);
    return 1;
}

static int encrypt(void *arg)
{
    const struct place *place = *(struct place **)arg;
    unsigned char out[BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, done;

    CHECK_EQ(card_cipher_init(place->card, ctx, "AES-128-CBC", key, key, 1), 1);
    done = EVP_EncryptUpdate(ctx, out, &len, text, BYTES);
    EVP_CIPHER_CTX_free(ctx);
    CHECK(!done || memcmp(out, ciphertext, BYTES) == 0);
    return done;
}

static void expect_results(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    RSA *rsa = test_rsa();
    int len;

    CHECK_EQ(RSA_private_encrypt(32, text, signature, rsa, RSA_PKCS1_PADDING), sizeof(signature));
    CHECK_EQ(card_cipher_init(NULL, ctx, "AES-128-CBC", key, key, 1), 1);
    CHECK_EQ(EVP_EncryptUpdate(ctx, ciphertext, &len, text, BYTES), 1);
    EVP_CIPHER_CTX_free(ctx);
    RSA_free(rsa);
}

/* Without a job; on the card all the same, which counts them. */
static void work(struct place *place)
{
    long rsa = card_count(place->card, "rsa_priv"), aes = card_count(place->card, "aes_cbc");

    CHECK_EQ(sign(&place), 1);
    CHECK_EQ(encrypt(&place), 1);
    CHECK_EQ(card_count(place->card, "rsa_priv"), rsa + 1);
    CHECK_EQ(card_count(place->card, "aes_cbc"), aes + 1);
}

/* A job that signs and one that encrypts, both held by the card. */
static void start_held(struct job jobs[2], struct place *place)
{
    card_command(place->card, "HOLD", "compute");
    job_init(&jobs[0], BY_FD, sign, place);
    job_init(&jobs[1], BY_FD, encrypt, place);
    CHECK_EQ(job_run(&jobs[0]), ASYNC_PAUSE);
    CHECK_EQ(job_run(&jobs[1]), ASYNC_PAUSE);
}

/* Another place may let them go. */
static void finish_held(struct job jobs[2], struct place *place)
{
    card_command(place->card, "HOLD", "none");
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        job_free(&jobs[i]);
    }
}

/* -------------------------------------------------------------------------------------------------- cases */

#define WARM_UP 20
#define ROUNDS 1000
#define BLOCK_MIN 32 /* of malloc(3)'s memory */

static size_t memory_in_use(void)
{
#ifdef SANITIZER_ALLOCATES
    return 0; /* it looks for leaks itself */
#else
    struct mallinfo2 all = mallinfo2();

    return all.uordblks + all.hblkhd;
#endif
}

static void load_often(void)
{
    int descriptors = 0;
    size_t memory = 0;

    for (int round = 0; round < WARM_UP + ROUNDS; round++) {
        struct place place = open_place();

        work(&place);
        close_place(&place);
        if (round + 1 == WARM_UP) {
            descriptors = count_descriptors();
            memory = memory_in_use();
        }
    }
    CHECK_EQ(count_descriptors(), descriptors);
    expect_threads(alone);
    /* Of a card whose threads ended late, beside those of the next one, the C library keeps some memory. */
    CHECK(memory_in_use() < memory + BLOCK_MIN * ROUNDS);
}

/* One card serves them; that one of them ends is nothing to the other. */
static void two_contexts(void)
{
    struct place one = open_place(), other = open_place();
    struct job jobs[2];

    work(&one);
    work(&other);
    expect_threads(alone + WORKERS);
    CHECK_EQ(card_count(one.card, "rsa_priv"), 2);
    start_held(jobs, &one);
    close_place(&other);
    finish_held(jobs, &one);
    work(&one);
    close_place(&one);
    expect_threads(alone);
}

/* The provider is unloaded, and its context freed if `with_context`, while its jobs are paused; they
 * finish. */
static void leave_paused(bool with_context)
{
    struct place place = open_place(), other = open_place();
    struct job jobs[2];

    start_held(jobs, &place);
    CHECK(OSSL_PROVIDER_unload(place.card->provider) && OSSL_PROVIDER_unload(place.card->standard));
    if (with_context)
        OSSL_LIB_CTX_free(place.card->context);
    finish_held(jobs, &other);
    EVP_PKEY_free(place.key);
    if (!with_context)
        OSSL_LIB_CTX_free(place.card->context);
    free(place.card);
    work(&other);
    close_place(&other);
}

static void unload_paused(void)
{
    leave_paused(false);
}

static void free_context_paused(void)
{
    leave_paused(true);
}

static void *open_there(void *arg)
{
    struct place *place = arg;

    *place = open_place();
    work(place);
    return NULL;
}

static void *close_there(void *arg)
{
    work(arg);
    close_place(arg);
    return NULL;
}

static void in_thread(void *(*function)(void *), struct place *place)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, function, place), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void thread_that_ends(void)
{
    struct place place;
    struct job jobs[2];

    in_thread(open_there, &place);
    work(&place);
    start_held(jobs, &place);
    finish_held(jobs, &place);
    in_thread(close_there, &place);
    expect_threads(alone);
}

/* --------------------------------------------------------------------------------------------- processes */

/* A child has no card until it needs one; what was in flight has not survived there, and its parent's has. */
static void fork_and_work(struct place *place, int depth)
{
    struct job jobs[2];
    pid_t pid;

    start_held(jobs, place);
    pid = fork();
    if (pid == 0) {
        test_begin(60); /* is not inherited */
        expect_threads(alone);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQ(job_run(&jobs[i]), ASYNC_FINISH);
            CHECK_EQ(jobs[i].result, 0);
            CHECK(error_speaks_of("stopped before"));
            job_free(&jobs[i]);
        }
        work(place);
        if (depth > 0)
            fork_and_work(place, depth - 1);
        work(place);
        close_place(place);
        exit(0);
    }
    child_exits_with(pid, 0);
    finish_held(jobs, place);
}

static void forks(void)
{
    struct place place = open_place();

    work(&place);
    fork_and_work(&place, 2);
    work(&place);
    close_place(&place);
}

/* What a child that has ended wrote as its statistics: those of work(), and what was in flight at the end. */
static void expect_statistics(pid_t pid, bool held)
{
    char name[64], all[65536];
    FILE *file;

    snprintf(name, sizeof(name), "%d.json", pid);
    file = fopen(name, "re");
    CHECK(file != NULL);
    all[fread(all, 1, sizeof(all) - 1, file)] = '\0';
    fclose(file);
    CHECK(strstr(all, "\"completed\": 2,") != NULL);
    CHECK(strstr(all, held ? "\"in_flight_max\": 2," : "\"in_flight_max\": 1,") != NULL);
}

static void expect_record(pid_t pid)
{
    static struct ersatz_record record;
    char name[64];
    FILE *file;

    snprintf(name, sizeof(name), "%d" ERSATZ_RECORD_SUFFIX, pid);
    file = fopen(name, "re");
    CHECK(file != NULL && fread(&record, sizeof(record), 1, file) == 1);
    fclose(file);
    CHECK_EQ(record.head.state, ERSATZ_RECORD_ENDED);
    CHECK(record.head.started);
}

static struct job left[2]; /* in static memory: what a process leaves there is no leak */
static struct place left_place;

/* The end of a process that has the provider loaded and, if `held`, work in flight. */
static void end_of_process(bool held)
{
    pid_t pid;

    scratch_enter();
    pid = fork();
    if (pid == 0) {
        test_begin(60);
        left_place.card = card_load_for_good("SYNC_OFFLOAD:1;STATS_FILE:%p.json;RECORD:.");
        left_place.key = test_key(left_place.card);
        work(&left_place);
        if (held)
            start_held(left, &left_place);
        exit(0);
    }
    child_exits_with(pid, 0);
    expect_statistics(pid, held);
    expect_record(pid);
    scratch_leave();
}

static void exit_in_flight(void)
{
    end_of_process(true);
}

/* With OPENSSL_INIT_NO_ATEXIT: see main(). */
static void no_cleanup(void)
{
    end_of_process(false);
}

/* -------------------------------------------------------------------------------------------------- main */

static const struct {
    const char *name;
    void (*function)(void);
} cases[] = {
    {"load-often", load_often},
    {"two-contexts", two_contexts},
    {"unload-paused", unload_paused},
    {"free-context-paused", free_context_paused},
    {"thread-that-ends", thread_that_ends},
    {"forks", forks},
    {"exit-in-flight", exit_in_flight},
    {"no-cleanup", no_cleanup},
};

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    test_begin(300);
    alone = count_threads();
    if (strcmp(argv[1], "no-cleanup") == 0)
        CHECK_EQ(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL), 1);
    expect_results();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].function();
            return 0;
        }
    }
    FAIL("no such case");
}
