/* SPDX-License-Identifier: Apache-2.0 */
/* N5, N2: a job that is resumed early pauses again, at every point of its request's life, and nothing is left
 * over. */
#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define TIMES 500       /* fewer than it takes until a pause is suspected not to pause */
#define MANY_TIMES 3000 /* three times as many as it takes */

static void resume_early(struct card *card, enum told_by told_by, const char *where, struct work *work)
{
    struct job job;
    long completed = card_count(card, "completed"), early = card_count(card, "early_resumes");

    card_command(card, "HOLD", where);
    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (strcmp(where, "signal") == 0)
        card_wait_for(card, "completed", completed + 1);
    for (int i = 0; i < TIMES; i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* complete is not enough: its signal is still to come */
    CHECK_EQ(job.callbacks, 0);
    card_command(card, "RELEASE", "1");
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(card_count(card, "early_resumes") - early, TIMES);
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    card_command(card, "HOLD", "none");
    usleep(20000); /* whatever might still come has come */
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    job_free(&job);
}

/* So often that the module takes it for a pause that does not pause, and slows the resumer down: still not
 * done before the card is. */
static void resume_very_often(struct card *card, enum told_by told_by, struct work *work)
{
    struct job job;

    card_command(card, "HOLD", "compute");
    job_init(&job, told_by, work_do, work);
    for (int i = 0; i < MANY_TIMES; i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job.callbacks, 0);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    usleep(20000);
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    job_free(&job);
    work_free(work);
}

int main(void)
{
    static const char *const places[] = {"compute", "signal"};
    struct card *card;

    test_begin(60);
    card = card_load(NULL);
    for (int told_by = BY_FD; told_by <= BY_CALLBACK; told_by++) {
        for (int place = 0; place < 2; place++) {
            struct work *rsa = work_rsa(card, 1), *aes = work_aes(card, 2);

            resume_early(card, (enum told_by)told_by, places[place], rsa);
            resume_early(card, (enum told_by)told_by, places[place], aes);
            work_free(rsa);
            work_free(aes);
        }
    }
    resume_very_often(card, BY_FD, work_aes(card, 3));
    resume_very_often(card, BY_CALLBACK, work_rsa(card, 4));
    card_unload(card);
    return 0;
}
