/* SPDX-License-Identifier: Apache-2.0 */
/* All processes below this one, for which this process must be the subreaper. */
#ifndef ERSATZ_RUN_TREE_H
#define ERSATZ_RUN_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Writes the stack of every thread of every process to a new file: by gdb(1) if it is installed, and
 * otherwise where each thread waits in the kernel. */
void tree_write_stacks(const char *path);

/* Waits in a process of its own for processes below us that crash, and writes the stacks of their threads to
 * the file, in the same way: of the first 16. They stand still meanwhile. records: the directory of records,
 * its path and a descriptor. False: there is no room for its socket. */
bool tree_watch_crashes(const char *records, int records_fd, const char *path);

/* Ends that: after the stacks that it writes, but within a minute, and at once if a signal asks us to end.
 * kill_it: at once in any case. */
void tree_unwatch_crashes(bool kill_it);

/* Ends all processes: by SIGTERM, and those that remain after that many seconds by SIGKILL. Returns when
 * there are none. The result is the signal by which one of those that became our children crashed, or 0. */
int tree_end(double seconds);

/* A process that became our child has ended. tree_end() must know. */
void tree_note_end(pid_t pid, int status);

/* How such a process has ended. False: it was not our child, or has not ended. */
bool tree_has_ended(pid_t pid, int *status);

#endif
