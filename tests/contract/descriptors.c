/* SPDX-License-Identifier: Apache-2.0 */
/* No descriptor left for a job's eventfd: an error that says so, nothing leaked, and the next operation
 * works. */
#include <fcntl.h>
#include <sys/resource.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

static void limit_to(int descriptors)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)descriptors;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int first_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    close(fd);
    return fd;
}

static void run(ENGINE *engine, struct work *work, int result, const char *error)
{
    struct job job;

    job_init(&job, BY_FD, work_do, work);
    job_run(&job);
    CHECK_EQ(job_finish(&job), result);
    if (error != NULL)
        CHECK(error_speaks_of(error));
    job_free(&job);
    (void)engine;
}

int main(void)
{
    ENGINE *engine;
    struct work *work;
    int before;

    test_begin(30);
    engine = engine_load(NULL);
    work = work_rsa(engine, 1);
    limit_to(first_free()); /* not enough to start a device: a ring has a descriptor while it is made */
    run(engine, work, 0, "ulimit -n");
    CHECK_EQ(engine_count(engine, "completed"), 0);
    limit_to(1000);
    run(engine, work, 1, NULL); /* starts it */
    before = first_free();
    limit_to(before); /* not enough for an eventfd */
    run(engine, work, 0, "no file descriptor is free");
    CHECK_EQ(work_do(&work), 1); /* without a job none is needed */
    engine_command(engine, "ENABLE_SW_FALLBACK", NULL);
    run(engine, work, 1, NULL);
    CHECK_EQ(engine_count(engine, "inline"), 1);
    limit_to(1000);
    CHECK_EQ(first_free(), before);
    run(engine, work, 1, NULL);
    CHECK_EQ(engine_count(engine, "completed"), 3);
    work_free(work);
    engine_unload(engine);
    return 0;
}
