/* SPDX-License-Identifier: Apache-2.0 */
/* See stacks.h. */
#include "stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ersatz/crash.h"
#include "run.h"
#include "tree.h"

#define STACKS_MAX 16u      /* how many processes' stacks are written */
#define STACKS_SECONDS 60.0 /* for one process; on a busy machine gdb reads symbols slowly */
#define LOOK_NS 20000000    /* between two looks */

/* Where each thread waits in the kernel, for want of a debugger. */
static void write_waits(pid_t pid, FILE *stream)
{
    static const char *const files[] = {"comm", "wchan", "syscall"};
    char path[64], line[256];
    DIR *tasks;
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
    tasks = opendir(path);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        fprintf(stream, "thread %s:", entry->d_name);
        for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
            if (first_line(line, sizeof(line), "/proc/%ld/task/%.20s/%s", (long)pid, entry->d_name, files[i]))
                fprintf(stream, " %s %s", files[i], line);
        }
        fputc('\n', stream);
    }
    if (tasks != NULL)
        closedir(tasks);
}

/* Starts gdb(1), which ends with us. In a session of its own: the terminal's signals are not for it. */
static pid_t start_debugger(pid_t pid, int output)
{
    pid_t parent = getpid(), debugger = fork();
    char number[24];
    sigset_t none;
    int silence;

    if (debugger != 0)
        return debugger;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    silence = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(silence, STDIN_FILENO);
    dup2(silence, STDERR_FILENO);
    dup2(output, STDOUT_FILENO);
    unsetenv("DEBUGINFOD_URLS");
    snprintf(number, sizeof(number), "%ld", (long)pid);
    /* Its status is that of the last command: detach fails if it could not attach. */
    if (getppid() == parent)
        execlp("gdb", "gdb", "--nx", "--batch", "--quiet", "-p", number, "-ex",
            "thread apply all backtrace 40", "-ex", "detach", (char *)NULL);
    _exit(127);
}

/* Writes the stacks, and calls `meanwhile` again and again until it returns false. False: there is no
 * debugger, it could not attach, or it was not done in time. */
static bool run_debugger(pid_t pid, int output, bool (*meanwhile)(void *), void *arg)
{
    static const struct timespec look = {.tv_nsec = LOOK_NS};
    double until = now_s() + STACKS_SECONDS;
    pid_t debugger = start_debugger(pid, output), got = 0;
    int status = 0;

    while (
        debugger > 0 && (got = waitpid(debugger, &status, WNOHANG)) == 0 && meanwhile(arg) && now_s() < until)
        nanosleep(&look, NULL);
    if (debugger > 0 && got == 0) {
        kill(-debugger, SIGKILL); /* what it has started, too */
        kill(debugger, SIGKILL);
        waitpid(debugger, &status, 0);
    }
    return debugger > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The end of a file. Opened anew, standard error would be written from its beginning if it is a file. */
static FILE *open_end(const char *path)
{
    int file = strcmp(path, "/dev/stderr") == 0 ? dup(STDERR_FILENO)
                                                : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    return file < 0 ? NULL : fdopen(file, "a");
}

/* The stacks of a process, to the end of a stream. meanwhile: see run_debugger(). */
static void write_stacks_of(pid_t pid, FILE *stream, bool (*meanwhile)(void *), void *arg)
{
    fprintf(stream, "process %ld\n", (long)pid);
    fflush(stream);
    if (!run_debugger(pid, fileno(stream), meanwhile, arg))
        write_waits(pid, stream);
    fputc('\n', stream);
    fflush(stream);
}

/* False: a signal waits that asks us to end. child_run() has blocked them. */
static bool may_go_on(void *arg)
{
    static const int asking[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    bool asked = false;
    sigset_t pending;

    (void)arg;
    sigpending(&pending);
    for (unsigned i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
        asked = asked || sigismember(&pending, asking[i]) == 1;
    return !asked;
}

void stacks_write(const char *path)
{
    static pid_t pids[TREE_PROCESSES_MAX];
    unsigned count = tree_list(pids);
    FILE *stream = open_end(path);

    for (unsigned i = 0; stream != NULL && i < count && i < STACKS_MAX && may_go_on(NULL); i++)
        write_stacks_of(pids[i], stream, may_go_on, NULL);
    if (stream != NULL)
        fclose(stream);
}

/* ----------------------------------------------------------------------------------- processes that crash */

static pid_t watcher;    /* 0: none */
static int watcher_ends; /* the end of a pipe: when it is closed, the watcher ends */

/* Processes that have connected because they crash. Each waits until we close its connection, which we also
 * do by ending. */
struct crashes {
    int listener; /* -1: nobody may connect any more */
    pid_t root;   /* they must be below it */
    struct {
        pid_t pid;
        int connection;
    } of[STACKS_MAX];
    unsigned count;
};

/* Stops those that have just connected. Returns true. */
static bool take_crashes(void *arg)
{
    struct crashes *crashes = arg;
    int s = -1;

    while (crashes->count < STACKS_MAX && (s = accept4(crashes->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct ucred peer = {.pid = 0};
        socklen_t size = sizeof(peer);

        if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
            !tree_is_below(peer.pid, crashes->root)) {
            close(s);
            continue;
        }
        kill(peer.pid, SIGSTOP);
        crashes->of[crashes->count].connection = s;
        crashes->of[crashes->count++].pid = peer.pid;
    }
    if (crashes->listener >= 0 &&
        (s >= 0 || errno != EAGAIN)) { /* all others crash as if we were not there */
        close(crashes->listener);
        crashes->listener = -1;
    }
    return true;
}

static _Noreturn void watch_crashes(struct crashes *crashes, int ends, const char *path)
{
    struct pollfd on[] = {{.fd = crashes->listener, .events = POLLIN}, {.fd = ends}};
    unsigned shown = 0;

    while (crashes->listener >= 0 && on[1].revents == 0) {
        (void)poll(on, 2, -1);
        for (take_crashes(crashes); shown < crashes->count; shown++) {
            FILE *stream = open_end(path);

            if (stream != NULL) {
                write_stacks_of(crashes->of[shown].pid, stream, take_crashes, crashes);
                fclose(stream);
            }
            kill(crashes->of[shown].pid, SIGCONT);
            close(crashes->of[shown].connection);
        }
    }
    _exit(0);
}

/* A socket in the directory of records, which processes of other users may use if we are root. -1: none. */
static int listen_in(const char *records, int records_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" ERSATZ_CRASH_SOCKET, records);
    int s = length < (int)sizeof(address.sun_path)
                ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                : -1;

    if (s >= 0 && (bind(s, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
                      fchmodat(records_fd, ERSATZ_CRASH_SOCKET, geteuid() == 0 ? 0666 : 0600, 0) != 0 ||
                      listen(s, SOMAXCONN) != 0)) {
        close(s);
        s = -1;
    }
    return s;
}

bool stacks_watch_crashes(const char *records, int records_fd, const char *path)
{
    struct crashes crashes = {.listener = listen_in(records, records_fd), .root = getpid()};
    int ends[2];

    if (crashes.listener < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        if (crashes.listener >= 0)
            close(crashes.listener);
        return false;
    }
    fflush(NULL);
    watcher = fork();
    if (watcher == 0) {
        close(ends[1]);
        watch_crashes(&crashes, ends[0], path);
    }
    close(crashes.listener);
    close(ends[0]);
    watcher_ends = ends[1];
    return watcher > 0;
}

void stacks_unwatch_crashes(bool kill_it)
{
    static const struct timespec look = {.tv_nsec = LOOK_NS / 4};
    double until = now_s() + (kill_it ? 0 : STACKS_SECONDS);
    pid_t got = 0;

    if (watcher <= 0)
        return;
    close(watcher_ends);
    while ((got = waitpid(watcher, NULL, WNOHANG)) == 0 && now_s() < until && may_go_on(NULL))
        nanosleep(&look, NULL);
    if (got == 0) {
        kill(watcher, SIGKILL);
        waitpid(watcher, NULL, 0);
    }
    watcher = 0;
}
