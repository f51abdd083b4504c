/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The poster: posts the completions of a batch of requests with one io_uring_enter(2). Each worker and the
 * timer thread own one, and sleep at its doorbell.
 */
#ifndef ERSATZ_SIM_DEVICE_POSTER_H
#define ERSATZ_SIM_DEVICE_POSTER_H

#include <liburing.h>

#include "base/doorbell.h"
#include "request.h"
#include "uring.h"

#define POSTER_BATCH_MAX 32u

struct ersatz_device;

struct poster {
    struct ersatz_device *device;
    struct doorbell doorbell;

    /* The owning thread's own. */
    bool has_ring;
    bool broken; /* no ring, or io_uring_enter fails for good: each signal takes a system call of its own */
    struct io_uring uring;
    unsigned refusals; /* of io_uring_enter, in a row */
    unsigned batch;
    unsigned renewals; /* of the ring, since io_uring_enter last worked */
};

/* Set up the doorbell. Called by the thread that starts the owning thread. */
void poster_open(struct poster *poster, struct ersatz_device *device);

/* Make the ring, for batches of that size. Called by the owning thread, since Linux takes submissions from no
 * other. If there is no memory for a ring that is not required, go on without one. */
enum ersatz_result poster_init(
    struct poster *poster, unsigned batch, enum uring_need need, struct ersatz_error *error);

/* Go without a ring from the beginning. */
void poster_init_without(struct poster *poster);

/* Post the completions of requests whose results are stored: at most a batch, and at most POSTER_BATCH_MAX.
 * All are posted when this returns. */
void poster_post(struct poster *poster, struct ersatz_request *const *requests, unsigned count);

/* Make the descriptors of response rings readable where that was asked for: see instance_park(). A ring that
 * is broken is made anew for this. */
void poster_mark(struct poster *poster);

/* Does poster_mark() on a thread started for it, for a device that has stopped. */
void poster_mark_apart(struct ersatz_device *device);

/* Sleep until the doorbell rings, or until that time (nanoseconds of CLOCK_MONOTONIC) has come. May return
 * sooner. */
void poster_sleep(struct poster *poster, uint64_t until);

/* Sleep for so many nanoseconds, or until the doorbell rings. */
void poster_nap(struct poster *poster, uint64_t ns);

/* Ring the doorbell. Any thread. */
void poster_wake(struct poster *poster);

/* Close the ring. Called by the owning thread. A child of a fork does not inherit the ring. */
void poster_exit(struct poster *poster);

#endif
