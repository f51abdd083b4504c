/* SPDX-License-Identifier: Apache-2.0 */
/* N5, N2: a job that is resumed early pauses again, at every point of its request's life, and nothing is left
 * over. */
#include "check.h"
#include "support/engine.h"
#include "support/work.h"

#define TIMES 500 /* fewer than it takes until a pause is suspected not to pause */

static void resume_early(ENGINE *engine, enum told_by told_by, const char *where, struct work *work)
{
    struct job job;
    long completed = engine_count(engine, "completed"), early = engine_count(engine, "early_resumes");

    engine_command(engine, "HOLD", where);
    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (strcmp(where, "signal") == 0)
        engine_wait_for(engine, "completed", completed + 1);
    for (int i = 0; i < TIMES; i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* complete is not enough: its signal is still to come */
    CHECK_EQ(job.callbacks, 0);
    engine_command(engine, "RELEASE", "1");
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(engine_count(engine, "early_resumes") - early, TIMES);
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    engine_command(engine, "HOLD", "none");
    usleep(20000); /* whatever might still come has come */
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    job_free(&job);
}

/* So often that the engine takes it for a pause that does not pause, and slows the resumer down: still not
 * done before the card is. */
static void resume_very_often(ENGINE *engine, enum told_by told_by, int times, struct work *work)
{
    struct job job;

    engine_command(engine, "HOLD", "compute");
    job_init(&job, told_by, work_do, work);
    for (int i = 0; i < times; i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job.callbacks, 0);
    engine_command(engine, "HOLD", "none");
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
    ENGINE *engine;

    test_begin(60);
    engine = engine_load(NULL);
    for (int told_by = BY_FD; told_by <= BY_CALLBACK; told_by++) {
        for (int place = 0; place < 2; place++) {
            struct work *rsa = work_rsa(engine, 1), *aes = work_aes(engine, 2);

            resume_early(engine, (enum told_by)told_by, places[place], rsa);
            resume_early(engine, (enum told_by)told_by, places[place], aes);
            work_free(rsa);
            work_free(aes);
        }
    }
    resume_very_often(engine, BY_FD, 10000, work_aes(engine, 3));
    resume_very_often(engine, BY_CALLBACK, 3000, work_rsa(engine, 4));
    engine_unload(engine);
    return 0;
}
