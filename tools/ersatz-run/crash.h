/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that did not come to their end by themselves: a program that crashed gets no clean bill. */
#ifndef ERSATZ_RUN_CRASH_H
#define ERSATZ_RUN_CRASH_H

#include "run.h"

/* The signal by which the program crashed, if it did, or 0. A status that a shell would give counts as well.
 */
int crash_signal(const struct ending *ending);

/* How many callbacks ran in a process when it ended in the middle of them. */
unsigned crash_running(const struct ersatz_record *record);

/* Why it may say little that no mistake was found. */
enum crash_doubt {
    CRASH_NONE,
    CRASH_SIGNAL,      /* the program crashed, */
    CRASH_IN_CALLBACK, /* or one of its processes ended while a callback ran in it, */
    CRASH_UNSEEN       /* or one of them ended by a signal or by _exit(2), and only its parent knows which */
};

enum crash_doubt crash_doubt(const struct ending *ending, const struct records *records);

/* For people: of each process that crashed, or ended in a callback, where. */
void crash_write(const struct ending *ending, const struct records *records, FILE *stream);

#endif
