/*
 * A worker: a thread that takes requests off the rings in batches, computes them, and posts their completions
 * through an io_uring of its own, a batch with one io_uring_enter(2). With nothing to do it sleeps in that
 * same call, on a read of its doorbell.
 */
#ifndef ERSATZ_SIM_WORKER_H
#define ERSATZ_SIM_WORKER_H

#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>

#include "request.h"

#define WORKER_BATCH 16u /* as many as the widest kernel takes at once */

struct ersatz_device;

struct worker {
    struct ersatz_device *device;
    unsigned index;
    pthread_t thread;
    int doorbell; /* an eventfd; blocking, so that a read of it waits in the kernel */

    /* The thread's own. */
    struct io_uring uring;
    struct compute_lanes *lanes;
    bool uring_broken; /* io_uring_enter is refused for good: signals and sleep go by hand */
    bool send_complained;
    unsigned refusals;   /* of io_uring_enter, in a row */
    bool doorbell_armed; /* a read of the doorbell is in the kernel */
    uint64_t doorbell_value;
    unsigned next_instance;            /* where to look first for work */
    struct ersatz_request *held_first; /* computed, held before their signal */
    struct ersatz_request **held_end;

    /* Between the starter and the thread, until `started` is posted. */
    sem_t started;
    enum ersatz_result start_result;
    struct ersatz_error *start_error;
};

/* On failure nothing is left behind. */
enum ersatz_result worker_start(
    struct worker *worker, struct ersatz_device *device, unsigned index, struct ersatz_error *error);

/* Ring the doorbell: the worker looks around. Any thread. */
void worker_wake(struct worker *worker);

/* Wait for the thread to end; the device is stopping. */
void worker_join(struct worker *worker);

void worker_destroy(struct worker *worker);

/* In the child of a fork, where the thread is not: close what was inherited. */
void worker_forget(struct worker *worker);

#endif
