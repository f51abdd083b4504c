/* SPDX-License-Identifier: Apache-2.0 */
/* A callback that uses the card itself, and waits for it: on a thread of the card, which is the one that
 * would free the slot it waits for, or in POLL. */
#include <stdatomic.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 40
#define TIMES 10

static struct work *inner;
static _Atomic int done;

static int work_in_callback(void *arg)
{
    struct job *job = arg;

    CHECK(ASYNC_get_current_job() == NULL);
    CHECK_EQ(work_do(&inner), 1);
    atomic_fetch_add(&done, 1);
    atomic_fetch_add(&job->callbacks, 1);
    sem_post(&job->told);
    return 1;
}

static void run(struct card *card, bool external)
{
    struct work *works[JOBS];
    struct job jobs[JOBS];
    int unfinished = JOBS;

    for (int i = 0; i < JOBS; i++) {
        works[i] = work_aes(card, (unsigned char)i);
        works[i]->times = TIMES;
        job_init(&jobs[i], BY_CALLBACK, work_do, works[i]);
        CHECK(ASYNC_WAIT_CTX_set_callback(jobs[i].context, work_in_callback, &jobs[i]));
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    while (unfinished > 0) {
        if (external)
            card_command(card, "POLL", NULL);
        for (int i = 0; i < JOBS; i++) {
            bool refused = ASYNC_WAIT_CTX_get_status(jobs[i].context) == ASYNC_STATUS_EAGAIN;

            if (jobs[i].status == ASYNC_PAUSE && (refused || sem_trywait(&jobs[i].told) == 0))
                unfinished -= job_run(&jobs[i]) == ASYNC_FINISH;
        }
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(jobs[i].result, 1);
        CHECK_EQ(jobs[i].callbacks, TIMES);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

int main(int argc, char **argv)
{
    static const char *const shapes[] = {"RING_DEPTH:1;INSTANCES:1;WORKERS:1", "RING_DEPTH:2;INSTANCES:2",
        "RING_DEPTH:4;INSTANCES:1;WORKERS:3"};
    bool external = argc > 1;

    (void)argv;
    test_begin(100);
    for (int i = 0; i < 3; i++) {
        char commands[200];
        struct card *card;

        snprintf(commands, sizeof(commands), "%s;SYNC_OFFLOAD:1%s", shapes[i],
            external ? ";ENABLE_EXTERNAL_POLLING" : "");
        card = card_load(commands);
        inner = i % 2 == 0 ? work_rsa(card, 9) : work_aes(card, 9);
        atomic_store(&done, 0);
        run(card, external);
        CHECK_EQ(atomic_load(&done), JOBS * TIMES);
        work_free(inner);
        card_unload(card);
    }
    return 0;
}
