/* SPDX-License-Identifier: Apache-2.0 */
/* Computes in the callback, on the card's thread, where every other job waits for it. */
#include <time.h>

#include "wrong.h"

static int64_t processor_time(void)
{
    struct timespec used;

    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static int compute(void *arg)
{
    struct job *job = arg;
    int64_t began = processor_time();

    while (processor_time() - began < 50000000)
        ;
    sem_post(&job->told);
    return 1;
}

int main(int argc, char **argv)
{
    struct card *card = load_checked(NULL);
    struct job job;

    job_init(&job, BY_CALLBACK, work_do, work_rsa(card, 1));
    if (!has_argument(argc, argv, "mended"))
        CHECK(ASYNC_WAIT_CTX_set_callback(job.context, compute, &job));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    finish_signing(&job);
    unload_used(card);
    return 0;
}
