/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about faults share. */
#ifndef ERSATZ_SIM_DEVICE_FAULTS_INSIDE_H
#define ERSATZ_SIM_DEVICE_FAULTS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "device.h"
#include "faults.h"

struct faults {
    struct ersatz_device *device;
    struct ersatz_faults rules; /* constant */
    uint64_t seed;
    uint32_t present; /* a bit for each fault that has a rule */

    /*
     * How often the card has been reset. A submitter reads `resets`, then `down_until`; whoever resets the
     * card writes `down_until`, then `resets`; all of it sequentially consistent. So an admitted request was
     * either accepted before the newest reset, and fails when a worker takes it up, or after the card was
     * back.
     */
    _Atomic unsigned resets;
    _Atomic uint64_t down_until; /* of CLOCK_MONOTONIC, in ns; 0: it was never down; UINT64_MAX: gone */

    pthread_mutex_t lock; /* for what follows */
    enum ersatz_fault ended_by;
    uint64_t ended_on;                 /* the number of the request that reset the card last */
    struct ersatz_request *hung_first; /* in the order in which they were taken up */
    struct ersatz_request **hung_end;

    uint64_t burst_size; /* how many completions come together; 0: each as it is due; constant, as burst_ns */
    uint64_t burst_ns;

    /* The delay line's thread's own. */
    bool postponed;       /* there may be requests in the line that wait for another to pass them */
    uint64_t burst;       /* the number of the newest burst */
    uint64_t burst_count; /* how many requests it has so far; 0: it has ended, the next request begins one */
    uint64_t burst_due;
};

/* A worker has taken the request up. Anything but ERSATZ_OK is its result, not to be computed. *hangs: nor
 * is it, and it is no longer the worker's. */
enum ersatz_result faults_take_up(struct faults *faults, struct ersatz_request *request, bool *hangs);

/* Count a fault as injected. */
static inline void fault_count(struct faults *faults, enum ersatz_fault fault)
{
    ersatz_count(&device_stats(faults->device)->faults[fault], 1);
}

/* It was a fault of that request's that made this one fail. */
static inline void fault_blame(struct ersatz_request *request, enum ersatz_fault fault, uint64_t number)
{
    request->faults.by = fault;
    request->faults.blamed_on = number;
}

#endif
