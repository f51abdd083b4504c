/* SPDX-License-Identifier: Apache-2.0 */
/* Finds records: of a process, by its memory map; in a directory; of all processes. */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "top.h"

static void add_file(struct cards *cards, const char *path)
{
    char *directory = strdup(path), *name = strdup(path);

    if (directory == NULL || name == NULL)
        give_up("out of memory");
    card_add(cards, dirname(directory), basename(name));
    free(directory);
    free(name);
}

/* The record that a process has mapped, shared and to write. Its path is one in the root directory of that
 * process. */
static bool add_process(struct cards *cards, const char *pid)
{
    char path[PATH_MAX + 64], maps[64], *line = NULL;
    size_t room = 0;
    bool found = false;
    FILE *stream;

    snprintf(maps, sizeof(maps), "/proc/%s/maps", pid);
    stream = fopen(maps, "re");
    while (stream != NULL && !found && getline(&line, &room, stream) > 0) {
        const char *file = strchr(line, '/');

        line[strcspn(line, "\n")] = '\0';
        if (file == NULL || strstr(line, " rw-s ") == NULL || !ersatz_record_is_named_so(file))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/root%s", pid, file);
        add_file(cards, path);
        found = true;
    }
    if (stream != NULL)
        fclose(stream);
    free(line);
    return found;
}

void cards_add_all(struct cards *cards)
{
    const struct dirent *entry;
    DIR *processes = opendir("/proc");

    if (processes == NULL)
        give_up("/proc: %s", strerror(errno));
    while ((entry = readdir(processes)) != NULL) {
        if (is_number(entry->d_name))
            (void)add_process(cards, entry->d_name);
    }
    closedir(processes);
}

static void add_directory(struct cards *cards, const char *path)
{
    const struct dirent *entry;
    unsigned before = cards->count;
    DIR *directory = opendir(path);

    if (directory == NULL)
        give_up("%s: %s", path, strerror(errno));
    while ((entry = readdir(directory)) != NULL) {
        if (ersatz_record_is_named_so(entry->d_name))
            card_add(cards, path, entry->d_name);
    }
    closedir(directory);
    if (cards->count == before)
        give_up("%s: expected a directory with records in it, files named *%s", path, ERSATZ_RECORD_SUFFIX);
}

void cards_add(struct cards *cards, const char *what)
{
    struct stat status;
    char path[64];

    if (is_number(what)) {
        snprintf(path, sizeof(path), "/proc/%.20s", what);
        if (stat(path, &status) != 0)
            give_up("process %s: there is no such process", what);
        if (!add_process(cards, what))
            give_up("process %s has no record: RECORD was not given (ersatz-run gives it), or it is another "
                    "user's",
                what);
    } else if (stat(what, &status) != 0) {
        give_up("%s: %s", what, strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        add_directory(cards, what);
    } else if (ersatz_record_is_named_so(what)) {
        add_file(cards, what);
    } else {
        give_up("%s: expected a process id, a directory of records, or a record, a file named *%s", what,
            ERSATZ_RECORD_SUFFIX);
    }
}
