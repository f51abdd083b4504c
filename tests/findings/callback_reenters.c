/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the card in the callback, on the card's thread: signs there, or (`resumes`) resumes its job there.
 * Such a job must not come to its end there: libcrypto would go back to the thread that started it.
 */
#include "wrong.h"

static struct work *other;

static int sign(void *arg)
{
    struct job *job = arg;

    CHECK_EQ(work_do(&other), 1);
    sem_post(&job->told);
    return 1;
}

static sem_t started;
static _Atomic int told;

static int resume(void *arg)
{
    struct job *job = arg;

    while (sem_wait(&started) != 0)
        ;
    if (told++ == 0)
        CHECK_EQ(job_run(job), ASYNC_PAUSE);
    sem_post(&job->told);
    return 1;
}

int main(int argc, char **argv)
{
    struct card *card = load_checked(NULL);
    struct job job;

    CHECK_EQ(sem_init(&started, 0, 0), 0);
    other = work_rsa(card, 2);
    job_init(&job, BY_CALLBACK, work_do, work_rsa(card, 1));
    if (has_argument(argc, argv, "mended"))
        ;
    else if (has_argument(argc, argv, "resumes"))
        CHECK(ASYNC_WAIT_CTX_set_callback(job.context, resume, &job));
    else
        CHECK(ASYNC_WAIT_CTX_set_callback(job.context, sign, &job));
    ((struct work *)job.arg)->times = has_argument(argc, argv, "resumes") ? 2 : 1;
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    sem_post(&started); /* for the callback of each of the job's operations */
    sem_post(&started);
    if (has_argument(argc, argv, "resumes") && !has_argument(argc, argv, "mended")) {
        while (sem_wait(&job.told) != 0)
            ;
    }
    finish_signing(&job);
    work_free(other);
    unload_used(card);
    return 0;
}
