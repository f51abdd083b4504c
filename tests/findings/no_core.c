/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that gets a core every now and then only, since another process wants the same one all the time.
 * It resumes each job as soon as it can, so it is no late answer.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "wrong.h"

#define SECONDS 1

/* Wants a core for so long. */
static pid_t start_rival(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(SECONDS);
        for (;;)
            ;
    }
    return pid;
}

int main(void)
{
    struct card *card = load_checked("CHECK_LIMITS:answer=40");
    const struct sched_param none = {0};
    cpu_set_t one;
    struct job job;
    pid_t rival;

    /* The card's threads are there before, and run as usual. */
    start_signing(card, &job, BY_FD);
    finish_signing(&job);
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    rival = start_rival();
    CHECK_EQ(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    while (waitpid(rival, NULL, WNOHANG) == 0) {
        start_signing(card, &job, BY_FD);
        finish_signing(&job);
    }
    unload_used(card);
    return 0;
}
