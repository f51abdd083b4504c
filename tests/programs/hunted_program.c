/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs six times, each time in a job, on the card that ERSATZ_CTRL has set up; for the hunt. With an
 * argument it has a mistake, which a quiet card does not show:
 *
 *   spurious   it takes a job for finished when it has been resumed once
 *   first      the same, but for the first operation only
 *   failed     it uses the result of the fourth operation although it has failed
 *   twice      it uses that of any operation, those with odd and with even numbers in different functions
 *   leaks      it leaves a descriptor open, and keeps memory, for each job that is resumed too early
 *
 * With leaks it encrypts instead, ninety times. With the argument long it does the same and is right: it
 * takes as much memory, and gives it back. With the argument forks it is right, and forks while it waits.
 * Ends with 2 if an operation has failed.
 */
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define TIMES 6
#define TIMES_LONG 90
#define WATCH_EVERY 3  /* operations, so that there are samples enough of how it grows */
#define WATCH_SLEEPS 3 /* of the hunt's process: it has looked in between, from the first to the last */
#define FORKS 30

static int *volatile nowhere;
static void *volatile kept; /* the newest */

/* What the program does when a job pauses again. */
enum mistake { NONE, ENDS, LEAKS };

/* Two of these are more than a step from which on the hunt takes memory for growing; so are two
 * descriptors. */
#define KEPT (192 * 1024)

/* Waits until the job's descriptor is readable, and forks now and then. */
static void wait_for(struct job *job, bool may_fork)
{
    static int forks;
    struct pollfd readable = {.fd = job_fd(job), .events = POLLIN};

    while (poll(&readable, 1, may_fork && forks < FORKS ? 1 : -1) == 0) {
        pid_t pid = fork();

        forks++;
        if (pid == 0)
            _exit(0);
        child_exits_with(pid, 0);
    }
}

/* How often the parent, which is the hunt's process that watches this one, has gone to sleep. */
static unsigned long parent_sleeps(void)
{
    static const char name[] = "\nvoluntary_ctxt_switches:";
    char path[32], status[4096] = "";
    const char *found;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)getppid());
    file = fopen(path, "re");
    CHECK(file != NULL && fread(status, 1, sizeof(status) - 1, file) > 0);
    fclose(file);
    found = strstr(status, name);
    CHECK(found != NULL);
    return strtoul(found + sizeof(name) - 1, NULL, 10);
}

/* After this operation: waits until the hunt has seen what the program has, however busy the machine is. */
static void be_watched(int operation)
{
    unsigned long before = parent_sleeps();

    while (operation % WATCH_EVERY == 0 && parent_sleeps() < before + WATCH_SLEEPS)
        usleep(5000);
}

/* False: the operation failed. */
static bool operate(struct work *work, enum mistake mistake, bool may_fork)
{
    struct job job;
    bool ok;

    job_init(&job, BY_FD, work_do, work);
    if (job_run(&job) == ASYNC_PAUSE) {
        wait_for(&job, may_fork);
        if (job_run(&job) == ASYNC_PAUSE) {
            if (mistake == ENDS)
                exit(1);
            kept = memset(malloc(KEPT), 1, KEPT);
            if (mistake == LEAKS)
                CHECK(dup(STDIN_FILENO) >= 0);
            else
                free((void *)kept);
        }
    }
    ok = (job.job == NULL ? job.result : job_finish(&job)) == 1;
    work_free(job.arg);
    job_free(&job);
    return ok;
}

__attribute__((noinline)) static void use_odd(void)
{
    *nowhere = 1;
}

__attribute__((noinline)) static void use_even(void)
{
    *nowhere = 2;
}

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "";
    const struct rlimit none = {0, 0};
    bool leaks = strcmp(mistake, "leaks") == 0, is_long = leaks || strcmp(mistake, "long") == 0;
    struct card *card;
    int failed = 0;

    test_begin(250);
    setrlimit(RLIMIT_CORE, &none);
    card = card_load(NULL);
    for (int i = 1; i <= (is_long ? TIMES_LONG : TIMES); i++) {
        bool mistaken = strcmp(mistake, "spurious") == 0 || (i == 1 && strcmp(mistake, "first") == 0);
        struct work *work = is_long ? work_aes(card, 1) : work_rsa(card, 1);
        bool ok = operate(work, leaks ? LEAKS : mistaken ? ENDS : NONE, strcmp(mistake, "forks") == 0);

        if (is_long)
            be_watched(i);
        if (!ok && i == 4 && strcmp(mistake, "failed") == 0)
            *nowhere = 1;
        if (!ok && strcmp(mistake, "twice") == 0)
            i % 2 == 0 ? use_even() : use_odd();
        failed += !ok;
    }
    card_unload(card);
    return failed == 0 ? 0 : 2;
}
