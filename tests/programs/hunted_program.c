/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs six times, each time in a job, on the card that ERSATZ_CTRL has set up; for the hunt. With an
 * argument it has a mistake, which a quiet card does not show:
 *
 *   spurious   it takes a job for finished when it has been resumed once
 *   failed     it uses the result of the fourth operation although it has failed
 *
 * Ends with 2 if an operation has failed.
 */
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define TIMES 6

static int *volatile nowhere;

/* False: the operation failed. */
static bool sign(struct card *card, const char *mistake)
{
    struct job job;
    bool ok;

    job_init(&job, BY_FD, work_do, work_rsa(card, 1));
    if (job_run(&job) == ASYNC_PAUSE) {
        struct pollfd readable = {.fd = job_fd(&job), .events = POLLIN};

        CHECK_EQ(poll(&readable, 1, -1), 1);
        if (job_run(&job) == ASYNC_PAUSE && strcmp(mistake, "spurious") == 0)
            exit(1);
    }
    ok = (job.job == NULL ? job.result : job_finish(&job)) == 1;
    work_free(job.arg);
    job_free(&job);
    return ok;
}

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "";
    const struct rlimit none = {0, 0};
    struct card *card;
    int failed = 0;

    test_begin(250);
    setrlimit(RLIMIT_CORE, &none);
    card = card_load(NULL);
    for (int i = 1; i <= TIMES; i++) {
        bool ok = sign(card, mistake);

        if (!ok && i == 4 && strcmp(mistake, "failed") == 0)
            *nowhere = 1;
        failed += !ok;
    }
    card_unload(card);
    return failed == 0 ? 0 : 2;
}
