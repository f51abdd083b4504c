/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that crashed or ended in a callback: the report then does not say that it found no mistake. */
#ifndef ERSATZ_RUN_CRASH_H
#define ERSATZ_RUN_CRASH_H

#include "run.h"

/* The signal by which the program crashed, or 0. A status by which a shell reports a crash counts
 * too. */
int crash_signal(const struct ending *ending);

/* The crash that a process has left in its record; NULL: none. */
const struct ersatz_crash *crash_recorded(const struct ersatz_record *record);

/* The first of these in any process; signal: by which, or 0 for any. */
const struct ersatz_crash *crash_find(const struct records *records, int signal);

/* Writes a stack as a JSON array of its lines. */
void crash_write_stack_json(const char *stack, FILE *stream);

/* How many callbacks ran in a process when it ended. */
unsigned crash_running(const struct ersatz_record *record);

/* Reasons why the program may be wrong although no mistake was found. */
enum crash_doubt {
    CRASH_NONE,
    CRASH_SIGNAL,      /* the program crashed */
    CRASH_IN_CALLBACK, /* a process ended while a callback ran in it */
    CRASH_UNSEEN       /* a process ended by a signal or by _exit(2); only its parent knows which */
};

enum crash_doubt crash_doubt(const struct ending *ending, const struct records *records);

/* Writes about each process that crashed or ended in a callback. */
void crash_write(const struct ending *ending, const struct records *records, FILE *stream);

#endif
