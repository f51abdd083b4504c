/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of completion: when a request is due that completes late, after others, or in a burst.
 *
 * These faults do no more than change a request's time in the timers. A request that waits there is PENDING,
 * keeps its slot, and is due at some time whatever else happens: no request waits for others for ever. A
 * device that reorders completions, or makes bursts, sends every request through the timers. So requests come
 * one after the other, on one thread, and the fields of struct faults that are used here need no lock.
 *
 *   late, slow  the request is due that much later
 *   boot        the request is due when the card is up
 *   early       when the request is due, it is put back by the rule's TIME; when its job is resumed, it is
 *               due
 *   fork        when the request is due, it is put back by the rule's TIME; when the program forks, it is
 *               due
 *   reorder     when the request is due, it is put back by the rule's TIME; when another request passes it,
 *               it is due right behind that one
 *   burst       the first request of a burst is put back by the rule's TIME, and the others until the same
 *               moment; when the last one comes, all of them are due
 */
#include <unistd.h>

#include "faults.h"
#include "faults_inside.h"
#include "timers.h"

#define FORK_LOOKS 200u /* a fork waits for 20 ms at most */
#define FORK_LOOK_US 100u
#define OVERDUE 1u /* a time in the past: in front of every event that became due since */

bool faults_order_completions(const struct faults *faults)
{
    return (faults_list(faults)->present & (1u << ERSATZ_FAULT_REORDER | 1u << ERSATZ_FAULT_BURST |
                                               1u << ERSATZ_FAULT_EARLY | 1u << ERSATZ_FAULT_FORK)) != 0;
}

uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due)
{
    uint64_t delay = 0, up_at = 0, now = clock_now();

    /* A group completes once, with the last of it. */
    for (struct ersatz_request *each = request; each != NULL; each = each->group_next) {
        if (each->faults.delay_ns > delay)
            delay = each->faults.delay_ns;
        if (request_is_struck(&each->faults, ERSATZ_FAULT_LATE))
            fault_count(faults, ERSATZ_FAULT_LATE);
        if (request_is_struck(&each->faults, ERSATZ_FAULT_SLOW))
            fault_count(faults, ERSATZ_FAULT_SLOW);
        if (each->faults.up_at > up_at)
            up_at = each->faults.up_at;
    }
    due = due > now ? due : now;
    return (due > up_at ? due : up_at) + delay;
}

/* ------------------------------------------------------------------------------------------- early, fork */

/* What a request in the timers waits for. */
enum held_for { HELD_FOR_NOTHING, HELD_FOR_RESUME, HELD_FOR_FORK, HELD_NO_LONGER };

static bool was_resumed(const struct ersatz_request *request)
{
    return atomic_load_explicit(&request->faults.resumed, memory_order_acquire);
}

static bool is_held(const struct ersatz_request *request, enum held_for held)
{
    return request->faults.held == held;
}

static bool may_be_hastened(const struct ersatz_request *request)
{
    return is_held(request, HELD_FOR_RESUME) && was_resumed(request);
}

static void hasten_resumed(void *arg)
{
    struct faults *faults = arg;

    timers_hasten(faults->device->timers, may_be_hastened, OVERDUE);
}

/* The flag is set before the call: the timer thread either sees it when the request is due, or has the
 * request in the heap when it runs the call. Without memory for the call the request waits for its TIME. */
void faults_resumed_early(struct faults *faults, struct ersatz_request *request)
{
    if (!request_is_struck(&request->faults, ERSATZ_FAULT_EARLY) ||
        atomic_exchange_explicit(&request->faults.resumed, true, memory_order_acq_rel))
        return;
    fault_count(faults, ERSATZ_FAULT_EARLY);
    (void)timers_call(faults->device->timers, 0, hasten_resumed, faults);
}

static bool awaits_fork(const struct ersatz_request *request)
{
    return is_held(request, HELD_FOR_FORK);
}

static void serve_fork(void *arg)
{
    struct faults *faults = arg;

    /* Release: whoever sees the number sees its requests signalled. */
    atomic_fetch_add_explicit(&faults->forks_served, 1, memory_order_release);
}

static void hasten_for_fork(void *arg)
{
    struct faults *faults = arg;
    uint64_t now = clock_now();

    timers_hasten(faults->device->timers, awaits_fork, OVERDUE);
    if (!timers_call(faults->device->timers, now, serve_fork, faults)) /* it runs behind them */
        serve_fork(faults);
}

void faults_forking(struct faults *faults)
{
    unsigned served = atomic_load_explicit(&faults->forks_served, memory_order_relaxed);

    if (atomic_load_explicit(&faults->awaiting_fork, memory_order_relaxed) == 0 ||
        !timers_call(faults->device->timers, 0, hasten_for_fork, faults))
        return;
    for (unsigned i = 0; i < FORK_LOOKS; i++) {
        if (atomic_load_explicit(&faults->forks_served, memory_order_acquire) != served)
            return;
        usleep(FORK_LOOK_US);
    }
}

/* The request has waited for a fork: until one came, or its TIME was over. */
static void end_wait_for_fork(struct faults *faults, struct request_faults *own, uint64_t now)
{
    if (now < own->held_until)
        fault_count(faults, ERSATZ_FAULT_FORK);
    atomic_fetch_sub_explicit(&faults->awaiting_fork, 1, memory_order_relaxed);
    own->held = HELD_NO_LONGER;
}

/* Until when a request that is due is held; 0: it is not, or no longer. */
static uint64_t hold(struct faults *faults, struct ersatz_request *request, uint64_t now)
{
    struct request_faults *own = &request->faults;

    if (own->held == HELD_FOR_FORK)
        end_wait_for_fork(faults, own, now);
    if (own->held == HELD_FOR_NOTHING && request_is_struck(own, ERSATZ_FAULT_EARLY) &&
        !was_resumed(request)) {
        own->held = HELD_FOR_RESUME;
        return now + own->early_ns;
    }
    if (own->held < HELD_FOR_FORK && request_is_struck(own, ERSATZ_FAULT_FORK)) {
        own->held = HELD_FOR_FORK;
        atomic_fetch_add_explicit(&faults->awaiting_fork, 1, memory_order_relaxed);
        return own->held_until = now + own->fork_ns;
    }
    own->held = HELD_NO_LONGER;
    return 0;
}

/* ---------------------------------------------------------------------------------------- reorder, burst */

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
    uint64_t now = clock_now(), until;

    if (atomic_load(&faults->device->stopping))
        return 0;
    until = hold(faults, request, now);
    if (until != 0)
        return until;
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
