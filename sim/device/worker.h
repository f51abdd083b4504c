/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: a thread that takes requests off the rings in batches, computes them, and posts their completions
 * through a poster of its own, where it sleeps when there is nothing to do.
 */
#ifndef ERSATZ_SIM_DEVICE_WORKER_H
#define ERSATZ_SIM_DEVICE_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "company.h"
#include "linger.h"
#include "poster.h"
#include "request.h"

#define WORKER_BATCH 16u /* as many as the widest kernel takes at once */

struct ersatz_device;

struct worker {
    _Alignas(64) struct ersatz_device *device; /* no two workers share a cache line */
    unsigned index;
    pthread_t thread;
    struct poster poster;

    /* The thread's own. */
    struct compute_lanes *lanes;
    struct company company;
    struct lingerer lingerer;
    unsigned turn;                     /* the instance to look at first */
    struct ersatz_request *held_first; /* computed, and held before their signals */
    struct ersatz_request **held_end;

    /* Between the starter and the thread, until `started` is posted. */
    sem_t started;
    enum ersatz_result start_result;
    struct ersatz_error *start_error;
};

/* On failure nothing is left behind. */
enum ersatz_result worker_start(
    struct worker *worker, struct ersatz_device *device, unsigned index, struct ersatz_error *error);

#endif
