/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits in the callback, on the card's thread, for something that another thread does later; or (`short`)
 * sleeps there for somewhat longer than a callback may, each time.
 */
#include "wrong.h"

#define SHORT_US 25000 /* a callback may sleep for 10 ms */

static sem_t later;

static int wait_for_later(void *arg)
{
    struct job *job = arg;

    while (sem_wait(&later) != 0)
        ;
    sem_post(&job->told);
    return 1;
}

static int sleep_shortly(void *arg)
{
    struct job *job = arg;

    usleep(SHORT_US);
    sem_post(&job->told);
    return 1;
}

static void start(struct card *card, struct job *job, int (*callback)(void *))
{
    job_init(job, BY_CALLBACK, work_do, work_rsa(card, 1));
    if (callback != NULL)
        CHECK(ASYNC_WAIT_CTX_set_callback(job->context, callback, job));
    CHECK_EQ(job_run(job), ASYNC_PAUSE);
}

int main(int argc, char **argv)
{
    bool mended = has_argument(argc, argv, "mended"), is_short = has_argument(argc, argv, "short");
    struct card *card = load_checked(NULL);
    struct job job;

    CHECK_EQ(sem_init(&later, 0, 0), 0);
    /* Where the machine is too busy for the check to look in time, it accuses nobody. So: until it does. */
    do {
        start(card, &job, mended ? NULL : is_short ? sleep_shortly : wait_for_later);
        if (!mended && !is_short) {
            card_wait_for(card, "blocked_callback", 1);
            sem_post(&later);
        }
        finish_signing(&job);
    } while (!mended && card_count(card, "blocked_callback") == 0);
    unload_used(card);
    return 0;
}
