/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that forbids itself threads once it runs (HAProxy sets RLIMIT_NPROC to 0). The error says what
 * that is and what helps; a card that was started before goes on, and so does one that a child of a fork
 * started within the fork.
 */
#include <grp.h>
#include <sys/resource.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define NOBODY 65534

/* Root may have as many as he likes. After the module was loaded: it may lie where nobody else can read. */
static void become_nobody(void)
{
    if (geteuid() == 0)
        CHECK(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
              setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void forbid_threads(bool for_good)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit.rlim_cur = 0;
    limit.rlim_max = for_good ? 0 : limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
}

/* 1: the job was done, and right. */
static int do_job(struct work *work)
{
    struct job job;
    int result;

    job_init(&job, BY_FD, work_do, work);
    result = job_run(&job) == ASYNC_FINISH ? job.result : job_finish(&job);
    job_free(&job);
    return result;
}

static void forbidden(struct card *card, struct work *work, bool for_good)
{
    become_nobody();
    forbid_threads(for_good);
    CHECK_EQ(do_job(work), 0);
    CHECK(error_speaks_of(for_good ? "insecure-fork-wanted" : "ulimit -u"));
    CHECK_EQ(work_do(&work), 0);
    CHECK(error_speaks_of(for_good ? "INIT_ENGINE" : "lower WORKERS"));
    CHECK_EQ(work_do(&work), 0);
    CHECK(error_speaks_of("ENABLE_SW_FALLBACK"));
    card_command(card, "ENABLE_SW_FALLBACK", NULL);
    CHECK_EQ(do_job(work), 1);
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(card_count(card, "completed"), 0);
    CHECK_EQ(card_count(card, "inline"), 2);
}

static void started_before(struct card *card, struct work *work)
{
    card_command(card, "INIT_ENGINE", NULL);
    become_nobody();
    forbid_threads(true);
    CHECK_EQ(do_job(work), 1);
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(card_count(card, "completed"), 2);
}

static void started_in_child(struct card *card, struct work *work)
{
    pid_t pid;

    card_command(card, "INIT_AFTER_FORK", "1");
    card_command(card, "INIT_ENGINE", NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        test_begin(60);
        become_nobody();
        forbid_threads(true);
        CHECK_EQ(do_job(work), 1);
        CHECK_EQ(card_count(card, "completed"), 1);
        exit(7);
    }
    child_exits_with(pid, 7);
    CHECK_EQ(do_job(work), 1);
}

/* Argument: forbidden, limited, before or child. The limits stay, so each is a process of its own. */
int main(int argc, char **argv)
{
    struct card *card;
    struct work *work;

    test_begin(60);
    CHECK_EQ(argc, 2);
    card = card_load("WORKERS:2");
    work = work_rsa(card, 1);
    if (strcmp(argv[1], "before") == 0)
        started_before(card, work);
    else if (strcmp(argv[1], "child") == 0)
        started_in_child(card, work);
    else
        forbidden(card, work, strcmp(argv[1], "forbidden") == 0);
    work_free(work);
    card_unload(card);
    return 0;
}
