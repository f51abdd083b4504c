/* SPDX-License-Identifier: Apache-2.0 */
/* N8 and N9: what a full ring means by callback (EAGAIN, and no callback) and by descriptor (a wake-up, in
 * order). */
#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 20

static void by_callback(struct card *card)
{
    struct work *works[3];
    struct job jobs[3];

    card_command(card, "HOLD", "compute");
    for (int i = 0; i < 3; i++) {
        works[i] = work_aes(card, (unsigned char)i);
        job_init(&jobs[i], BY_CALLBACK, work_do, works[i]);
        CHECK_EQ(ASYNC_WAIT_CTX_get_status(jobs[i].context), ASYNC_STATUS_UNSUPPORTED);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
        CHECK_EQ(ASYNC_WAIT_CTX_get_status(jobs[i].context), i < 2 ? ASYNC_STATUS_OK : ASYNC_STATUS_EAGAIN);
    }
    CHECK_EQ(job_run(&jobs[2]), ASYNC_PAUSE); /* tried again, still full */
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(jobs[2].context), ASYNC_STATUS_EAGAIN);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&jobs[0]), 1);
    CHECK_EQ(job_finish(&jobs[1]), 1);
    usleep(20000);
    CHECK_EQ(jobs[2].callbacks, 0); /* it was not accepted: nothing to tell */
    CHECK_EQ(job_run(&jobs[2]), ASYNC_PAUSE);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(jobs[2].context), ASYNC_STATUS_OK);
    CHECK_EQ(job_finish(&jobs[2]), 1);
    CHECK_EQ(jobs[2].callbacks, 1);
    CHECK_EQ(card_count(card, "retries"), 2);
    for (int i = 0; i < 3; i++) {
        job_free(&jobs[i]);
        work_free(works[i]);
    }
}

static void by_descriptor(struct card *card)
{
    struct work *works[JOBS];
    struct job jobs[JOBS];
    unsigned retries = 0;

    card_command(card, "HOLD", "compute");
    for (int i = 0; i < JOBS; i++) {
        works[i] = work_aes(card, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    retries = card_number(card, "GET_NUM_OP_RETRIES");
    CHECK_EQ(retries, 2 + JOBS - 2);
    /* One goes through at a time: it is always the oldest, and it is told without anybody polling. */
    for (int i = 0; i < JOBS; i++) {
        card_command(card, "RELEASE", "1");
        CHECK_EQ(job_finish(&jobs[i]), 1);
        for (int j = i + 1; j < JOBS; j++)
            CHECK(!fd_is_readable(job_fd(&jobs[j])));
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    CHECK_EQ(card_count(card, "early_resumes"), 0);
    card_command(card, "HOLD", "none");
}

int main(void)
{
    struct card *card;

    test_begin(60);
    card = card_load("WORKERS:1;INSTANCES:1;RING_DEPTH:2");
    by_callback(card);
    by_descriptor(card);
    card_unload(card);
    return 0;
}
