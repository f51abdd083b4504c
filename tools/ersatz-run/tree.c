/* SPDX-License-Identifier: Apache-2.0 */
/* See tree.h. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "ersatz/crash.h"

#define PROCESSES_MAX 1024u /* of one look; what is left is seen by the next */
#define STACKS_MAX 16u      /* how many processes' stacks are written */
#define STACKS_SECONDS "60" /* for one process; on a busy machine gdb reads symbols slowly */
#define LOOK_NS 20000000    /* between two looks */
#define STOP_LOOKS 1000u    /* until a process that crashes must have stopped itself */

static int crashed_by;

/* The processes that became our children and have ended, in this order. */
static struct {
    pid_t pid;
    int status; /* from waitpid(2) */
} * ended;
static unsigned ended_count;

void tree_note_end(pid_t pid, int status)
{
    struct ending ending = {.status = status, .pid = pid};

    if (WIFSIGNALED(status) && crash_signal(&ending) != 0)
        crashed_by = crash_signal(&ending);
    ended = realloc(ended, (ended_count + 1) * sizeof(*ended));
    if (ended == NULL)
        give_up("out of memory");
    ended[ended_count].pid = pid;
    ended[ended_count++].status = status;
}

bool tree_has_ended(pid_t pid, int *status)
{
    unsigned i = ended_count;

    while (i > 0 && ended[i - 1].pid != pid)
        i--;
    *status = i > 0 ? ended[i - 1].status : 0;
    return i > 0;
}

/* The parent of a process; 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
    char line[512];
    const char *end;
    int parent = 0;

    /* The name, in parentheses, may contain anything. */
    if (first_line(line, sizeof(line), "/proc/%ld/stat", (long)pid) && (end = strrchr(line, ')')) != NULL)
        (void)sscanf(end + 1, " %*c %d", &parent);
    return parent;
}

static bool is_below(pid_t pid, pid_t root)
{
    for (unsigned depth = 0; pid > 1 && depth < 256; depth++) {
        pid = parent_of(pid);
        if (pid == root)
            return true;
    }
    return false;
}

/* All processes below us, at this moment. */
static unsigned list(pid_t pids[PROCESSES_MAX])
{
    DIR *stream = opendir("/proc");
    struct dirent *entry;
    unsigned count = 0;

    while (count < PROCESSES_MAX && stream != NULL && (entry = readdir(stream)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && is_below(pid, getpid()))
            pids[count++] = pid;
    }
    if (stream != NULL)
        closedir(stream);
    return count;
}

/* Waits for children that have ended. True if any child is left. */
static bool bury(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        tree_note_end(pid, status);
    return pid == 0;
}

static void signal_all(int signal)
{
    static pid_t pids[PROCESSES_MAX];
    unsigned count = list(pids);

    for (unsigned i = 0; i < count; i++) {
        kill(pids[i], signal);
        if (signal == SIGTERM)
            kill(pids[i], SIGCONT);
    }
}

int tree_end(double seconds)
{
    static const struct timespec look = {.tv_nsec = LOOK_NS};
    double waited = 0;
    bool any = bury();

    if (any && seconds > 0)
        signal_all(SIGTERM);
    while (any) {
        if (waited >= seconds) /* again and again: a process may have forked meanwhile */
            signal_all(SIGKILL);
        nanosleep(&look, NULL);
        waited += LOOK_NS / 1e9;
        any = bury();
    }
    return crashed_by;
}

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

/* False: there is no debugger, or it could not attach. */
static bool run_debugger(pid_t pid, int output)
{
    char number[24];
    int status;
    pid_t debugger;

    snprintf(number, sizeof(number), "%ld", (long)pid);
    debugger = fork();
    if (debugger == 0) {
        int silence = open("/dev/null", O_RDWR | O_CLOEXEC);
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(silence, STDIN_FILENO);
        dup2(silence, STDERR_FILENO);
        dup2(output, STDOUT_FILENO);
        unsetenv("DEBUGINFOD_URLS");
        execlp("timeout", "timeout", STACKS_SECONDS, "gdb", "--nx", "--batch", "--quiet", "-p", number, "-ex",
            "thread apply all backtrace 40", (char *)NULL);
        _exit(127);
    }
    while (debugger > 0 && waitpid(debugger, &status, 0) < 0 && errno == EINTR)
        ;
    return debugger > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The end of a file. Opened anew, standard error would be written from its beginning if it is a file. */
static FILE *open_end(const char *path)
{
    return strcmp(path, "/dev/stderr") == 0 ? fdopen(dup(STDERR_FILENO), "a") : fopen(path, "ae");
}

/* The stacks of a process, to the end of a stream. */
static void write_stacks_of(pid_t pid, FILE *stream)
{
    fprintf(stream, "process %ld\n", (long)pid);
    fflush(stream);
    if (!run_debugger(pid, fileno(stream)))
        write_waits(pid, stream);
    fputc('\n', stream);
    fflush(stream);
}

void tree_write_stacks(const char *path)
{
    static pid_t pids[PROCESSES_MAX];
    unsigned count = list(pids);
    FILE *stream = open_end(path);

    for (unsigned i = 0; stream != NULL && i < count && i < STACKS_MAX; i++) {
        write_stacks_of(pids[i], stream);
    }
    if (stream != NULL)
        fclose(stream);
}

/* ------------------------------------------------------------------------------------ processes that crash
 */

static pid_t watcher;    /* 0: none */
static int watcher_ends; /* the end of a pipe: when it is closed, the watcher ends */

/* Waits until the process has stopped itself. False: it has not. */
static bool is_stopped(pid_t pid)
{
    static const struct timespec look = {.tv_nsec = LOOK_NS / 4};
    char line[512];

    for (unsigned i = 0; i < STOP_LOOKS; i++) {
        const char *end;

        if (!first_line(line, sizeof(line), "/proc/%ld/stat", (long)pid) ||
            (end = strrchr(line, ')')) == NULL)
            return false;
        if (strncmp(end, ") T", 3) == 0)
            return true;
        nanosleep(&look, NULL);
    }
    return false;
}

/* One process has connected because it crashes. root: it must be below that one. */
static void look_at_crash(int listener, pid_t root, const char *path)
{
    int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    FILE *stream;

    if (s < 0)
        return;
    if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && is_below(peer.pid, root) &&
        is_stopped(peer.pid)) {
        stream = open_end(path);
        if (stream != NULL) {
            write_stacks_of(peer.pid, stream);
            fclose(stream);
        }
        kill(peer.pid, SIGCONT);
    }
    close(s);
}

static _Noreturn void watch_crashes(int listener, int ends, pid_t root, const char *path)
{
    struct pollfd on[] = {{.fd = listener, .events = POLLIN}, {.fd = ends}};

    while (poll(on, 2, -1) < 0 || on[0].revents != 0 || on[1].revents == 0) {
        if ((on[0].revents & POLLIN) != 0)
            look_at_crash(listener, root, path);
    }
    _exit(0);
}

/* A socket in the directory of records, which processes of other users may use if we are root. -1: none. */
static int listen_in(const char *records, int records_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" ERSATZ_CRASH_SOCKET, records);
    int s = length < (int)sizeof(address.sun_path) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    if (s >= 0 && (bind(s, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
                      fchmodat(records_fd, ERSATZ_CRASH_SOCKET, geteuid() == 0 ? 0666 : 0600, 0) != 0 ||
                      listen(s, SOMAXCONN) != 0)) {
        close(s);
        s = -1;
    }
    return s;
}

bool tree_watch_crashes(const char *records, int records_fd, const char *path)
{
    int listener = listen_in(records, records_fd), ends[2];
    pid_t root = getpid();

    if (listener < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        if (listener >= 0)
            close(listener);
        return false;
    }
    fflush(NULL);
    watcher = fork();
    if (watcher == 0) {
        close(ends[1]);
        watch_crashes(listener, ends[0], root, path);
    }
    close(listener);
    close(ends[0]);
    watcher_ends = ends[1];
    return watcher > 0;
}

void tree_unwatch_crashes(bool kill_it)
{
    if (watcher <= 0)
        return;
    if (kill_it)
        kill(watcher, SIGKILL);
    close(watcher_ends);
    while (waitpid(watcher, NULL, 0) < 0 && errno == EINTR)
        ;
    watcher = 0;
}
