/* Waits in the callback, on the card's thread, for something that another thread does later. */
#include "wrong.h"

static sem_t later;

static int wait_for_later(void *arg)
{
    struct job *job = arg;

    while (sem_wait(&later) != 0)
        ;
    sem_post(&job->told);
    return 1;
}

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked(NULL);
    struct job job;

    CHECK_EQ(sem_init(&later, 0, 0), 0);
    job_init(&job, BY_CALLBACK, work_do, work_rsa(engine, 1));
    if (!has_argument(argc, argv, "mended"))
        CHECK(ASYNC_WAIT_CTX_set_callback(job.context, wait_for_later, &job));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!has_argument(argc, argv, "mended"))
        engine_wait_for(engine, "blocked_callback", 1);
    sem_post(&later);
    finish_signing(&job);
    unload_used(engine);
    return 0;
}
