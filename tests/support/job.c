/* SPDX-License-Identifier: Apache-2.0 */
/* See job.h. */
#include "support/job.h"

#include <poll.h>
#include <stdatomic.h>

#include "check.h"

static int count_callback(void *arg)
{
    struct job *job = arg;

    atomic_fetch_add(&job->callbacks, 1);
    sem_post(&job->told);
    return 1;
}

void job_init(struct job *job, enum told_by told_by, int (*work)(void *), void *arg)
{
    *job = (struct job){.told_by = told_by, .work = work, .arg = arg, .context = ASYNC_WAIT_CTX_new()};
    CHECK(job->context != NULL);
    CHECK_EQ(sem_init(&job->told, 0, 0), 0);
    if (told_by == BY_CALLBACK)
        CHECK(ASYNC_WAIT_CTX_set_callback(job->context, count_callback, job));
}

void job_free(struct job *job)
{
    ASYNC_WAIT_CTX_free(job->context);
    job->context = NULL;
    sem_destroy(&job->told);
}

int job_run(struct job *job)
{
    /* The function gets a copy of its argument: here, of the pointer. */
    job->status =
        ASYNC_start_job(&job->job, job->context, &job->result, job->work, &job->arg, sizeof(job->arg));
    CHECK(job->status == ASYNC_PAUSE || job->status == ASYNC_FINISH);
    return job->status;
}

int job_fd(struct job *job)
{
    OSSL_ASYNC_FD fd;
    size_t count = 0;

    CHECK(ASYNC_WAIT_CTX_get_all_fds(job->context, NULL, &count));
    CHECK_EQ(count, 1);
    CHECK(ASYNC_WAIT_CTX_get_all_fds(job->context, &fd, &count));
    return fd;
}

bool fd_is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN);
}

static void wait_to_be_told(struct job *job)
{
    struct pollfd poll_fd = {.events = POLLIN};

    if (job->told_by == BY_FD) {
        poll_fd.fd = job_fd(job);
        CHECK_EQ(poll(&poll_fd, 1, -1), 1);
    } else if (ASYNC_WAIT_CTX_get_status(job->context) == ASYNC_STATUS_OK) {
        while (sem_wait(&job->told) != 0)
            ;
    } else {
        usleep(50); /* the ring was full: try again */
    }
}

int job_finish(struct job *job)
{
    while (job->status == ASYNC_PAUSE) {
        wait_to_be_told(job);
        job_run(job);
    }
    CHECK_EQ(job->status, ASYNC_FINISH);
    return job->result;
}
