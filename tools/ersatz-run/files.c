/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes and opens files where somebody else may write: in /tmp, say, where a file or a link of that name may
 * have been put before us. Nothing made here can be written by others, whatever the umask.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

FILE *file_make(int directory, const char *name, mode_t mode)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *stream;

    if (fd < 0)
        return NULL;
    stream = fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;
    if (stream == NULL)
        close(fd);
    return stream;
}

bool directory_is_shared(const struct stat *status)
{
    bool others_write = (status->st_mode & (S_IWGRP | S_IWOTH)) != 0;

    return others_write || (status->st_uid != 0 && status->st_uid != geteuid());
}

/* Why what was opened in a shared directory is not to be written to; NULL: it may be. */
static const char *why_not_ours(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return strerror(errno);
    if (status.st_uid != geteuid())
        return "others may write to that directory, and the file there belongs to another user";
    if (S_ISREG(status.st_mode) && status.st_nlink > 1)
        return "others may write to that directory, and the file there has a second name (a hard link)";
    return NULL;
}

/* What is there already is used as it is: a file, a terminal, /dev/null. */
static int open_existing(int directory, const char *name, bool shared, const char **why)
{
    int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | (shared ? O_NOFOLLOW | O_NONBLOCK : 0);
    int fd = openat(directory, name, flags);
    struct stat status;

    *why = NULL;
    if (fd < 0)
        *why = shared && errno == ELOOP ? "it is a symbolic link in a directory that others may write to"
                                        : strerror(errno);
    else if (shared)
        *why = why_not_ours(fd);
    if (*why == NULL && (fstat(fd, &status) != 0 || (S_ISREG(status.st_mode) && ftruncate(fd, 0) != 0)))
        *why = strerror(errno);
    if (*why != NULL && fd >= 0)
        close(fd);
    return *why == NULL ? fd : -1;
}

FILE *file_open(const char *path, const char **why)
{
    char *for_directory = text("%s", path), *for_name = text("%s", path);
    const char *name = basename(for_name);
    int directory = open(dirname(for_directory), O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
    struct stat status;
    FILE *stream = NULL;

    *why = NULL;
    if (directory < 0 || fstat(directory, &status) != 0) {
        *why = strerror(errno);
    } else {
        fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 && errno == EEXIST)
            fd = open_existing(directory, name, directory_is_shared(&status), why);
        else if (fd < 0)
            *why = strerror(errno);
    }
    if (fd >= 0)
        stream = fdopen(fd, "w");
    if (fd >= 0 && stream == NULL) {
        *why = strerror(errno);
        close(fd);
    }
    if (directory >= 0)
        close(directory);
    free(for_directory);
    free(for_name);
    return stream;
}

FILE *file_temporary(char **path, const char **why)
{
    static const char suffix[] = ".json";
    const char *directory = getenv("TMPDIR");
    int fd;
    FILE *stream;

    if (directory == NULL || directory[0] == '\0')
        directory = "/tmp";
    *path = text("%s/ersatz-run-XXXXXX%s", directory, suffix);
    fd = mkostemps(*path, (int)strlen(suffix), O_CLOEXEC); /* with mode 0600 */
    stream = fd < 0 ? NULL : fdopen(fd, "w");
    *why = stream == NULL ? strerror(errno) : NULL;
    return stream;
}
