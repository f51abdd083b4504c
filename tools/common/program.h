/* SPDX-License-Identifier: Apache-2.0 */
/* What every program for people needs. */
#ifndef ERSATZ_TOOLS_PROGRAM_H
#define ERSATZ_TOOLS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define EXIT_TROUBLE 2 /* wrong arguments, or the program could not do its work */

/* The program's name, as messages begin with it. Each program defines it. */
extern const char program_name[];

/* Prints a message on standard error, after the program's name, and exits with EXIT_TROUBLE. */
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
