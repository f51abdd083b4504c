/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the card writes when it stops or the process ends: the statistics, the trace. */
#ifndef ERSATZ_DRIVER_REPORT_H
#define ERSATZ_DRIVER_REPORT_H

#include <stdbool.h>
#include <sys/types.h>

#include "ersatz/record.h"

/* All under the card's lock. */
struct report {
    char *stats_file, *trace_file; /* NULL: none. A %p stands for the process id */
    pid_t first_process;           /* where the engine was loaded; others are forked children */
};

/* Let *file, one of a report's, be a copy of the path. False: no memory. */
bool report_set_file(char **file, const char *path);

/* Write no files from now on. */
void report_reset(struct report *report);

/* Write the files that were asked for. Complains on standard error if that fails. */
void report_write(const struct report *report, struct ersatz_record *record);

#endif
