/* SPDX-License-Identifier: Apache-2.0 */
/* Submission: which instance, how to be told, and what if the ring is full. */
#include <sched.h>
#include <unistd.h>

#include "complete.h"
#include "device.h"
#include "lend.h"
#include "reaper.h"
#include "trace.h"
#include "waker.h"
#include "watch/check.h"

#define RETRY_INTERVAL_US 100
#define ROOM_INTERVAL_MS 1

/* The calling thread's place among the instances; a cache of a choice, not state of any request. */
static _Thread_local unsigned seat;
static _Thread_local bool seated;
static _Atomic unsigned next_seat; /* relaxed: spreads threads, orders nothing */

/* Not inlined: a fibre may go on in another thread, where the compiler must not use this one's addresses. */
__attribute__((noinline)) static unsigned own_seat(void)
{
    if (!seated) {
        seat = atomic_fetch_add_explicit(&next_seat, 1, memory_order_relaxed);
        seated = true;
    }
    return seat;
}

void ersatz_thread_bind(unsigned instance)
{
    seat = instance;
    seated = true;
}

static bool enqueue(struct ersatz_request *request, bool wait_in_line)
{
    struct ersatz_device *device = request->device;
    struct ersatz_stats *stats = device_stats(device);
    struct instance *instance = request->instance;
    bool accepted = true;

    device_flight_began(request); /* before a worker can end it */
    request_reference(request);   /* the device's */
    if (device->faults != NULL && wait_in_line && faults_close_ring(device->faults, request))
        instance_line_up(instance, request);
    else
        accepted = instance_enqueue(instance, request, wait_in_line);
    if (accepted) {
        ersatz_count(&stats->requests[ersatz_op_name(&request->op)], 1);
        if (device->config.trace != NULL)
            trace_begin(device->config.trace, request);
        return true;
    }
    device_flight_ended(request);
    request_release(request);
    return false;
}

/* One instance for a whole group: the last one's slot passes to the first. NULL: not accepted. */
static void assign(struct ersatz_request *request, struct instance *instance, enum notify_kind notify)
{
    for (; request != NULL; request = request->group_next) {
        request->notify = notify;
        request->instance = instance;
    }
}

/* A group is accepted with its first request; the others take slots as there are, or wait in line. Were a
 * slot kept for a request until the whole group is complete, groups could starve each other. */
static bool enqueue_group(struct ersatz_request *request, bool wait_in_line)
{
    if (request->group_next == NULL)
        return enqueue(request, wait_in_line);
    request_reference(request); /* for telling, when the one for computing it may be gone */
    if (!enqueue(request, wait_in_line)) {
        request_release(request);
        return false;
    }
    for (request = request->group_next; request != NULL; request = request->group_next)
        enqueue(request, true);
    return true;
}

static enum ersatz_result submit(struct ersatz_request *request, enum notify_kind notify, bool wait_in_line)
{
    struct ersatz_device *device = request->device;
    enum ersatz_result result;

    /* Of a parent's: a job that waited there for room is resumed in the child. */
    if (request_is_inherited(request) || atomic_load(&device->stopping))
        return ERSATZ_STOPPED;
    for (struct ersatz_request *each = request; device->keeps_times && each != NULL; each = each->group_next)
        times_submit(each);
    if (device->faults != NULL &&
        (result = faults_admit(device->faults, request, notify == NOTIFY_FD, wait_in_line)) != ERSATZ_OK)
        return result;
    assign(request, &device->instances[own_seat() % device->config.instances], notify);
    if (!enqueue_group(request, wait_in_line)) {
        assign(request, NULL, notify);
        return ERSATZ_RING_FULL;
    }
    if (atomic_load(&device->stopping)) /* see stop_begins(): it may have looked before we pushed */
        complete_cancel_all(device);
    return ERSATZ_OK;
}

enum ersatz_result ersatz_submit_fd(struct ersatz_request *request, struct ersatz_waker *waker)
{
    enum ersatz_result result;

    waker_attach(waker, request);
    if (request->device->check != NULL && !request_is_inherited(request))
        check_submitted(request->device->check, &request->watched);
    result = submit(request, NOTIFY_FD, true);
    if (result != ERSATZ_OK)
        waker_detach(waker, request);
    else if (request_is_struck(&request->faults, ERSATZ_FAULT_SPURIOUS))
        faults_wake(request->device->faults, waker);
    return result;
}

enum ersatz_result ersatz_submit_callback(struct ersatz_request *request, int (*callback)(void *), void *arg)
{
    struct ersatz_device *device = request->device;
    struct instance *instance;
    enum ersatz_result result;

    request->callback = request->watched.callback = callback;
    request->callback_arg = arg;
    if (request_is_inherited(request))
        return ERSATZ_STOPPED; /* before a reaper is started for a device that is not here */
    instance = &device->instances[own_seat() % device->config.instances];
    if (device->config.external_polling)
        instance_make_ring(instance, false);
    else if (!reaper_start(instance))
        return ERSATZ_NO_THREADS;
    if (device->check == NULL)
        return submit(request, NOTIFY_CALLBACK, false);
    check_submitted(device->check, &request->watched);
    result = submit(request, NOTIFY_CALLBACK, false);
    if (result == ERSATZ_RING_FULL)
        check_refused(device->check, &request->watched,
            (struct watched_slots){.taken = &instance->in_flight, .all = instance->depth});
    return result;
}

static enum ersatz_result submit_with_retries(struct ersatz_request *request, int retries)
{
    enum ersatz_result result = submit(request, NOTIFY_WAIT, retries < 0);

    while (result == ERSATZ_RING_FULL && retries-- > 0) {
        usleep(RETRY_INTERVAL_US);
        ersatz_device_make_room(request->device);
        result = submit(request, NOTIFY_WAIT, false);
    }
    return result;
}

static enum ersatz_result submit_alone(struct ersatz_request *request, int retries)
{
    if (request->device->check != NULL && !request_is_inherited(request))
        check_reentry(request->device->check, "submitted an operation and waited for it");
    if (lend(request, &request->device->instances[own_seat() % request->device->config.instances]))
        return ERSATZ_OK;
    return submit_with_retries(request, retries);
}

enum ersatz_result ersatz_submit_wait(struct ersatz_request *request, int retries)
{
    enum ersatz_result result = submit_alone(request, retries);
    bool may_be_the_poller =
        request->device->config.external_polling || reaper_runs_a_callback(request->device);

    while (result == ERSATZ_OK && request_state(request) != REQUEST_SIGNALLED) {
        request_sleep_until(request, REQUEST_SIGNALLED, may_be_the_poller ? ROOM_INTERVAL_MS : -1);
        ersatz_device_make_room(request->device);
    }
    return result;
}

enum ersatz_result ersatz_submit_spin(struct ersatz_request *request, int retries)
{
    enum ersatz_result result = submit_alone(request, retries);

    while (result == ERSATZ_OK && request_state(request) != REQUEST_SIGNALLED) {
        ersatz_device_make_room(request->device);
        sched_yield(); /* the worker may need this very core */
    }
    return result;
}
