/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring as the device needs it: set up, or refused with a reason a person can act on. */
#ifndef ERSATZ_SIM_DEVICE_URING_H
#define ERSATZ_SIM_DEVICE_URING_H

#include <liburing.h>
#include <stdbool.h>

#include "ersatz/device.h"

/* A worker's ring: submitted to by the thread that calls this and no other, which ends it, too. It has no
 * descriptor (the kernel knows it by an index of the thread's own), so nobody can close it, and a child of a
 * fork has nothing of it. Says why in *error if the kernel lacks an operation that the device needs. */
enum ersatz_result uring_init_worker(struct io_uring *ring, unsigned entries, struct ersatz_error *error);

/* A response ring: other rings send messages to it, any thread takes them off. completions: how many must
 * fit. Its descriptor is above 2. A child of a fork has the descriptor only. On a thread that ends before the
 * ring does: see uring_apart(). */
enum ersatz_result uring_init_response(
    struct io_uring *ring, unsigned completions, struct ersatz_error *error);

/* Call run(arg) on a thread made for it, and wait for it to end. A ring that is closed is taken apart by the
 * kernel a little later, which interrupts the thread that made it, or submitted to it: were that one of the
 * application's, its system calls would return EINTR though no signal came. False: no thread could be
 * made, and errno says why. */
bool uring_apart(void (*run)(void *arg), void *arg);

/* How many rings of workers this process may make. Since Linux 6.14 they count as memory that is locked
 * by its user, all processes together. */
unsigned uring_fair_share(void);

#endif
