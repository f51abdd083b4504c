/* SPDX-License-Identifier: Apache-2.0 */
/* See find.h. */
#include "find.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ersatz/control_socket.h"
#include "tools/common/program.h"

#define LISTENS "00010000" /* in the column Flags of /proc/net/unix */

static bool is_control_thread(const char *tasks, const char *thread)
{
    char name[32];

    return first_line(name, sizeof(name), "%s/%.20s/comm", tasks, thread) &&
           strcmp(name, ERSATZ_CONTROL_THREAD) == 0;
}

/* The directory of the thread's descriptors. */
static bool find_thread(const char *pid, char *descriptors, size_t size)
{
    char tasks[64];
    const struct dirent *entry;
    bool found = false;
    DIR *directory;

    snprintf(tasks, sizeof(tasks), "/proc/%s/task", pid);
    directory = opendir(tasks);
    if (directory == NULL)
        give_up("process %s: %s", pid, errno == ENOENT ? "there is no such process" : strerror(errno));
    while (!found && (entry = readdir(directory)) != NULL) {
        found = entry->d_name[0] != '.' && is_control_thread(tasks, entry->d_name);
        if (found)
            snprintf(descriptors, size, "%s/%.20s/fd", tasks, entry->d_name);
    }
    closedir(directory);
    return found;
}

/* Whether one of the descriptors is the socket with that inode. *own: the thread's descriptor of the
 * directory that the socket is in. */
static bool has_socket(const char *descriptors, const char *inode, char own[32])
{
    char path[PATH_MAX], wanted[64], link[64];
    const struct dirent *entry;
    bool found = false;
    struct stat status;
    DIR *directory = opendir(descriptors);

    if (directory == NULL)
        give_up("%s: %s", descriptors, strerror(errno));
    own[0] = '\0';
    snprintf(wanted, sizeof(wanted), "socket:[%s]", inode);
    while ((entry = readdir(directory)) != NULL) {
        ssize_t len;

        snprintf(path, sizeof(path), "%s/%.20s", descriptors, entry->d_name);
        len = readlink(path, link, sizeof(link) - 1);
        link[len < 0 ? 0 : len] = '\0';
        found = found || strcmp(link, wanted) == 0;
        if (len > 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            snprintf(own, 32, "%.20s", entry->d_name);
    }
    closedir(directory);
    return found && own[0] != '\0';
}

/* Reads "Num: RefCount Protocol Flags Type St Inode Path": the inode and the path of a socket that
 * listens. */
static bool parse_line(char *line, const char **inode, const char **path)
{
    char *field = NULL, *rest = line;
    bool listens = false;

    for (unsigned i = 0; i < 7; i++) {
        rest += strspn(rest, " ");
        field = strsep(&rest, " ");
        if (rest == NULL)
            return false; /* it has no path */
        listens = listens || (i == 3 && strcmp(field, LISTENS) == 0);
    }
    *inode = field;
    *path = rest;
    rest[strcspn(rest, "\n")] = '\0';
    return listens && rest[0] != '\0';
}

void find_socket(const char *pid, char *path, size_t size)
{
    char descriptors[128], table[64], own[32], *line = NULL;
    const char *inode, *name;
    size_t room = 0;
    bool found = false;
    FILE *file;

    if (!find_thread(pid, descriptors, sizeof(descriptors)))
        give_up("process %s has no control socket: CONTROL was not given, its card does not run (yet), or it "
                "is another user's",
            pid);
    snprintf(table, sizeof(table), "/proc/%s/net/unix", pid);
    file = fopen(table, "re");
    if (file == NULL)
        give_up("%s: %s", table, strerror(errno));
    while (!found && getline(&line, &room, file) > 0) {
        found = parse_line(line, &inode, &name) && has_socket(descriptors, inode, own);
        if (found)
            snprintf(path, size, "%s/%s/%s", descriptors, own,
                strrchr(name, '/') == NULL ? name : strrchr(name, '/') + 1);
    }
    free(line);
    fclose(file);
    if (!found)
        give_up("process %s has closed its control socket", pid);
}
