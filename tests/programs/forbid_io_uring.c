/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command that is not allowed to use io_uring. */
#include <errno.h>

#include "check.h"
#include "support/seccomp.h"

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    forbid_io_uring(EPERM);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
