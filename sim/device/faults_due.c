/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of completion: when a request is due that completes late, after others, or in a burst.
 *
 * All that these faults do is to move a request's time in the delay line. What waits there is PENDING to its
 * submitter, keeps its slot, and is due at some time whatever else happens: no request waits for others for
 * ever. A device that reorders completions or has them come in bursts sends all of them through the line; so
 * they come one after the other, on one thread, and what is noted here needs no lock.
 *
 *   late      the request is due that much later
 *   reorder   when its time has come, it is due the rule's TIME later; or as soon as another request passes
 *             it, right behind that one
 *   burst     the first of a burst is due the rule's TIME later, and the others with it; with the last of
 *             them all are due at once
 */
#include "faults.h"
#include "faults_inside.h"
#include "timers.h"

#define OVERDUE 1u /* a time that has passed: in front of all that became due since */

bool faults_keep_order(const struct faults *faults)
{
    return (faults->present & (1u << ERSATZ_FAULT_REORDER | 1u << ERSATZ_FAULT_BURST)) != 0;
}

uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due)
{
    uint64_t delay = 0, now = clock_now();

    /* A group completes once, with the last of it. */
    for (struct ersatz_request *each = request; each != NULL; each = each->group_next) {
        if (each->faults.delay_ns > delay)
            delay = each->faults.delay_ns;
        if (request_is_struck(&each->faults, ERSATZ_FAULT_LATE))
            fault_count(faults, ERSATZ_FAULT_LATE);
    }
    return (due > now ? due : now) + delay;
}

static bool waits_to_be_passed(const struct ersatz_request *request)
{
    return request->faults.was_postponed && request->faults.burst == 0;
}

static bool is_in_burst(const struct ersatz_request *request)
{
    return request->faults.burst != 0;
}

static void end_burst(struct faults *faults)
{
    fault_count(faults, ERSATZ_FAULT_BURST);
    faults->burst_count = 0;
}

/* When a request that is due completes with its burst; 0: now. */
static uint64_t due_with_burst(struct faults *faults, struct ersatz_request *request, uint64_t now)
{
    struct request_faults *own = &request->faults;

    if (faults->burst_size == 0)
        return 0;
    if (own->burst != 0) { /* it comes from its burst, which is whole, or whose time is over */
        if (own->burst == faults->burst && faults->burst_count > 0)
            end_burst(faults);
        return 0;
    }
    if (faults->burst_count++ == 0) {
        faults->burst++;
        faults->burst_due = now + faults->burst_ns;
    }
    own->burst = faults->burst;
    if (faults->burst_count < faults->burst_size)
        return faults->burst_due;
    end_burst(faults);
    timers_hasten(faults->device->timers, is_in_burst, OVERDUE);
    return OVERDUE; /* behind the others, and so in one batch with them */
}

uint64_t faults_due_anew(struct faults *faults, struct ersatz_request *request)
{
    struct request_faults *own = &request->faults;
    uint64_t now = clock_now();

    if (atomic_load(&faults->device->stopping))
        return 0;
    if (request_is_struck(own, ERSATZ_FAULT_REORDER) && !own->was_postponed) {
        own->was_postponed = faults->postponed = true;
        fault_count(faults, ERSATZ_FAULT_REORDER);
        return now + own->reorder_ns;
    }
    if (faults->postponed && !own->was_postponed && own->burst == 0) {
        faults->postponed = false;
        timers_hasten(faults->device->timers, waits_to_be_passed, now); /* behind what is due already */
    }
    return due_with_burst(faults, request, now);
}
