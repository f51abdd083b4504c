/* SPDX-License-Identifier: Apache-2.0 */
/* See threads.h. */
#include "threads.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "ersatz/sanitizer.h"

const int crash_signals[CRASH_SIGNALS] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
static _Atomic bool crashes_are_handled; /* relaxed */

void threads_handle_crashes(void)
{
    atomic_store_explicit(&crashes_are_handled, true, memory_order_relaxed);
}

/* An application may have asked for small stacks: for its own threads, which do less. */
#define STACK_MIN ((size_t)128 * 1024)

/* Returns an error. */
static int create(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    size_t size = STACK_MIN;
    int err = pthread_getattr_default_np(&attributes);

    if (err != 0)
        return err;
    pthread_attr_getstacksize(&attributes, &size);
    if (size < STACK_MIN)
        pthread_attr_setstacksize(&attributes, STACK_MIN);
    err = pthread_create(thread, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    return err;
}

bool thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    if (atomic_load_explicit(&crashes_are_handled, memory_order_relaxed)) {
        for (unsigned i = 0; i < CRASH_SIGNALS; i++)
            sigdelset(&all, crash_signals[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = create(thread, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return err == 0;
}

struct timespec thread_patience_second(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    return until;
}

bool thread_join_patiently(pthread_t thread)
{
#ifdef ERSATZ_THREAD_SANITIZER
    /* Clang's takes no notice of pthread_clockjoin_np, and then sees races that there are not. */
    return pthread_join(thread, NULL) == 0;
#else
    int err = ETIMEDOUT;

    for (unsigned i = 0; i < THREAD_PATIENCE && err == ETIMEDOUT; i++) {
        struct timespec until = thread_patience_second();

        err = pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
    }
    return err == 0;
#endif
}

#define LONG_SLICE_NS 10000000u /* usual slices are 1 to 3 ms */

void thread_ask_for_slices(bool long_ones)
{
    struct { /* struct sched_attr of Linux; which header declares it depends on the C library's version */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice, deadline, period;
    } attributes = {
        .size = sizeof(attributes)}; /* zeroed for valgrind, which does not know that Linux sets all */

    /* A filter of system calls may end the process at one that it does not expect. */
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
        return;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
        (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH))
        return; /* real-time threads have no slices; idle ones shall stay as they are */
    attributes.slice = long_ones ? LONG_SLICE_NS : 0; /* 0: the usual */
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

#define OTHERS_RAN_NS 10000u /* a yield that took longer has let another thread run */

bool thread_let_others_run(void)
{
    uint64_t before = clock_now();

    sched_yield();
    return clock_now() - before > OTHERS_RAN_NS;
}

pid_t thread_self(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* An administrator does not set so low a limit. A server that will start no more threads or processes sets
 * its own limit to 0 (HAProxy, vsftpd), or to one or two, and cannot raise it again. */
#define OWN_LIMIT_MAX 8u

enum ersatz_result threads_explain(struct ersatz_error *error, const char *thread)
{
    int err = errno;
    struct rlimit limit;

    error->result = ERSATZ_NO_THREADS;
    if (err != EAGAIN || getrlimit(RLIMIT_NPROC, &limit) != 0)
        snprintf(error->text, sizeof(error->text), "%s could not be started: %s", thread, strerror(err));
    else if (limit.rlim_max <= OWN_LIMIT_MAX)
        snprintf(error->text, sizeof(error->text),
            "%s could not be started: the process has forbidden itself threads (RLIMIT_NPROC is %llu), as "
            "HAProxy does: put insecure-fork-wanted into its global section, or start the card earlier "
            "(INIT_ENGINE, INIT_AFTER_FORK)",
            thread, (unsigned long long)limit.rlim_max);
    else if (limit.rlim_cur == RLIM_INFINITY)
        snprintf(error->text, sizeof(error->text),
            "%s could not be started: the control group's limit (pids.max) or the system's is reached; raise "
            "it or lower WORKERS",
            thread);
    else
        snprintf(error->text, sizeof(error->text),
            "%s could not be started: the user's limit (ulimit -u, now %llu), the control group's (pids.max) "
            "or the system's is reached; raise it or lower WORKERS",
            thread, (unsigned long long)limit.rlim_cur);
    return ERSATZ_NO_THREADS;
}
