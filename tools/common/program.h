/* SPDX-License-Identifier: Apache-2.0 */
/* What every program for people needs. */
#ifndef ERSATZ_TOOLS_PROGRAM_H
#define ERSATZ_TOOLS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define EXIT_TROUBLE 2 /* wrong arguments, or the program could not do its work */

/* The program's name, as messages begin with it. Each program defines it. */
extern const char program_name[];

/* The first that main() calls. If a standard stream is closed, no file that is opened later takes its number,
 * and with it what is written there; reading and writing it fails, and a program that is executed finds it
 * closed. */
void program_begin(void);

/* Where to say why the program cannot do its work: standard error, or if that was closed standard output. */
FILE *complaints(void);

/* Says it there, after the program's name, and exits with EXIT_TROUBLE. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program, with this status if everything was written to standard output. what: "the help text", or
 * such, for the message if it was not; NULL: no name. */
_Noreturn void finish(int status, const char *what);

/* Whether the text consists of digits, at least one. */
bool is_number(const char *text);

/* CLOCK_MONOTONIC: in nanoseconds, as in records; in seconds. */
uint64_t now_ns(void);
double now_s(void);

struct timespec timespec_of(double seconds);

/* Reads the first line of a file, without its newline; the path is given printf style. False: there is none,
 * and the line is empty. */
bool first_line(char *line, int size, const char *path, ...) __attribute__((format(printf, 3, 4)));

#endif
