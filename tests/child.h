/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a child process. */
#ifndef ERSATZ_TESTS_CHILD_H
#define ERSATZ_TESTS_CHILD_H

#include <sys/types.h>
#include <sys/wait.h>

#include "check.h"

/* Wait for the child, what fork(2) returned; it must exit by itself with this status. */
static inline void child_exits_with(pid_t pid, int expected)
{
    int status;

    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), expected);
}

#endif
