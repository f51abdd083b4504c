/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a UNIX stream socket by which other programs steer the card and ask it, while the
 * program runs. A client sends lines, and gets one line for each; docs/control.md describes them. One thread
 * of the card serves all clients. It has descriptors of its own, which the program does not see, cannot
 * close, and does not hand on to its children.
 *
 * The calling thread must not be that thread.
 */
#ifndef ERSATZ_CONTROL_SOCKET_H
#define ERSATZ_CONTROL_SOCKET_H

#include <stdbool.h>
#include <stdio.h>

#include "ersatz/result.h"

#define ERSATZ_CONTROL_CLIENTS_MAX 64u         /* at a time; others are told so, and refused */
#define ERSATZ_CONTROL_LINE_MAX 8192u          /* bytes of a line that a client sends */
#define ERSATZ_CONTROL_THREAD "ersatz-control" /* the thread's name, by which ersatzctl finds it */

/*
 * Runs a command, on the thread of the socket. value: NULL where the line has none. Writes the answer, a JSON
 * value, or nothing where the command has none. False: *error says why it was refused.
 */
typedef bool ersatz_control_run(
    const char *command, const char *value, FILE *answer, struct ersatz_error *error);

struct ersatz_control_socket;

/* Whether a socket could be made at this path, as far as can be told without making it. False: *error names
 * the path, and says what was expected. */
bool ersatz_control_path_suits(const char *path, struct ersatz_error *error);

/* Makes the socket, with mode 0600 whatever the umask, and serves it. A socket that nobody listens on is
 * replaced; nothing else is. NULL: *error says why. The caller ends it with ersatz_control_close(). */
struct ersatz_control_socket *ersatz_control_open(
    const char *path, ersatz_control_run *run, struct ersatz_error *error);

/* Removes the socket, and ends its clients' connections. Waits for a command that runs, but at most five
 * seconds. NULL is allowed. */
void ersatz_control_close(struct ersatz_control_socket *socket);

/* For a client: reads a line that came as the answer, without its newline; changes it. *text: the answer as
 * JSON, empty where the command has none; or, where *ok is false, the error. False: it is no such line. */
bool ersatz_control_read_answer(char *line, bool *ok, const char **text);

/* Call this in place of ersatz_control_close() in the child of a fork, which has no part in the socket. */
void ersatz_control_forget(struct ersatz_control_socket *socket);

#endif
