/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of completion: requests that are told of late, after others, or in bursts.
 *
 * What is kept back is PENDING to its submitter and keeps its slot, as in the delay line, and always has a
 * time at which it is let go, whatever else happens: nobody waits for company for ever.
 */
#include "faults.h"
#include "faults_inside.h"
#include "poster.h"
#include "timers.h"

#define CHUNK 16u /* as many as any poster takes at once */

/* --------------------------------------------------------------------------------------------------- lists
 */

void kept_init(struct kept *kept)
{
    kept->first = NULL;
    kept->end = &kept->first;
    kept->count = 0;
}

static void keep(struct kept *kept, struct ersatz_request *request)
{
    request->next = NULL;
    *kept->end = request;
    kept->end = &request->next;
    kept->count++;
}

static struct ersatz_request *held_pop(struct kept *kept)
{
    struct ersatz_request *request = kept->first;

    kept->first = request->next;
    kept->count--;
    if (kept->first == NULL)
        kept->end = &kept->first;
    return request;
}

/* Move all of it to the end of another. */
static void held_move(struct kept *kept, struct kept *to)
{
    while (kept->first != NULL)
        keep(to, held_pop(kept));
}

/* ---------------------------------------------------------------------------------------------------- late
 */

uint64_t faults_due(struct faults *faults, struct ersatz_request *request, uint64_t due)
{
    uint64_t delay = 0, now;

    /* A group is told of once, with the last of it. */
    for (struct ersatz_request *each = request; each != NULL; each = each->group_next) {
        if (each->faults.delay_ns > delay)
            delay = each->faults.delay_ns;
        if (request_is_struck(&each->faults, ERSATZ_FAULT_LATE))
            fault_count(faults, ERSATZ_FAULT_LATE);
    }
    if (delay == 0)
        return due;
    now = clock_now();
    return (due > now ? due : now) + delay;
}

/* ---------------------------------------------------------------------------------------- order and bursts
 */

/* Let go of what was kept back for long enough. On the delay line's thread, which tells of it next. */
static void release_expired(void *arg)
{
    struct faults *faults = arg;
    bool all = atomic_load(&faults->device->stopping);
    uint64_t now = clock_now();
    struct kept looked_at, late;

    kept_init(&looked_at);
    kept_init(&late);
    pthread_mutex_lock(&faults->lock);
    held_move(&faults->overtaken, &looked_at);
    while (looked_at.first != NULL) {
        struct ersatz_request *request = held_pop(&looked_at);

        keep(all || request->faults.keep_until <= now ? &late : &faults->overtaken, request);
    }
    if (faults->burst.first != NULL && (all || faults->burst.first->faults.keep_until <= now)) {
        fault_count(faults, ERSATZ_FAULT_BURST);
        held_move(&faults->burst, &late);
    }
    pthread_mutex_unlock(&faults->lock);
    while (late.first != NULL) {
        struct ersatz_request *request = held_pop(&late);

        if (!timers_complete(faults->device->timers, request, 0))
            device_tell(request);
    }
}

/* Have the request looked at when it was kept back for that long. False: nobody would let it go. */
static bool set_time(struct faults *faults, struct ersatz_request *request, uint64_t ns)
{
    request->faults.keep_until = clock_now() + ns;
    return timers_call(faults->device->timers, request->faults.keep_until, release_expired, faults);
}

/* Whether the request is to be overtaken, by those that are not in front of it now. Under the lock. */
static bool hold_for_reorder(struct faults *faults, struct ersatz_request *request)
{
    struct request_faults *own = &request->faults;

    if (!request_is_struck(own, ERSATZ_FAULT_REORDER) || own->was_overtaken)
        return false;
    own->was_overtaken = true;
    if (!set_time(faults, request, own->reorder_ns))
        return false;
    fault_count(faults, ERSATZ_FAULT_REORDER);
    keep(&faults->overtaken, request);
    return true;
}

/* Whether the request has to wait for its burst. Where it makes it whole, all of it goes. Under the lock. */
static bool hold_for_burst(struct faults *faults, struct ersatz_request *request, struct kept *now)
{
    if (faults->burst_size == 0 || request->faults.was_in_burst)
        return false;
    request->faults.was_in_burst = true;
    if (faults->burst.count + 1 == faults->burst_size) {
        fault_count(faults, ERSATZ_FAULT_BURST);
        held_move(&faults->burst, now);
        return false;
    }
    /* With the first of a burst all of it goes. */
    if (faults->burst.first == NULL && !set_time(faults, request, faults->burst_ns))
        return false;
    keep(&faults->burst, request);
    return true;
}

void faults_tell(
    struct faults *faults, struct poster *poster, struct ersatz_request *const *requests, unsigned count)
{
    struct ersatz_request *chunk[CHUNK];
    struct kept now, before;

    kept_init(&now);
    kept_init(&before);
    pthread_mutex_lock(&faults->lock);
    held_move(&faults->overtaken, &before);
    for (unsigned i = 0; i < count; i++) {
        if (!hold_for_reorder(faults, requests[i]) && !hold_for_burst(faults, requests[i], &now))
            keep(&now, requests[i]);
    }
    if (now.first != NULL) {
        held_move(&before, &now); /* overtaken: they come last */
    } else {
        held_move(&faults->overtaken, &before);
        held_move(&before, &faults->overtaken); /* as they were, and the new ones behind them */
    }
    pthread_mutex_unlock(&faults->lock);
    while (now.first != NULL) {
        unsigned n = 0;

        while (n < CHUNK && now.first != NULL)
            chunk[n++] = held_pop(&now);
        poster_post(poster, chunk, n);
    }
}
