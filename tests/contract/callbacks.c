/* SPDX-License-Identifier: Apache-2.0 */
/* N7: no descriptor; once per request; on the poller's own thread a callback may resume its job on the
 * spot. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 64
#define TIMES 20

static void no_descriptor(struct job *job)
{
    size_t count = 99;

    CHECK(ASYNC_WAIT_CTX_get_all_fds(job->context, NULL, &count));
    CHECK_EQ(count, 0);
}

static void once_each(struct card *card)
{
    struct job jobs[JOBS];
    struct work *works[JOBS];

    for (int i = 0; i < JOBS; i++) {
        works[i] = i % 8 == 0 ? work_rsa(card, (unsigned char)i) : work_aes(card, (unsigned char)i);
        works[i]->times = TIMES;
        job_init(&jobs[i], BY_CALLBACK, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
        no_descriptor(&jobs[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        no_descriptor(&jobs[i]);
    }
    usleep(20000);
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(jobs[i].callbacks, TIMES);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    CHECK_EQ(card_count(card, "callbacks"), JOBS * TIMES);
    CHECK_EQ(card_count(card, "wakeups"), 0);
}

/* ------------------------------------------------------------------------------------ resumed on the spot */

static pthread_t poller;
static int finished;

static int resume_on_the_spot(void *arg)
{
    struct job *job = arg;

    CHECK(pthread_equal(pthread_self(), poller));
    CHECK_EQ(job->status, ASYNC_PAUSE);
    atomic_fetch_add(&job->callbacks, 1);
    if (job_run(job) == ASYNC_FINISH)
        finished++;
    return 1;
}

static void on_the_spot(struct card *card)
{
    struct job jobs[JOBS];
    struct work *works[JOBS];

    poller = pthread_self();
    for (int i = 0; i < JOBS; i++) {
        works[i] = work_aes(card, (unsigned char)i);
        works[i]->times = TIMES;
        job_init(&jobs[i], BY_CALLBACK, work_do, works[i]);
        CHECK(ASYNC_WAIT_CTX_set_callback(jobs[i].context, resume_on_the_spot, &jobs[i]));
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    while (finished < JOBS) {
        CHECK_EQ(card_number(card, "POLL"), 0);
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(jobs[i].result, 1);
        CHECK_EQ(jobs[i].callbacks, TIMES);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

/* Without a poll no callback comes, however long the card has been done. */
static void only_when_polled(struct card *card)
{
    struct work *work = work_aes(card, 1);
    struct job job;
    long completed = card_count(card, "completed");
    int fd;

    job_init(&job, BY_CALLBACK, work_do, work);
    card_command(card, "SET_INSTANCE_FOR_THREAD", "0");
    CHECK(card_number(card, "GET_NUM_CRYPTO_INSTANCES") > 0);
    fd = card_number(card, "GET_EXTERNAL_POLLING_FD");
    CHECK(!fd_is_readable(fd));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_wait_for(card, "completed", completed + 1);
    while (!fd_is_readable(fd))
        usleep(100); /* the response ring says that there is something to poll for */
    CHECK_EQ(job.callbacks, 0);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* complete, but not told */
    work_end_by_poll(work, &job, fd);
}

int main(int argc, char **argv)
{
    struct card *card;

    (void)argv;
    test_begin(60);
    card = card_load(argc > 1 ? "ENABLE_EXTERNAL_POLLING;ENABLE_HEURISTIC_POLLING;INSTANCES:2" : NULL);
    if (argc > 1) {
        on_the_spot(card);
        only_when_polled(card);
    } else {
        once_each(card);
    }
    card_unload(card);
    return 0;
}
