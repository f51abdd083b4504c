/* SPDX-License-Identifier: Apache-2.0 */
/* See tree.h. */
#include "tree.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"

#define LOOK_NS 20000000 /* between two looks */

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

bool tree_is_below(pid_t pid, pid_t root)
{
    for (unsigned depth = 0; pid > 1 && depth < 256; depth++) {
        pid = parent_of(pid);
        if (pid == root)
            return true;
    }
    return false;
}

unsigned tree_list(pid_t pids[TREE_PROCESSES_MAX])
{
    DIR *stream = opendir("/proc");
    struct dirent *entry;
    unsigned count = 0;

    while (count < TREE_PROCESSES_MAX && stream != NULL && (entry = readdir(stream)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && tree_is_below(pid, getpid()))
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
    static pid_t pids[TREE_PROCESSES_MAX];
    unsigned count = tree_list(pids);

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
