/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring really forbidden (seccomp): a clear error; with software fallback the calling core does the
 * work. */
#include <errno.h>
#include <openssl/err.h>

#include "check.h"
#include "support/card.h"
#include "support/seccomp.h"
#include "support/work.h"

static void refused(const char *text)
{
    CHECK(card_try(NULL) == NULL);
    CHECK(error_speaks_of(text)); /* which clears the queue */
    CHECK(card_try(NULL) == NULL);
    CHECK(error_speaks_of("ENABLE_SW_FALLBACK")); /* the remedy */
}

static void fallen_back(void)
{
    struct card *card = card_load("ENABLE_SW_FALLBACK");
    struct work *rsa = work_rsa(card, 1), *aes = work_aes(card, 2);

    for (int told_by = BY_FD; told_by <= BY_CALLBACK; told_by++) {
        struct job job;

        job_init(&job, (enum told_by)told_by, work_do, rsa);
        CHECK_EQ(job_run(&job), ASYNC_FINISH); /* nobody to wait for */
        CHECK_EQ(job.result, 1);
        job.arg = aes;
        CHECK_EQ(job_run(&job), ASYNC_FINISH);
        CHECK_EQ(job.result, 1);
        job_free(&job);
    }
    CHECK_EQ(work_do(&rsa), 1);
    CHECK_EQ(card_count(card, "completed"), 0);
    CHECK_EQ(card_count(card, "inline"), 5);
    CHECK_EQ(ERR_peek_error(), 0);
    work_free(rsa);
    work_free(aes);
    card_unload(card);
}

/* Forbidden after the module was initialised, before its first operation: the operation says it, and the
 * status. */
static void forbidden_late(int error)
{
    struct card *card = card_load(NULL);
    struct work *rsa = work_rsa(card, 1);
    struct job job;

    forbid_io_uring(error);
    ERR_clear_error();
    job_init(&job, BY_CALLBACK, work_do, rsa);
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    CHECK_EQ(job.result, 0);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(job.context), ASYNC_STATUS_ERR);
    CHECK_EQ(job.callbacks, 0);
    CHECK(error_speaks_of("ENABLE_SW_FALLBACK"));
    card_command(card, "ENABLE_SW_FALLBACK", NULL);
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    CHECK_EQ(job.result, 1);
    job_free(&job);
    work_free(rsa);
    card_unload(card);
}

/* Arguments: refused, fallback or late; and EPERM or ENOSYS. The filter stays, so each is a process of its
 * own. */
int main(int argc, char **argv)
{
    int error;

    test_begin(100);
    CHECK_EQ(argc, 3);
    error = strcmp(argv[2], "EPERM") == 0 ? EPERM : ENOSYS;
    if (strcmp(argv[1], "late") == 0) {
        forbidden_late(error);
        return 0;
    }
    forbid_io_uring(error);
    if (strcmp(argv[1], "fallback") == 0)
        fallen_back();
    else
        refused(error == EPERM ? "seccomp profile" : "io_uring is missing");
    return 0;
}
