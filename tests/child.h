/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning and the end of a child process. */
#ifndef ERSATZ_TESTS_CHILD_H
#define ERSATZ_TESTS_CHILD_H

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Run it in the child of a fork, which then exits with that status. It has 60 seconds. */
static inline pid_t child_start(void (*run)(void), int status)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        test_begin(60);
        run();
        _exit(status);
    }
    return pid;
}

/* Wait for the child, what fork(2) returned; it must exit by itself. Returns its status. */
static inline int child_status(pid_t pid)
{
    int status;

    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        fprintf(stderr, "the child was ended by signal %d%s\n", WTERMSIG(status),
            WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The same, and the status must be this one. */
static inline void child_exits_with(pid_t pid, int expected)
{
    CHECK_EQ(child_status(pid), expected);
}

#endif
