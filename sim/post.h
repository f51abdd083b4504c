/*
 * The poster: tells jobs that their requests are complete, a batch with one io_uring_enter(2), and sleeps in
 * that same call when its thread has nothing to do. Each thread that tells of requests owns one: the workers
 * and the delay line.
 */
#ifndef ERSATZ_SIM_POST_H
#define ERSATZ_SIM_POST_H

#include <liburing.h>

#include "request.h"

#define POSTER_NEVER UINT64_MAX /* a time that does not come */

struct ersatz_device;

struct poster {
    struct ersatz_device *device;
    int doorbell; /* an eventfd; blocking, so that a read of it waits in the kernel */

    /* The owning thread's own. */
    struct io_uring uring;
    bool broken; /* io_uring_enter is refused for good: signals and sleep go by hand */
    bool send_complained;
    unsigned refusals;   /* of io_uring_enter, in a row */
    bool doorbell_armed; /* a read of the doorbell is in the kernel */
    uint64_t doorbell_value;
    bool timer_armed;                   /* a timeout is in the kernel, or on its way there, */
    uint64_t timer_due;                 /* for this time, */
    struct __kernel_timespec timer;     /* which is this */
    bool timer_queued;                  /* its entry is not submitted yet */
    struct ersatz_request *again_first; /* whose message was refused: see poster_post_again() */
    struct ersatz_request **again_end;
};

/* The doorbell; by whoever starts the thread. */
enum ersatz_result poster_open(
    struct poster *poster, struct ersatz_device *device, struct ersatz_error *error);

/* The ring, for batches of so many; by the thread itself, since the kernel takes submissions from no other.
 */
enum ersatz_result poster_init(struct poster *poster, unsigned batch, struct ersatz_error *error);

/* Tell of requests, at most a batch: their results are stored. Each gives its slot back. All are told when
 * this returns; a message that io_uring refused is kept, see below. */
void poster_post(struct poster *poster, struct ersatz_request *const *requests, unsigned count);

/* Post the messages again that io_uring refused. The doorbell rings for them. */
void poster_post_again(struct poster *poster);
bool poster_has_again(const struct poster *poster);

/* Sleep until the doorbell rings, or until that time (nanoseconds of CLOCK_MONOTONIC) has come. May return
 * sooner. */
void poster_sleep(struct poster *poster, uint64_t until);

/* Ring the doorbell. Any thread. */
void poster_wake(struct poster *poster);

/* Give back the ring, by the thread; the doorbell, when the thread has ended; both, in the child of a fork.
 */
void poster_exit(struct poster *poster);
void poster_close(struct poster *poster);
void poster_forget(struct poster *poster);

#endif
