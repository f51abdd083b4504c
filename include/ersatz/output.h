/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves the device by writing: lines on standard error, and files. Whoever uses the device lives in a
 * process that is not its own, so nothing here ends it by SIGPIPE or SIGXFSZ, keeps it waiting for a reader
 * that does not read, or writes to what is not ours. Any thread; errno is left as it was unless said
 * otherwise.
 */
#ifndef ERSATZ_OUTPUT_H
#define ERSATZ_OUTPUT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ersatz/device.h"

/*
 * Say a line on standard error (printf style), with "ersatz: " before it; a long one is cut. A process says
 * the same line once. Nothing is written where descriptor 2 is not what it was when this code was loaded: a
 * daemon may have closed it, and the number be a file of the application's by now.
 */
void ersatz_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Write a text of several lines there, as it is, however often. */
void ersatz_say_text(const char *text, size_t len);

/* For a write that is done elsewhere: between the two calls SIGPIPE and SIGXFSZ wait, and what the write
 * raised is taken away. `failed`: something did not succeed, so that there may be one. Both on one thread. */
struct ersatz_writing {
    sigset_t before, pending;
};
void ersatz_writing_begin(struct ersatz_writing *writing);
void ersatz_writing_end(const struct ersatz_writing *writing, bool failed);

/*
 * Fill a file, made anew if need be, by fill(arg, stream), which says whether that went well. Nobody but its
 * owner may write to a file that is made, whatever the umask.
 *
 * Where only this user and root may write to the directory, the path is opened as it stands: a link is
 * followed, a pipe or /dev/stdout is written to. Elsewhere (/tmp) somebody may have put a link there: the
 * file is made under a name that cannot be guessed and then takes the place of an older one; what is there
 * and is no plain file is left alone, which is a failure. False: *error says why.
 */
bool ersatz_write_file(
    const char *path, bool (*fill)(void *arg, FILE *stream), void *arg, struct ersatz_error *error);

/* Write a JSON string of at most size bytes of text, which ends before its first zero, if there is one. UTF-8
 * stays as it is; each byte that is none becomes U+FFFD. Errors stay in the stream. */
void ersatz_json_string(const char *text, size_t size, FILE *stream);

#endif
