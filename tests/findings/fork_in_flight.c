/* SPDX-License-Identifier: Apache-2.0 */
/* Forks while the card works: to start a program, say, when posix_spawn(3) would have done. */
#include <spawn.h>
#include <sys/wait.h>

#include "wrong.h"

int main(int argc, char **argv)
{
    static char *const program[] = {"/bin/true", NULL};
    struct card *card = load_checked(NULL);
    struct job job;
    pid_t child;
    int status;

    card_command(card, "HOLD", "compute");
    start_signing(card, &job, BY_FD);
    if (has_argument(argc, argv, "mended"))
        CHECK_EQ(posix_spawn(&child, program[0], NULL, NULL, program, NULL), 0);
    else
        child = fork();
    if (child == 0) {
        execv(program[0], program);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    card_command(card, "HOLD", "none");
    finish_signing(&job);
    unload_used(card);
    return 0;
}
