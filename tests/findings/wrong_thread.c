/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resumes a job on another thread than the one that started it: when its result is there, or (`early`) before
 * that. It must not come to its end there: libcrypto would go back to the thread that started it.
 */
#include <pthread.h>

#include "wrong.h"

static void *resume(void *arg)
{
    CHECK_EQ(job_run(arg), ASYNC_PAUSE);
    return NULL;
}

int main(int argc, char **argv)
{
    bool early = has_argument(argc, argv, "early");
    struct card *card = load_checked(NULL);
    struct work *work = work_rsa(card, 1);
    struct job job;
    pthread_t other;

    card_command(card, "HOLD", early ? "compute" : "none");
    work->times = 2;
    job_init(&job, has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!early && job.told_by == BY_FD)
        wait_until_readable(&job);
    else if (!early)
        wait_to_be_called(&job);
    if (has_argument(argc, argv, "mended"))
        resume(&job);
    else
        CHECK(pthread_create(&other, NULL, resume, &job) == 0 && pthread_join(other, NULL) == 0);
    card_command(card, "HOLD", "none");
    finish_signing(&job);
    unload_used(card);
    return 0;
}
