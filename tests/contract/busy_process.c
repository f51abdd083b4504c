/* SPDX-License-Identifier: Apache-2.0 */
/* Forks and ends of a process while its other threads are at work on the card: the child starts from nothing
 * that a thread of the parent held, and the end comes, with its exit code, whatever the others wait for. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define THREADS 3
#define BASES 200
#define FORKS 2
#define ENDS 20

static _Atomic bool working = true;
static _Atomic long done;

/* With one context for all, where struct work makes one each time: that takes libcrypto's own lock on
 * ENGINEs, which a child could inherit locked, and libcrypto has no remedy for. */
static void *encrypt_on(void *arg)
{
    static const unsigned char key[16] = {1};
    EVP_CIPHER_CTX *ctx = arg;
    unsigned char text[WORK_BYTES] = {0};
    int len;

    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, key, key));
    while (atomic_load(&working) && EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)))
        atomic_fetch_add(&done, 1);
    return NULL;
}

/* No operation fails, even when the process is ending. */
static void *work_on(void *arg)
{
    struct work *work = arg;

    while (atomic_load(&working)) {
        CHECK_EQ(work_do(&work), 1);
        atomic_fetch_add(&done, 1);
    }
    return NULL;
}

/* Finer than a sleep. */
static void spin(long us)
{
    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < us);
}

/* The keys are the parent's, and in use there at this moment. RSA only: to set up an EVP_CIPHER_CTX with an
 * engine takes libcrypto's lock on ENGINEs. */
static int child(struct card *card, struct work *const *works)
{
    struct job job;

    test_begin(60);
    for (int i = 1; i < THREADS; i++) {
        struct work *work = works[i];

        CHECK_EQ(work_do(&work), 1);
        job_init(&job, i % 2 == 0 ? BY_FD : BY_CALLBACK, work_do, work);
        job_run(&job);
        CHECK_EQ(job_finish(&job), 1);
        job_free(&job);
    }
    CHECK_EQ(card_count(card, "completed"), (THREADS - 1) * 2);
    return 7;
}

static void fork_while_busy(struct card *card, long delay)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    struct work *works[THREADS];
    pthread_t threads[THREADS];

    CHECK(card_cipher_init(card, ctx, "AES-128-CBC", NULL, NULL, 1));
    for (int i = 0; i < THREADS; i++) {
        works[i] = i == 0 ? work_aes(card, 1) : work_rsa(card, (unsigned char)i);
        CHECK_EQ(work_do(&works[i]), 1); /* a key's first use takes that lock, too */
    }
    CHECK_EQ(pthread_create(&threads[0], NULL, encrypt_on, ctx), 0);
    for (int i = 1; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, work_on, works[i]), 0);
    spin(delay);
    for (int i = 0; i < FORKS; i++) {
        long before = atomic_load(&done);
        pid_t pid = fork();

        if (pid == 0)
            exit(child(card, works));
        child_exits_with(pid, 7);
        while (atomic_load(&done) == before)
            usleep(100); /* the parent's work goes on */
    }
    atomic_store(&working, false);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        work_free(works[i]);
    }
    EVP_CIPHER_CTX_free(ctx);
}

/* In a process of its own, where the card starts for the first time: it is then that its workers hold most
 * locks. */
static void fork_from_a_base(long delay)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct card *card;

        test_begin(60);
        card = card_load("SYNC_OFFLOAD:1");
        fork_while_busy(card, delay);
        card_unload(card);
        exit(7);
    }
    child_exits_with(pid, 7);
}

static pthread_t threads_at_end[THREADS];

/* Of a program that waits for its threads at the very end: they come back, with what the calling core has
 * computed, since the card is gone. */
static void join_all(void)
{
    atomic_store(&working, false);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads_at_end[i], NULL);
}

/* In a child of its own: threads wait for the card when main() returns, and are not waited for, or are. */
static void end_while_busy(bool wait)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        struct card *card;

        test_begin(60);
        /* After libcrypto's own handler and before the module's, so it runs between the two. */
        CHECK(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL));
        if (wait)
            CHECK_EQ(atexit(join_all), 0);
        card = card_load_for_good("WORKERS:2;RING_DEPTH:2;SYNC_OFFLOAD:1");
        card_command(card, "HOLD", "compute");
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads_at_end[i], NULL, work_on,
                         i == 0 ? work_aes(card, 1) : work_rsa(card, (unsigned char)i)),
                0);
        card_wait_in_flight(card, THREADS);
        exit(7);
    }
    child_exits_with(pid, 7);
}

int main(int argc, char **argv)
{
    test_begin(100);
    CHECK_EQ(argc, 2);
    RSA_free(test_rsa()); /* made once, for all children */
    if (strcmp(argv[1], "end") == 0) {
        for (int i = 0; i < ENDS; i++)
            end_while_busy(i == 0);
    } else {
        for (int i = 0; i < BASES; i++)
            fork_from_a_base(i * 8);
    }
    return 0;
}
