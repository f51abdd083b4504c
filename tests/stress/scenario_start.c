/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a scenario in a new process, and looks how it ends. */
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "scenario.h"
#include "totals.h"
#include "watch.h"

extern char **environ;

static void judge(int status, const char *name)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == SCENARIO_DONE)
        return;
    count(&totals.crashes, 1);
    if (WIFSIGNALED(status))
        watch_report("scenario %s ended by signal %d", name, WTERMSIG(status));
    else
        watch_report("scenario %s ended with %d", name, WEXITSTATUS(status));
}

void scenario_start(unsigned scenario, uint64_t seed, unsigned round)
{
    char name[64], seed_option[64], first[64], repeat[256];
    char *arguments[] = {"stress", "--alone", name, seed_option, first, NULL};
    int status;
    pid_t pid, ended;

    snprintf(name, sizeof(name), "--scenario=%s", scenario_names[scenario]);
    snprintf(seed_option, sizeof(seed_option), "--seed=%llu", (unsigned long long)seed);
    snprintf(first, sizeof(first), "--first=%u", round);
    snprintf(repeat, sizeof(repeat), "%s %s %s %s", arguments[1], name, seed_option, first);
    watch_round(repeat);
    CHECK_EQ(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
        watch_progress(); /* the scenario has a clock of its own */
        usleep(10000);
    }
    CHECK_EQ(ended, pid);
    judge(status, scenario_names[scenario]);
    count(&totals.scenarios, 1);
    if (strcmp(scenario_names[scenario], "fork") == 0)
        count(&totals.forks, 4);
    watch_progress();
}
