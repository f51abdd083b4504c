/* SPDX-License-Identifier: Apache-2.0 */
/* Makes new files that only their owner can write to, whatever the umask; and lists directories. */
#include <errno.h>
#include <fcntl.h>
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

DIR *directory_stream(int directory)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);

    if (again >= 0 && stream == NULL)
        close(again);
    return stream;
}

const char *temporary_directory(void)
{
    const char *directory = getenv("TMPDIR");

    return directory == NULL || directory[0] == '\0' ? "/tmp" : directory;
}

FILE *file_temporary(char **path, const char **why)
{
    static const char suffix[] = ".json";
    int fd;
    FILE *stream;

    *path = text("%s/ersatz-run-XXXXXX%s", temporary_directory(), suffix);
    fd = mkostemps(*path, (int)strlen(suffix), O_CLOEXEC); /* with mode 0600 */
    stream = fd < 0 ? NULL : fdopen(fd, "w");
    *why = stream == NULL ? strerror(errno) : NULL;
    if (fd >= 0 && stream == NULL) {
        close(fd);
        unlink(*path);
    }
    return stream;
}
