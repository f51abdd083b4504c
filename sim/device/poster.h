/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The poster: tells jobs that their requests are complete, a batch with one io_uring_enter(2). Each thread
 * that tells of requests owns one, and sleeps at its doorbell: the workers and the delay line.
 */
#ifndef ERSATZ_SIM_DEVICE_POSTER_H
#define ERSATZ_SIM_DEVICE_POSTER_H

#include <liburing.h>

#include "base/doorbell.h"
#include "request.h"

#define POSTER_BATCH_MAX 32u

struct ersatz_device;

struct poster {
    struct ersatz_device *device;
    struct doorbell doorbell;

    /* The owning thread's own. */
    bool has_ring;
    bool broken; /* no ring, or io_uring_enter is refused for good: every signal goes by hand */
    struct io_uring uring;
    unsigned refusals; /* of io_uring_enter, in a row */
    unsigned batch;
    unsigned renewals; /* of the ring, since io_uring_enter last worked */
};

/* The doorbell; by whoever starts the thread. */
void poster_open(struct poster *poster, struct ersatz_device *device);

/* The ring, for batches of so many; by the thread itself, since the kernel takes submissions from no other.
 * may_lack: where there is no memory for a ring, go without. */
enum ersatz_result poster_init(
    struct poster *poster, unsigned batch, bool may_lack, struct ersatz_error *error);

/* Without a ring from the beginning. Every signal then takes a system call of its own. */
void poster_init_without(struct poster *poster);

/* Tell of requests, at most a batch, and at most POSTER_BATCH_MAX: their results are stored. Each gives its
 * slot back. All are told when this returns. */
void poster_post(struct poster *poster, struct ersatz_request *const *requests, unsigned count);

/* Make the descriptors of response rings readable where that was asked for: see instance_park(). A ring that
 * is broken is made anew for this. */
void poster_mark(struct poster *poster);

/* The same on a thread of its own, for a device that has stopped. */
void poster_mark_apart(struct ersatz_device *device);

/* Sleep until the doorbell rings, or until that time (nanoseconds of CLOCK_MONOTONIC) has come. May return
 * sooner. */
void poster_sleep(struct poster *poster, uint64_t until);

/* Ring the doorbell. Any thread. */
void poster_wake(struct poster *poster);

/* Give back the ring; by the thread. A child of a fork has nothing of it. */
void poster_exit(struct poster *poster);

#endif
