/* SPDX-License-Identifier: Apache-2.0 */
/* All processes below this one, for which this process must be the subreaper. */
#ifndef ERSATZ_RUN_TREE_H
#define ERSATZ_RUN_TREE_H

#include <stdbool.h>
#include <sys/types.h>

#define TREE_PROCESSES_MAX 1024u /* of one look; what is left is seen by the next */

/* All processes below us, at this moment. Returns how many. */
unsigned tree_list(pid_t pids[TREE_PROCESSES_MAX]);

/* Whether a process is a descendant of root. */
bool tree_is_below(pid_t pid, pid_t root);

/* Ends all processes: by SIGTERM, and those that remain after that many seconds by SIGKILL. Returns when
 * there are none. The result is the signal by which one of those that became our children crashed, or 0. */
int tree_end(double seconds);

/* A process that became our child has ended. tree_end() must know. */
void tree_note_end(pid_t pid, int status);

/* How such a process has ended. False: it was not our child, or has not ended. */
bool tree_has_ended(pid_t pid, int *status);

#endif
