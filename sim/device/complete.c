/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a request: result, slot, states, signal, reference. */
#include "complete.h"

#include "device.h"
#include "ersatz/assertion.h"
#include "instance.h"
#include "times.h"

struct ersatz_request *complete_result(struct ersatz_request *request, enum ersatz_result result)
{
    struct ersatz_request *first = request->first;
    struct instance *instance = request->instance;
    uint32_t open;

    ASSERT(request_state(request) == REQUEST_PENDING);
    ASSERT(request->has_slot);
    request->result = result;
    times_mark(request, ERSATZ_POINT_COMPUTED);
    request_leave_cipher(request);
    if (first == request && request->group_next == NULL)
        return request;        /* alone */
    request->has_slot = false; /* before the last member may give the first a slot */
    /* Acquire and release: the last one sees the results of the others, and passes them on with the step to
     * COMPLETE. A member that is not the last must not use the first any more, unless it is the first itself,
     * for which the device has a reference: see submit(). */
    open = atomic_fetch_sub_explicit(&first->group_open, 1, memory_order_acq_rel);
    ASSERT(open >= 1);
    if (open == 1) {
        first->has_slot = true;
        request_release(request);
        return first;
    }
    device_flight_ended(request);
    request_release(request);
    instance_give_slots(instance, 1);
    return NULL;
}

void complete_give_slots(struct ersatz_request *const *requests, unsigned count, bool reaped)
{
    unsigned asym = 0, cipher = 0, slots = 0;

    /* Those of an instance together, as they usually come: submitters change these counters with every
     * request, so each change by a worker moves a cache line to its core and back. */
    for (unsigned i = 0; i < count; i++) {
        struct ersatz_request *request = requests[i];

        if (!reaped && request->notify != NOTIFY_CALLBACK) {
            asym += request->op.kind != ERSATZ_CIPHER;
            cipher += request->op.kind == ERSATZ_CIPHER;
        }
        if ((request->notify == NOTIFY_CALLBACK) == reaped) {
            slots += request->has_slot; /* one that was parked to make room has given it back */
            request->has_slot = false;
        }
        if (i + 1 < count && requests[i + 1]->instance == request->instance)
            continue;
        if (asym + cipher > 0)
            device_flights_ended(request->instance, asym, cipher);
        if (slots > 0)
            instance_give_slots(request->instance, slots);
        asym = cipher = slots = 0;
    }
}

void complete_answer(struct ersatz_request *request)
{
    if (request_state(request) == REQUEST_PENDING)
        request_step(request, REQUEST_PENDING);
}

bool complete_begin(struct ersatz_request *request)
{
    uint32_t before;

    ASSERT(!request->has_slot);
    times_mark(request, ERSATZ_POINT_SIGNALLED);
    if (request->notify == NOTIFY_CALLBACK) {
        device_flight_ended(request); /* a poller counts it as in flight until its callback runs */
        request->caller = pthread_self();
    }
    before = request_step(request, REQUEST_COMPLETE);
    return (before & REQUEST_MUTED) == 0 && request->notify != NOTIFY_WAIT;
}

void complete_end(struct ersatz_request *request)
{
    request_step(request, REQUEST_SIGNALLING);
    request_release(request);
}

void complete_park(struct ersatz_request *request)
{
    ASSERT(request_state(request) == REQUEST_COMPLETE);
    ASSERT(request->notify == NOTIFY_CALLBACK);
    instance_park(request->instance, request);
}
