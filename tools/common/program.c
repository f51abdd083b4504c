/* SPDX-License-Identifier: Apache-2.0 */
/* See program.h. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

static bool no_standard_error;

void program_begin(void)
{
    int fd;

    no_standard_error = fcntl(STDERR_FILENO, F_GETFD) < 0;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            continue;
        fd = open("/dev/null", (i == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
        if (fd != i)
            give_up("cannot open /dev/null: %s", strerror(errno));
    }
}

FILE *complaints(void)
{
    return no_standard_error ? stdout : stderr;
}

void give_up(const char *format, ...)
{
    va_list arguments;

    fprintf(complaints(), "%s: ", program_name);
    va_start(arguments, format);
    vfprintf(complaints(), format, arguments);
    va_end(arguments);
    fputc('\n', complaints());
    exit(EXIT_TROUBLE);
}

void finish(int status, const char *what)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        give_up("cannot write %s%sto standard output: %s", what == NULL ? "" : what, what == NULL ? "" : " ",
            strerror(errno));
    exit(status);
}

bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

double now_s(void)
{
    return (double)now_ns() / (double)NS_PER_S;
}

struct timespec timespec_of(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * (double)NS_PER_S);
    return time;
}

bool first_line(char *line, int size, const char *path, ...)
{
    char file[128];
    va_list arguments;
    FILE *stream;
    bool found;

    va_start(arguments, path);
    vsnprintf(file, sizeof(file), path, arguments);
    va_end(arguments);
    stream = fopen(file, "re");
    found = stream != NULL && fgets(line, size, stream) != NULL;
    if (stream != NULL)
        fclose(stream);
    line[found ? strcspn(line, "\n") : 0] = '\0';
    return found;
}
