/* SPDX-License-Identifier: Apache-2.0 */
/* See ersatz/output.h. */
#include "ersatz/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "descriptor.h"
#include "ersatz/sum.h"
#include "fork.h"

#define LINE_MAX_BYTES 2048u
#define PIECE 4096u      /* PIPE_BUF: a pipe that poll(2) calls writable takes so much without blocking */
#define PATIENCE_MS 2000 /* for a reader that does not read */
#define SAID 64u         /* how many lines are remembered */
#define FILE_MODE 0644   /* before the umask */

static const int signals[] = {SIGPIPE, SIGXFSZ};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

/* ------------------------------------------------------------------------------------------------ signals */

void ersatz_writing_begin(struct ersatz_writing *writing)
{
    sigset_t ours;

    sigemptyset(&ours);
    for (unsigned i = 0; i < SIGNALS; i++)
        sigaddset(&ours, signals[i]);
    sigemptyset(&writing->pending);
    pthread_sigmask(SIG_BLOCK, &ours, &writing->before);
    /* One that was not blocked cannot have been pending. */
    if (sigismember(&writing->before, SIGPIPE) || sigismember(&writing->before, SIGXFSZ))
        sigpending(&writing->pending);
}

void ersatz_writing_end(const struct ersatz_writing *writing, bool failed)
{
    static const struct timespec now = {0, 0};
    int err = errno;

    for (unsigned i = 0; i < SIGNALS && failed; i++) {
        sigset_t one;

        sigemptyset(&one);
        sigaddset(&one, signals[i]);
        if (sigismember(&writing->pending, signals[i]))
            continue; /* the application's own */
        while (sigtimedwait(&one, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &writing->before, NULL);
    errno = err;
}

/* ----------------------------------------------------------------------------------------- standard error */

/* The file at descriptor 2 when the program or module was loaded. Written once, then. */
static struct {
    bool there;
    dev_t on, device;
    ino_t inode;
} standard_error;

__attribute__((constructor)) static void look_at_standard_error(void)
{
    struct stat status;

    standard_error.there = fstat(STDERR_FILENO, &status) == 0;
    if (!standard_error.there)
        return;
    standard_error.on = status.st_dev;
    standard_error.inode = status.st_ino;
    standard_error.device = status.st_rdev;
}

static bool is_still_standard_error(void)
{
    struct stat status;

    return standard_error.there && fstat(STDERR_FILENO, &status) == 0 && status.st_dev == standard_error.on &&
           status.st_ino == standard_error.inode && status.st_rdev == standard_error.device;
}

/* Whether it can be written to, now or within PATIENCE_MS. */
static bool takes_more(void)
{
    struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready;

    do
        ready = poll(&stream, 1, PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static bool write_all(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put;

        if (!takes_more())
            return false;
        put = write(STDERR_FILENO, text, len < PIECE ? len : PIECE);
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put <= 0)
            return false;
        text += put;
        len -= (size_t)put;
    }
    return true;
}

/* A sandbox like OpenSSH's makes fstat(2) and open(2) fail, and kills the process for a system call that it
 * does not know, such as sigpending(2). So no such call is made before it is certain that a line will be
 * written. */
void ersatz_say_text(const char *text, size_t len)
{
    struct ersatz_writing writing;
    int err = errno;

    if (is_still_standard_error()) {
        ersatz_writing_begin(&writing);
        ersatz_writing_end(&writing, !write_all(text, len));
    }
    errno = err;
}

/* Whether this process has said the line before; notes that it has. Without a lock, which a fork might leave
 * locked: each place is used once. When all places are used, a new line may be said again. */
static bool has_said(const char *line)
{
    static _Atomic uint64_t said[SAID];
    uint64_t hash =
        ersatz_sum_add(ERSATZ_SUM_EMPTY ^ process_generation(), line, strlen(line)); /* a child starts anew */

    hash |= hash == 0;
    for (unsigned i = 0; i < SAID; i++) {
        uint64_t there = 0;

        /* Relaxed: no other memory belongs to the number. */
        if (atomic_compare_exchange_strong_explicit(
                &said[i], &there, hash, memory_order_relaxed, memory_order_relaxed))
            return false;
        if (there == hash)
            return true;
    }
    return false;
}

void ersatz_say(const char *format, ...)
{
    static const char name[] = "ersatz: ";
    char line[LINE_MAX_BYTES];
    va_list arguments;
    size_t len = sizeof(name) - 1;
    int err = errno;

    memcpy(line, name, len);
    va_start(arguments, format);
    vsnprintf(line + len, sizeof(line) - len - 1, format, arguments); /* the newline's place stays free */
    va_end(arguments);
    if (!has_said(line)) {
        len = strlen(line);
        line[len++] = '\n';
        ersatz_say_text(line, len);
    }
    errno = err;
}

/* -------------------------------------------------------------------------------------------------- files */

/* A file that is being written. */
struct output {
    int directory;      /* of the path */
    const char *name;   /* in there */
    char new_name[256]; /* until it takes that one's place; empty: it is written to directly */
};

static bool complain(struct ersatz_error *error, const char *path, const char *why)
{
    error->result = ERSATZ_BAD_INPUT;
    snprintf(error->text, sizeof(error->text), "%.140s: %s", path, why);
    return false;
}

/* The directory of the path, and the name in it. -1: errno says why. */
static int open_directory(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char *directory;
    int fd;

    *name = slash == NULL ? path : slash + 1;
    directory = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (directory == NULL)
        return -1;
    fd = descriptor_above_standard_streams(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
    free(directory);
    return fd;
}

bool ersatz_others_may_write(const struct stat *directory)
{
    return (directory->st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
           (directory->st_uid != 0 && directory->st_uid != geteuid());
}

static int open_new(struct output *output)
{
    unsigned long number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number) ||
        snprintf(output->new_name, sizeof(output->new_name), ".%.200s.%lx", output->name, number) < 0)
        return -1;
    return openat(
        output->directory, output->new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
}

/* Opened without blocking, since a pipe without a reader would block; then set to block, as a stream
 * expects. */
static int open_as_it_stands(const struct output *output)
{
    int fd = openat(output->directory, output->name,
        O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);

    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

/* False: *error says why. */
static bool open_output(const char *path, struct output *output, int *fd, struct ersatz_error *error)
{
    struct stat directory, there;

    output->new_name[0] = '\0';
    output->directory = open_directory(path, &output->name);
    if (output->directory < 0 || fstat(output->directory, &directory) != 0)
        return complain(error, path, strerror(errno));
    if (!ersatz_others_may_write(&directory)) {
        *fd = open_as_it_stands(output);
    } else {
        if (fstatat(output->directory, output->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISREG(there.st_mode))
            return complain(
                error, path, "it is a link or not a regular file, and others may write to its directory");
        *fd = open_new(output);
    }
    *fd = descriptor_above_standard_streams(*fd);
    return *fd >= 0 || complain(error, path, strerror(errno));
}

/* Closes the descriptor. */
static bool fill_output(int fd, bool (*fill)(void *, FILE *), void *arg)
{
    FILE *stream = fdopen(fd, "w");
    struct ersatz_writing writing;
    bool ok;

    if (stream == NULL) {
        close(fd);
        return false;
    }
    ersatz_writing_begin(&writing);
    ok = fill(arg, stream) && fflush(stream) == 0;
    ok = fclose(stream) == 0 && ok;
    ersatz_writing_end(&writing, !ok);
    return ok;
}

bool ersatz_write_file(const char *path, bool (*fill)(void *, FILE *), void *arg, struct ersatz_error *error)
{
    struct output output;
    int fd = -1, err = errno;
    bool ok = open_output(path, &output, &fd, error);

    if (ok && !fill_output(fd, fill, arg))
        ok = complain(error, path, strerror(errno));
    if (ok && output.new_name[0] != '\0' &&
        renameat(output.directory, output.new_name, output.directory, output.name) != 0)
        ok = complain(error, path, strerror(errno));
    if (!ok && output.new_name[0] != '\0')
        (void)unlinkat(output.directory, output.new_name, 0);
    if (output.directory >= 0)
        close(output.directory);
    errno = err;
    return ok;
}
