/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the wrong programs share. Each makes one mistake, and none if it is called with the argument `mended`.
 * The module's report on standard error must name the mistake, and nothing else.
 */
#ifndef ERSATZ_TESTS_WRONG_H
#define ERSATZ_TESTS_WRONG_H

#include "check.h"
#include "support/card.h"
#include "support/work.h"

/* Whether one of the arguments is that word. */
static inline bool has_argument(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], word) == 0)
            return true;
    }
    return false;
}

/* The card, checking; with further commands, or NULL. */
static inline struct card *load_checked(const char *commands)
{
    char all[256];

    test_begin(100);
    snprintf(all, sizeof(all), "CHECK:1%s%s", commands == NULL ? "" : ";", commands == NULL ? "" : commands);
    return card_load(all);
}

/* A job that signs once. */
static inline void start_signing(struct card *card, struct job *job, enum told_by told_by)
{
    job_init(job, told_by, work_do, work_rsa(card, 1));
    CHECK_EQ(job_run(job), ASYNC_PAUSE);
}

/* Wait to be told, resume, until it is done. */
static inline void finish_signing(struct job *job)
{
    CHECK_EQ(job_finish(job), 1);
    work_free(job->arg);
    job_free(job);
}

static inline void wait_until_readable(struct job *job)
{
    while (!fd_is_readable(job_fd(job)))
        usleep(200);
}

/* The mended job is told a second time, for job_finish() to find. */
static inline void wait_to_be_called(struct job *job)
{
    while (sem_wait(&job->told) != 0)
        ;
    sem_post(&job->told);
}

/* The card has done something: a test without it would say nothing. */
static inline void unload_used(struct card *card)
{
    CHECK(card_count(card, "completed") > 0 && card_count(card, "rsa_priv") > 0);
    card_unload(card);
}

#endif
