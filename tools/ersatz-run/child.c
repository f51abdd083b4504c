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
#include "stacks.h"
#include "tree.h"

/* Signals that people and supervisors send to a program. Stop and continue act on this process as usual. */
static const int passed_on[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGURG, SIGIO, SIGPWR};

#define WATCH_S 0.01  /* how often a bounded program is watched */
#define LEFTOVERS_S 2 /* what a bounded program has left may take so long to end by SIGTERM */

/* The dispositions of SIGCHLD and SIGPIPE before we changed them. SIGPIPE is ignored: our directory is
 * removed also if nobody reads what we write. */
static struct sigaction inherited, inherited_pipe;

void child_expect(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};

    sigaction(SIGCHLD, &usual, &inherited);
    sigaction(SIGPIPE, &ignored, &inherited_pipe);
}

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (unsigned i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaddset(set, passed_on[i]);
}

/* Runs in the child. A bounded program has a session of its own, so that no terminal sends it signals, and
 * writes to files. Returns errno. */
static int separate(const struct child_bounds *bounds)
{
    static const int as[] = {STDOUT_FILENO, STDERR_FILENO};
    const char *const paths[] = {bounds->output, bounds->errors};
    int silence = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setsid();
    if (silence < 0 || dup2(silence, STDIN_FILENO) < 0)
        return errno;
    for (unsigned i = 0; i < 2; i++) {
        int file = paths[i] == NULL
                       ? as[i]
                       : open(paths[i], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

        if (file < 0 || (file != as[i] && dup2(file, as[i]) < 0))
            return errno;
    }
    return 0;
}

/* Runs in the child. Sends errno through the pipe if the program cannot be started. */
static _Noreturn void become(char **command, const char *const *environment, const sigset_t *mask,
    const struct child_bounds *bounds, int complaint)
{
    int err = bounds == NULL ? 0 : separate(bounds);

    for (; environment[0] != NULL && err == 0; environment += 2)
        err = setenv(environment[0], environment[1], 1) == 0 ? 0 : errno;
    if (err == 0) {
        sigaction(SIGCHLD, &inherited, NULL);
        sigaction(SIGPIPE, &inherited_pipe, NULL);
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

/* True for a signal from the terminal if the program is still in our process group: the program got it
 * too. */
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
        if (*ended || pid != ending->pid) { /* a later process may get the same number */
            tree_note_end(pid, status);
            continue;
        }
        ending->status = status;
        *ended = true;
    }
    return pid == 0;
}

/* Waits for a signal of the set until that time; for ever if it is 0. 0: the time is over. */
static int next_signal(const sigset_t *set, siginfo_t *info, double until)
{
    double left = until - now_s();
    struct timespec wait;
    int signal;

    if (until <= 0)
        return sigwaitinfo(set, info);
    if (left <= 0)
        return 0;
    wait = timespec_of(left);
    signal = sigtimedwait(set, info, &wait);
    return signal < 0 && errno == EAGAIN ? 0 : signal;
}

/* The same, and watches the program meanwhile. */
static int next_signal_watching(
    const sigset_t *set, siginfo_t *info, double until, const struct child_bounds *bounds)
{
    for (;;) {
        double next = now_s() + WATCH_S;
        int signal = next_signal(set, info, next < until ? next : until);

        if (signal != 0 || next >= until)
            return signal;
        bounds->watch(bounds->watched);
    }
}

static void wait_for_program(struct ending *ending, const sigset_t *set, const struct child_bounds *bounds)
{
    double until = bounds == NULL ? 0 : now_s() + bounds->seconds;
    bool ended = false;

    while (!ended) {
        siginfo_t info;
        int signal = bounds != NULL && bounds->watch != NULL ? next_signal_watching(set, &info, until, bounds)
                                                             : next_signal(set, &info, until);

        if (signal == SIGCHLD)
            bury(ending, &ended);
        if (signal == 0 || (bounds != NULL && bounds->stop_at_signal && signal > 0 && signal != SIGCHLD)) {
            ending->too_long = signal == 0;
            ending->stopped = signal != 0;
            return;
        }
        if (signal <= 0 || signal == SIGCHLD)
            continue;
        ending->passed_on |= UINT64_C(1) << signal;
        if (!has_it_already(ending->pid, &info))
            kill(ending->pid, signal);
    }
}

/* Ends what a bounded program has left, or what is left of it. */
static void end_all(struct ending *ending, const struct child_bounds *bounds)
{
    stacks_unwatch_crashes(ending->too_long || ending->stopped);
    if (ending->too_long && bounds->stacks != NULL)
        stacks_write(bounds->stacks);
    ending->crashed = tree_end(ending->too_long || ending->stopped ? 0 : LEFTOVERS_S);
    if (ending->too_long || ending->stopped)
        ending->status = SIGKILL;
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

struct ending child_run(
    char **command, const char *const *environment, const char *records, const struct child_bounds *bounds)
{
    struct ending ending = {.seconds = now_s()};
    sigset_t set, before;
    int complaint[2], err;

    fill_set(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (bounds != NULL && bounds->threads != NULL) /* before there is a pipe that its process would hold */
        stacks_watch_crashes(bounds->place->records, bounds->place->records_fd, bounds->threads);
    if (pipe2(complaint, O_CLOEXEC) != 0)
        give_up("cannot make a pipe: %s", strerror(errno));
    ending.pid = fork();
    if (ending.pid < 0)
        give_up("cannot start a process: %s", strerror(errno));
    if (ending.pid == 0)
        become(command, environment, bounds != NULL && bounds->mask != NULL ? bounds->mask : &before, bounds,
            complaint[1]);
    close(complaint[1]);
    err = exec_error(complaint[0]);
    close(complaint[0]);
    wait_for_program(&ending, &set, bounds);
    if (err != 0) {
        /* No program ran, so there is no report. The directory is removed at exit. */
        ending.status = (err == ENOENT ? EXIT_NO_PROGRAM : EXIT_NO_PERMIT) << 8;
        fprintf(complaints(), "ersatz-run: %s: %s\n", command[0], strerror(err));
        ending.pid = -1;
        return ending;
    }
    if (bounds == NULL)
        wait_for_others(&ending, &set, records);
    ending.seconds = now_s() - ending.seconds;
    if (bounds != NULL)
        end_all(&ending, bounds);
    return ending;
}

void child_end_like(const struct ending *ending)
{
    static const struct rlimit none = {0, 0};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t set;
    int signal;

    fflush(NULL);
    if (ending->too_long)
        exit(EXIT_TOO_LONG);
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
