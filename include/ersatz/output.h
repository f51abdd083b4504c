/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes lines to standard error, and files. The device runs inside somebody else's process. So no function
 * here kills that process by SIGPIPE or SIGXFSZ, blocks on a reader that does not read, or writes to a file
 * that is not meant. Any thread may call them; errno is unchanged unless said otherwise.
 */
#ifndef ERSATZ_OUTPUT_H
#define ERSATZ_OUTPUT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ersatz/result.h"

/*
 * Writes a line to standard error (printf style), prefixed with "ersatz: "; a long line is cut. A process
 * writes each different line once. Nothing is written if descriptor 2 is another file than when this code was
 * loaded: a daemon may have closed it, and the number may now be a file of the application.
 */
void ersatz_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The line of a module that was refused, or whose command was; the reason follows. */
#define ERSATZ_REFUSED "refused; the program may continue without it: "

/* Writes a text of several lines to standard error, unchanged, and every time that it is called. */
void ersatz_say_text(const char *text, size_t len);

/* For a write that is done elsewhere: between these two calls SIGPIPE and SIGXFSZ are blocked, and the second
 * removes the signal that the write has raised. failed: a write failed, so it may have raised one. Call both
 * on one thread. */
struct ersatz_writing {
    sigset_t before, pending;
};
void ersatz_writing_begin(struct ersatz_writing *writing);
void ersatz_writing_end(const struct ersatz_writing *writing, bool failed);

/*
 * Writes a file, which it creates if necessary. fill(arg, stream) writes the content and returns false on
 * failure. Only its owner can write to a new file, whatever the umask.
 *
 * If only this user and root can write to the directory, the path is opened as it is: a link is followed, and
 * a pipe or /dev/stdout is written to. In other directories (/tmp) somebody may have put a link there. So the
 * file is made under a name that cannot be guessed, and then replaces an older file of that name; if
 * something else than a regular file has the name, it is left alone, and this fails. False: *error says why.
 */
bool ersatz_write_file(
    const char *path, bool (*fill)(void *arg, FILE *stream), void *arg, struct ersatz_error *error);

/* Writes a JSON string of at most size bytes of text, or up to its first zero. Valid UTF-8 stays as it is;
 * each other byte becomes U+FFFD. Errors stay in the stream. */
void ersatz_json_string(const char *text, size_t size, FILE *stream);

/* Whether another user than root may make, rename or remove files in a directory with this status. The sticky
 * bit does not matter: it lets everybody make files. */
bool ersatz_others_may_write(const struct stat *directory);

#endif
