/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With external polling a completion keeps its slot until somebody polls. A thread that is itself the one who
 * polls, and waits where it cannot pause, would wait for ever for a slot: it must get its answer all the
 * same.
 */
#include "check.h"
#include "support/card.h"
#include "support/work.h"

static int synchronous(struct work *work)
{
    return work_do(&work);
}

static int blocked(struct work *work, enum told_by told_by)
{
    struct job job;

    job_init(&job, told_by, work_do_blocked, work);
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    CHECK_EQ(job.callbacks, 0);
    job_free(&job);
    return job.result;
}

static int blocked_by_fd(struct work *work)
{
    return blocked(work, BY_FD);
}

static int blocked_by_callback(struct work *work)
{
    return blocked(work, BY_CALLBACK);
}

static void run(struct card *card, int (*wait_for_card)(struct work *))
{
    struct work *first = work_aes(card, 1), *second = work_rsa(card, 2);
    long completed = card_count(card, "completed");
    struct job job;
    int fd;

    job_init(&job, BY_CALLBACK, work_do, first);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_wait_for(card, "completed", completed + 1); /* done, not polled for: the ring is full */
    CHECK_EQ(wait_for_card(second), 1);
    CHECK_EQ(job.callbacks, 0); /* not behind the application's back either */
    fd = card_number(card, "GET_EXTERNAL_POLLING_FD");
    CHECK(fd_is_readable(fd)); /* and still to be seen from outside */
    work_end_by_poll(first, &job, fd);
    work_free(second);
}

int main(void)
{
    struct card *card;

    test_begin(100);
    card = card_load("ENABLE_EXTERNAL_POLLING;WORKERS:1;INSTANCES:1;RING_DEPTH:1");
    run(card, synchronous);
    run(card, blocked_by_fd);
    run(card, blocked_by_callback);
    card_unload(card);
    return 0;
}
