/* SPDX-License-Identifier: Apache-2.0 */
/* The stacks of processes below this one: of those that hang, and of those that crash. */
#ifndef ERSATZ_RUN_STACKS_H
#define ERSATZ_RUN_STACKS_H

#include <stdbool.h>

/* Writes the stack of every thread of every process to a new file: by gdb(1) if it is installed, and
 * otherwise where each thread waits in the kernel. */
void stacks_write(const char *path);

/* Waits in a process of its own for processes below us that crash, and writes the stacks of their threads to
 * the file, in the same way: of the first 16. They stand still meanwhile. records: the directory of records,
 * its path and a descriptor. False: there is no room for its socket. */
bool stacks_watch_crashes(const char *records, int records_fd, const char *path);

/* Ends that: after the stacks that it writes, but within a minute, and at once if a signal asks us to end.
 * kill_it: at once in any case. */
void stacks_unwatch_crashes(bool kill_it);

#endif
