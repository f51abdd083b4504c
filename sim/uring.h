/* io_uring as the device needs it: set up, or refused with a reason a person can act on. */
#ifndef ERSATZ_SIM_URING_H
#define ERSATZ_SIM_URING_H

#include <liburing.h>

#include "ersatz/device.h"

/* A worker's ring: submitted to by the thread that calls this and no other. */
enum ersatz_result uring_init_worker(struct io_uring *ring, unsigned entries, struct ersatz_error *error);

/* A response ring: other rings send messages to it, any thread takes them off. completions: how many must
 * fit. */
enum ersatz_result uring_init_response(
    struct io_uring *ring, unsigned completions, struct ersatz_error *error);

#endif
