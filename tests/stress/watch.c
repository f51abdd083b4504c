/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog, and the last words for a process that crashes. */
#include "watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"

#define REPORTS_MAX 20

#define REPEAT_SIZE 2048

static char *repeat_line; /* shared with the process that waits */
static _Atomic unsigned long progress;
static _Atomic int reports;
static _Atomic bool ending;
static pthread_t watchdog;
static unsigned limit;

static void *watch(void *arg)
{
    unsigned long seen = 0;
    unsigned idle = 0;

    (void)arg;
    while (!atomic_load(&ending)) {
        unsigned long now;

        usleep(100000);
        now = atomic_load(&progress);
        idle = now == seen ? idle + 1 : 0;
        seen = now;
        if (idle > limit * 10) {
            fprintf(stderr, "\nhang: nothing was finished for too long\n");
            abort();
        }
    }
    return NULL;
}

void watch_from_outside(void)
{
    int status;
    pid_t pid;

    repeat_line = mmap(NULL, REPEAT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(repeat_line != MAP_FAILED);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
        return;
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    fprintf(stderr, "\nended by signal %d (%s)\nrepeat with: stress %s\n", WTERMSIG(status),
        strsignal(WTERMSIG(status)), repeat_line);
    _exit(128 + WTERMSIG(status));
}

void watch_begin(unsigned seconds)
{
    limit = test_seconds(seconds);
    CHECK_EQ(pthread_create(&watchdog, NULL, watch, NULL), 0);
}

void watch_end(void)
{
    atomic_store(&ending, true);
    pthread_join(watchdog, NULL);
}

void watch_round(const char *repeat)
{
    snprintf(repeat_line, REPEAT_SIZE, "%s", repeat);
    watch_progress();
}

void watch_progress(void)
{
    atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
}

void watch_report(const char *format, ...)
{
    va_list arguments;

    if (atomic_fetch_add(&reports, 1) >= REPORTS_MAX)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nrepeat with: stress %s\n", repeat_line);
}
