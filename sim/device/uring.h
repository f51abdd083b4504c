/* SPDX-License-Identifier: Apache-2.0 */
/* Sets up io_uring as the device needs it; where that fails, the error says what to do about it. */
#ifndef ERSATZ_SIM_DEVICE_URING_H
#define ERSATZ_SIM_DEVICE_URING_H

#include <liburing.h>
#include <stdbool.h>

#include "ersatz/device.h"

/* How much a ring matters, if locked memory is short. All get ERSATZ_NO_MEMORY if Linux refuses the ring. */
enum uring_need {
    URING_REQUIRED, /* only after a quarter of a second, in which it is tried again */
    URING_NEEDED,
    URING_WELCOME /* also if the ring would not leave half of the limit free: see locked_memory.h */
};

/* Set up a worker's ring. Only the calling thread may submit to it and exit it. It has no descriptor (Linux
 * knows it by an index that belongs to the thread), so no program can close it, and the child of a fork has
 * nothing of it. On failure, or where Linux lacks an operation that the device needs, *error says why. */
enum ersatz_result uring_init_worker(
    struct io_uring *ring, unsigned entries, enum uring_need need, struct ersatz_error *error);

/* Set up a response ring: other rings send messages to it, and any thread takes completions off it.
 * completions: for how many it has room. Its descriptor is above 2; the child of a fork inherits the
 * descriptor, but not the memory. Call this on a thread that ends before the ring is closed: see
 * uring_apart(). */
enum ersatz_result uring_init_response(
    struct io_uring *ring, unsigned completions, enum uring_need need, struct ersatz_error *error);

/* Call run(arg) on a new thread, and wait until that has ended. Linux takes a closed ring apart a little
 * later, and interrupts each thread that made the ring or submitted to it. If that were a thread of the
 * application, its system calls would return EINTR although no signal came. False: no thread could be
 * started, and errno says why. */
bool uring_apart(void (*run)(void *arg), void *arg);

#endif
