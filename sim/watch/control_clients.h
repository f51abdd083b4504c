/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of the control socket: takes them, reads their lines, sends the answers. */
#ifndef ERSATZ_SIM_WATCH_CONTROL_CLIENTS_H
#define ERSATZ_SIM_WATCH_CONTROL_CLIENTS_H

#include <stdatomic.h>

#include "ersatz/control_socket.h"

/* Serves clients until *ending is true, and then leaves them. wake: readable after *ending was set. Both
 * descriptors are the calling thread's own, and do not block. */
void control_serve(int listener, int wake, ersatz_control_run *run, const _Atomic bool *ending);

/* The answer to one line of len bytes, which is changed; ends with a newline. The caller frees it. NULL: out
 * of memory. *until_close: what is to be undone when the client's connection closes; 0 at first. */
char *control_answer(
    char *line, size_t len, ersatz_control_run *run, unsigned *until_close, size_t *answer_len);

/* Undoes it. */
void control_undo(unsigned until_close, ersatz_control_run *run);

#endif
