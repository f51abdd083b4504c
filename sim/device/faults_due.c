/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of completion: when a request is due that completes late, after others, or in a burst.
 *
 * These faults do no more than change a request's time in the timers. A request that waits there is PENDING,
 * keeps its slot, and is due at some time whatever else happens: no request waits for others for ever. A
 * device that reorders completions, or makes bursts, sends every request through the timers. So requests come
 * one after the other, on one thread, and the fields of struct faults that are used here need no lock.
 *
 *   late      the request is due that much later
 *   reorder   when the request is due, it is put back by the rule's TIME; when another request passes it, it
 * is due right behind that one burst     the first request of a burst is put back by the rule's TIME, and the
 * others until the same moment; when the last one comes, all of them are due
 */
#include "faults.h"
#include "faults_inside.h"
#include "timers.h"

#define OVERDUE 1u /* a time in the past: in front of every event that became due since */

bool faults_order_completions(const struct faults *faults)
{
    return (faults_list(faults)->present & (1u << ERSATZ_FAULT_REORDER | 1u << ERSATZ_FAULT_BURST)) != 0;
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

/* When a request that is due completes, where there are bursts; 0: now. */
static uint64_t due_with_burst(struct faults *faults, struct ersatz_request *request, uint64_t now)
{
    const struct fault_list *list = faults_list(faults);
    struct request_faults *own = &request->faults;

    if (list->burst_size == 0)
        return 0;
    if (own->burst != 0) { /* it was put back before: the burst is complete, or its time has come */
        if (own->burst == faults->burst && faults->burst_count > 0)
            end_burst(faults);
        return 0;
    }
    if (faults->burst_count++ == 0) {
        faults->burst++;
        faults->burst_due = now + list->burst_ns;
    }
    own->burst = faults->burst;
    if (faults->burst_count < list->burst_size)
        return faults->burst_due;
    end_burst(faults);
    timers_hasten(faults->device->timers, is_in_burst, OVERDUE);
    return OVERDUE; /* behind the others, and in one batch with them */
}

uint64_t faults_due_again(struct ersatz_request *request)
{
    struct faults *faults = request->device->faults;
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
        timers_hasten(
            faults->device->timers, waits_to_be_passed, now); /* behind requests that are due already */
    }
    return due_with_burst(faults, request, now);
}
