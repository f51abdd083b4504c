/* SPDX-License-Identifier: Apache-2.0 */
/* N1 under race: a job that is resumed early at every possible moment, and then waits, is never left
 * waiting. */
#include <poll.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define ROUNDS 30000

int main(void)
{
    struct card *card;
    struct work *work;
    struct job job;
    int fd = -1;

    test_begin(120);
    card = card_load(NULL);
    work = work_aes(card, 1);
    job_init(&job, BY_FD, work_do, work);
    for (int round = 0; round < ROUNDS; round++) {
        job_run(&job);
        for (int early = round % 40; early > 0 && job.status == ASYNC_PAUSE; early--)
            job_run(&job);
        CHECK_EQ(job_finish(&job), 1);         /* a lost wake-up hangs here */
        CHECK(fd == -1 || fd == job_fd(&job)); /* N4: one descriptor for the life of the wait context */
        fd = job_fd(&job);
        CHECK(!fd_is_readable(fd));
    }
    CHECK_EQ(card_count(card, "completed"), ROUNDS);
    CHECK(card_count(card, "early_resumes") > 0);
    job_free(&job);
    work_free(work);
    card_unload(card);
    return 0;
}
