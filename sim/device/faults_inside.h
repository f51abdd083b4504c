/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that inject faults. */
#ifndef ERSATZ_SIM_DEVICE_FAULTS_INSIDE_H
#define ERSATZ_SIM_DEVICE_FAULTS_INSIDE_H

#include <stdatomic.h>

#include "device.h"
#include "ersatz/undisturbed.h"
#include "faults.h"

/* A list of rules. Constant, but for `from`. */
struct fault_list {
    struct ersatz_faults rules;
    uint32_t present;    /* a bit for each fault that has a rule */
    uint64_t burst_size; /* how many completions come together; 0: each as it is due */
    uint64_t burst_ns;
    _Atomic uint64_t from;    /* the list counts the requests that are numbered above this; relaxed */
    struct fault_list *older; /* another list that this device has had */
};

struct faults {
    struct ersatz_device *device;
    uint64_t seed;
    /* The list in force. Stored with release under the lock, loaded with acquire. A list stays until the
     * device is freed, since any thread may be reading it; one that comes again is used again. */
    struct fault_list *_Atomic list;

    /*
     * How often the card has been reset. A submitter reads `resets`, then `down_until`; the thread that
     * resets the card writes `down_until`, then `resets`; all sequentially consistent. So an admitted request
     * was either accepted before the newest reset, and fails when a worker takes it, or after the card was
     * back.
     */
    _Atomic unsigned resets;
    _Atomic uint64_t down_until; /* of CLOCK_MONOTONIC, in ns; 0: it was never down; UINT64_MAX: gone */

    uint64_t opened_at; /* constant */

    /* How many requests wait for a fork; written by the timer thread. */
    _Atomic unsigned awaiting_fork;
    /* How many forks have had their completions posted; written by the timer thread with release. */
    _Atomic unsigned forks_served;

    struct ersatz_lock lock;       /* for the next six */
    struct fault_list *lists;      /* all of them */
    struct ersatz_request *doomed; /* hung until the card was reset by a command; for the timer thread */
    enum ersatz_fault ended_by;
    uint64_t ended_on;                 /* the number of the request that reset the card last */
    struct ersatz_request *hung_first; /* in the order in which workers took them */
    struct ersatz_request **hung_end;

    /* For the timer thread alone. */
    bool postponed;       /* there may be reordered requests in the timers that no other has passed yet */
    uint64_t burst;       /* the number of the newest burst */
    uint64_t burst_count; /* how many requests it has so far; 0: it has ended, the next request begins one */
    uint64_t burst_due;
};

/* A worker has taken the request. A value other than ERSATZ_OK is its result; it is not to be computed. Where
 * *hangs is set, it is not to be computed either, and no longer the worker's. */
enum ersatz_result faults_take_up(struct faults *faults, struct ersatz_request *request, bool *hangs);

static inline const struct fault_list *faults_list(const struct faults *faults)
{
    return atomic_load_explicit(&faults->list, memory_order_acquire);
}

/* In place of a request's number: a command reset the card. */
#define FAULT_BY_COMMAND UINT64_MAX

/* Count a fault as injected. */
static inline void fault_count(struct faults *faults, enum ersatz_fault fault)
{
    ersatz_count(&device_stats(faults->device)->faults[fault], 1);
}

/* Note that this request fails because of that fault, of the request with that number. */
static inline void fault_blame(struct ersatz_request *request, enum ersatz_fault fault, uint64_t number)
{
    request->faults.by = fault;
    request->faults.blamed_on = number;
}

#endif
