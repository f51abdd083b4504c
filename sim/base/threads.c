/* SPDX-License-Identifier: Apache-2.0 */
/* See threads.h. */
#include "threads.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return err == 0;
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
