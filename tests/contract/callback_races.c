/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N7 under race: with jobs resumed early at any moment, a callback comes exactly once per request, not before
 * the request is complete, and has returned when the operation returns. Internal reaper, or a thread that
 * polls.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define ROUNDS 3000
#define JOBS 8

static struct told {
    struct job job;
    struct work *work;
    _Atomic int calls, inside;
    _Atomic bool returned; /* the operation has: nothing may be called any more */
} told[JOBS];

static _Atomic bool polling = true;

/* Dawdles, so that a job resumed meanwhile would overtake a callback it does not wait for. */
static int dawdle(void *arg)
{
    struct told *one = arg;

    atomic_store(&one->inside, 1);
    CHECK(!atomic_load(&one->returned));
    atomic_fetch_add(&one->calls, 1);
    for (volatile int i = 0; i < 3000; i++)
        ;
    CHECK(!atomic_load(&one->returned));
    atomic_store(&one->inside, 0);
    return 1;
}

static void *poll_always(void *card)
{
    while (atomic_load(&polling)) {
        card_command(card, "POLL", NULL);
        usleep(20);
    }
    return NULL;
}

static void start(struct told *one)
{
    atomic_store(&one->returned, false);
    atomic_store(&one->calls, 0);
    CHECK_EQ(job_run(&one->job), ASYNC_PAUSE);
}

static void race(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < JOBS; i++)
            start(&told[i]);
        for (int i = 0; i < JOBS; i++) {
            struct told *one = &told[i];

            for (int early = (round * 7 + i) % 30; early > 0 && one->job.status == ASYNC_PAUSE; early--)
                job_run(&one->job);
            while (one->job.status == ASYNC_PAUSE) {
                while (atomic_load(&one->calls) == 0)
                    usleep(10);
                job_run(&one->job); /* told: it may not pause once more */
                CHECK_EQ(one->job.status, ASYNC_FINISH);
            }
            atomic_store(&one->returned, true);
            CHECK_EQ(atomic_load(&one->inside), 0);
            CHECK_EQ(atomic_load(&one->calls), 1);
            CHECK_EQ(one->job.result, 1);
        }
    }
}

int main(int argc, char **argv)
{
    bool external = argc > 1;
    struct card *card;
    pthread_t poller;

    (void)argv;
    test_begin(100);
    card = card_load(external ? "ENABLE_EXTERNAL_POLLING" : NULL);
    if (external)
        CHECK_EQ(pthread_create(&poller, NULL, poll_always, card), 0);
    for (int i = 0; i < JOBS; i++) {
        told[i].work = work_aes(card, (unsigned char)i);
        job_init(&told[i].job, BY_CALLBACK, work_do, told[i].work);
        CHECK(ASYNC_WAIT_CTX_set_callback(told[i].job.context, dawdle, &told[i]));
    }
    race();
    usleep(20000);
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(told[i].calls, 1);
        job_free(&told[i].job);
        work_free(told[i].work);
    }
    CHECK_EQ(card_count(card, "callbacks"), ROUNDS * JOBS);
    CHECK_EQ(card_count(card, "aes_cbc"), ROUNDS * JOBS);
    if (external) {
        atomic_store(&polling, false);
        pthread_join(poller, NULL);
    }
    card_unload(card);
    return 0;
}
