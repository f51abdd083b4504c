/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload: fdopen(3) fails for a file whose path ends in ".json". */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) FILE *fdopen(int fd, const char *mode)
{
    static const char suffix[] = ".json";
    FILE *(*real)(int, const char *) = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    char link[32], path[PATH_MAX];
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < (ssize_t)strlen(suffix))
        return real(fd, mode);
    path[length] = '\0';
    if (strcmp(path + length - strlen(suffix), suffix) != 0)
        return real(fd, mode);
    errno = ENOMEM;
    return NULL;
}
