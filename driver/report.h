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
    char *control;                 /* the same, of the control socket */
    pid_t first_process;           /* where the engine was loaded; others are forked children */
};

/* Let *file, one of a report's, be a copy of the path. False: no memory. */
bool report_set_file(char **file, const char *path);

/* Write no files from now on. */
void report_reset(struct report *report);

/* The path of a file for this process: every %p is replaced by the process id; a forked child of a path
 * without one gets the id appended. */
void report_expand(const struct report *report, const char *path, char *out, size_t size);

/* Write the trace to a file. False: *error says why. */
bool report_write_trace(const char *path, struct ersatz_record *record, struct ersatz_error *error);

/* Write the files that were asked for. Complains on standard error if that fails. */
void report_write(const struct report *report, struct ersatz_record *record);

#endif
