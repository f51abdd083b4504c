/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the program, and passes on signals and its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* Signals that people and supervisors send to a program. Stop and continue act on this process as usual. */
static const int passed_on[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGURG, SIGIO, SIGPWR};

static struct sigaction inherited; /* the disposition of SIGCHLD before we changed it */

void child_expect(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};

    sigaction(SIGCHLD, &usual, &inherited);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (unsigned i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaddset(set, passed_on[i]);
}

/* Runs in the child. Sends errno through the pipe if the program cannot be started. */
static _Noreturn void become(
    char **command, const char *const *environment, const sigset_t *mask, int complaint)
{
    int err = 0;

    for (; environment[0] != NULL && err == 0; environment += 2)
        err = setenv(environment[0], environment[1], 1) == 0 ? 0 : errno;
    if (err == 0) {
        sigaction(SIGCHLD, &inherited, NULL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execvp(command[0], command);
        err = errno;
    }
    while (write(complaint, &err, sizeof(err)) < 0 && errno == EINTR)
        ;
    _exit(EXIT_NO_PROGRAM);
}

/* The error with which exec failed; 0: the program runs. */
static int exec_error(int pipe_end)
{
    int err = 0;
    ssize_t got;

    do
        got = read(pipe_end, &err, sizeof(err));
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(err) ? err : 0;
}

/* True for a signal from the terminal if the program is still in our process group: the program got it too.
 */
static bool has_it_already(pid_t pid, const siginfo_t *info)
{
    return info->si_code == SI_KERNEL && getpgid(pid) == getpgrp();
}

/* Waits for all children that have ended: ours, whose status is stored, and those whose own parents have
 * ended. True if any child is left. */
static bool bury(struct ending *ending, bool *ended)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (*ended || pid != ending->pid) /* a later process may get the same number */
            continue;
        ending->status = status;
        *ended = true;
    }
    return pid == 0;
}

static void wait_for_program(struct ending *ending, const sigset_t *set)
{
    bool ended = false;

    while (!ended) {
        siginfo_t info;
        int signal = sigwaitinfo(set, &info);

        if (signal == SIGCHLD)
            bury(ending, &ended);
        if (signal <= 0 || signal == SIGCHLD)
            continue;
        ending->passed_on |= UINT64_C(1) << signal;
        if (!has_it_already(ending->pid, &info))
            kill(ending->pid, signal);
    }
}

/* A program that put itself into the background has left processes that still use the card. They, or a parent
 * of theirs, have become our children. If there are no children, there are no such processes. */
static void wait_for_others(struct ending *ending, const sigset_t *set, const char *records)
{
    static const struct timespec interval = {.tv_nsec = 250000000};
    bool told = false, ended = true;
    pid_t pid;

    while (bury(ending, &ended) && records_anyone_runs(records, &pid)) {
        int signal;

        if (!told)
            fprintf(stderr,
                "ersatz-run: the program continues in the background as process %ld; the report follows when "
                "that process ends\n",
                (long)pid);
        told = true;
        signal = sigtimedwait(set, NULL, &interval);
        if (signal > 0 && signal != SIGCHLD)
            kill(pid, signal);
    }
}

struct ending child_run(char **command, const char *const *environment, const char *records)
{
    struct ending ending = {.seconds = now()};
    sigset_t set, before;
    int complaint[2], err;

    if (pipe2(complaint, O_CLOEXEC) != 0)
        give_up("cannot make a pipe: %s", strerror(errno));
    fill_set(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ending.pid = fork();
    if (ending.pid < 0)
        give_up("cannot start a process: %s", strerror(errno));
    if (ending.pid == 0)
        become(command, environment, &before, complaint[1]);
    close(complaint[1]);
    err = exec_error(complaint[0]);
    close(complaint[0]);
    wait_for_program(&ending, &set);
    if (err != 0) {
        /* No program ran, so there is no report. The directory is removed at exit. */
        ending.status = (err == ENOENT ? EXIT_NO_PROGRAM : EXIT_NO_PERMIT) << 8;
        fprintf(stderr, "ersatz-run: %s: %s\n", command[0], strerror(err));
        ending.pid = -1;
        return ending;
    }
    wait_for_others(&ending, &set, records);
    ending.seconds = now() - ending.seconds;
    return ending;
}

void child_end_like(const struct ending *ending)
{
    static const struct rlimit none = {0, 0};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t set;
    int signal;

    fflush(NULL);
    if (!WIFSIGNALED(ending->status))
        exit(WEXITSTATUS(ending->status));
    signal = WTERMSIG(ending->status);
    setrlimit(RLIMIT_CORE, &none); /* only the program's own core dump is useful */
    prctl(PR_SET_DUMPABLE, 0);
    sigfillset(&set);
    sigdelset(&set, signal);
    sigaction(signal, &usual, NULL); /* our parent may have had it ignored */
    (void)!sigprocmask(SIG_SETMASK, &set, NULL);
    kill(getpid(), signal);
    exit(128 + signal);
}
