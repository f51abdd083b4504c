/* SPDX-License-Identifier: Apache-2.0 */
/* N6: where ASYNC_block_pause() is in force the operation completes all the same, and costs no core while it
 * waits. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

#define HELD_MS 300

static void *release_later(void *engine)
{
    usleep(HELD_MS * 1000);
    engine_command(engine, "HOLD", "none");
    return NULL;
}

static long cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run(ENGINE *engine, enum told_by told_by, int callbacks, struct work *work)
{
    struct job job;
    pthread_t thread;
    long spent;

    engine_command(engine, "HOLD", "compute");
    CHECK_EQ(pthread_create(&thread, NULL, release_later, engine), 0);
    job_init(&job, told_by, work_do_blocked, work);
    spent = cpu_ms();
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    spent = cpu_ms() - spent;
    CHECK_EQ(job.result, 1);
    CHECK_EQ(job.callbacks, callbacks);
    CHECK(spent < HELD_MS / 2); /* spinning would be all of it */
    pthread_join(thread, NULL);
    job_free(&job);
}

static void run_all(const char *commands, int callbacks)
{
    ENGINE *engine = engine_load(commands);
    struct work *rsa = work_rsa(engine, 5), *aes = work_aes(engine, 6);

    run(engine, BY_FD, 0, rsa);
    run(engine, BY_FD, 0, aes);
    run(engine, BY_CALLBACK, callbacks, rsa);
    run(engine, BY_CALLBACK, callbacks, aes);
    work_free(rsa);
    work_free(aes);
    engine_unload(engine);
}

int main(int argc, char **argv)
{
    (void)argv;
    test_begin(60);
    if (argc > 1)
        run_all("ENABLE_EXTERNAL_POLLING", 0); /* nobody polls: the waiting thread takes its own completion */
    else
        run_all(NULL, 1);
    return 0;
}
