/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of the control socket: takes them, reads their lines, sends the answers. */
#ifndef ERSATZ_SIM_WATCH_CONTROL_CLIENTS_H
#define ERSATZ_SIM_WATCH_CONTROL_CLIENTS_H

#include <stdatomic.h>

#include "ersatz/control_socket.h"

/* Serves clients until *ending is true, and then leaves them. wake: readable after *ending was set. Both
 * descriptors are the calling thread's own, and do not block. */
void control_serve(int listener, int wake, ersatz_control_run *run, const _Atomic bool *ending);

/* For each command that can be undone, the client at whose close it is; NULL: nobody. Zeroed at first. */
struct control_owners {
    const void *of[3];
};

/* The answer to one line of len bytes of that client, which is changed; ends with a newline. The caller frees
 * it. NULL: out of memory. */
char *control_answer(char *line, size_t len, ersatz_control_run *run, const void *client,
    struct control_owners *owners, size_t *answer_len);

/* The client's connection closes: undoes what was to be in force until then. */
void control_undo(const void *client, struct control_owners *owners, ersatz_control_run *run);

#endif
