/* SPDX-License-Identifier: Apache-2.0 */
/* 64 jobs in flight on the engine that ERSATZ_CTRL has set up, each with three RSA signatures or three times
 * 4 KiB of AES-128-CBC: something to trace, small enough to be looked at whole. */
#include <poll.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define JOBS 64
#define TIMES 3

int main(void)
{
    static struct job jobs[JOBS];
    struct work *work[JOBS];
    struct card *card;
    int open = JOBS;

    test_begin(60);
    card = card_load(NULL);
    for (int i = 0; i < JOBS; i++) {
        work[i] = i % 4 == 3 ? work_aes(card, (unsigned char)i) : work_rsa(card, (unsigned char)i);
        work[i]->times = TIMES;
        job_init(&jobs[i], BY_FD, work_do, work[i]);
    }
    for (int i = 0; i < JOBS; i++)
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    while (open > 0) {
        struct pollfd fds[JOBS];

        for (int i = 0; i < JOBS; i++)
            fds[i] = (struct pollfd){.fd = jobs[i].job == NULL ? -1 : job_fd(&jobs[i]), .events = POLLIN};
        CHECK(poll(fds, JOBS, -1) > 0);
        for (int i = 0; i < JOBS; i++) {
            if (fds[i].revents != 0 && job_run(&jobs[i]) == ASYNC_FINISH)
                open--;
        }
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(jobs[i].result, 1);
        job_free(&jobs[i]);
        work_free(work[i]);
    }
    card_unload(card);
    return 0;
}
