/* SPDX-License-Identifier: Apache-2.0 */
/* No descriptor left for a job's eventfd: an error that says so, nothing leaked, and the next operation
 * works. */
#include <fcntl.h>
#include <sys/resource.h>

#include "check.h"
#include "support/card.h"
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

static void run(struct card *card, struct work *work, int result, const char *error)
{
    struct job job;

    job_init(&job, BY_FD, work_do, work);
    job_run(&job);
    CHECK_EQ(job_finish(&job), result);
    if (error != NULL)
        CHECK(error_speaks_of(error));
    job_free(&job);
    (void)card;
}

int main(void)
{
    struct card *card;
    struct work *work;
    int before;

    test_begin(100);
    card = card_load(NULL);
    work = work_rsa(card, 1);
    limit_to(first_free()); /* not enough to start a device: a ring has a descriptor while it is made */
    run(card, work, 0, "ulimit -n");
    CHECK_EQ(card_count(card, "completed"), 0);
    limit_to(1000);
    run(card, work, 1, NULL); /* starts it */
    before = first_free();
    limit_to(before); /* not enough for an eventfd */
    run(card, work, 0, "no file descriptor is free");
    CHECK_EQ(work_do(&work), 1); /* without a job none is needed */
    card_command(card, "ENABLE_SW_FALLBACK", NULL);
    run(card, work, 1, NULL);
    CHECK_EQ(card_count(card, "inline"), 1);
    limit_to(1000);
    CHECK_EQ(first_free(), before);
    run(card, work, 1, NULL);
    CHECK_EQ(card_count(card, "completed"), 3);
    work_free(work);
    card_unload(card);
    return 0;
}
