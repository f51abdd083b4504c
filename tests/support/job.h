/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, as a proper application runs them. */
#ifndef ERSATZ_TESTS_JOB_H
#define ERSATZ_TESTS_JOB_H

#include <openssl/async.h>
#include <semaphore.h>
#include <stdbool.h>

/* How a job is told. */
enum told_by { BY_FD, BY_CALLBACK };

struct job {
    enum told_by told_by;
    int (*work)(void *);
    void *arg;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *context;
    int status; /* what ASYNC_start_job said last */
    int result; /* of work, when finished */
    _Atomic int callbacks;
    sem_t told; /* posted by each callback */
};

/* A wait context, with the harness' counting callback if BY_CALLBACK. */
void job_init(struct job *job, enum told_by told_by, int (*work)(void *), void *arg);
void job_free(struct job *job);

/* Start or resume. Returns the status; NO_JOBS and ERR end the test. */
int job_run(struct job *job);

/* The job's one descriptor; ends the test if there is not exactly one. */
int job_fd(struct job *job);

/* Whether it is readable now. */
bool fd_is_readable(int fd);

/* Wait to be told, as a proper application does, then resume; until finished. Returns work's result. */
int job_finish(struct job *job);

#endif
