/* SPDX-License-Identifier: Apache-2.0 */
/* Submission: chooses the instance and the kind of signal, and handles a full ring. */
#include <sched.h>
#include <unistd.h>

#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "lend.h"
#include "reaper.h"
#include "trace.h"
#include "waker.h"
#include "watch/check.h"

#define RETRY_INTERVAL_US 100
#define ROOM_INTERVAL_MS 1

/* Which instance the calling thread submits to. */
static _Thread_local unsigned seat;
static _Thread_local bool seated;
static _Atomic unsigned next_seat; /* relaxed: spreads threads, orders nothing */

/* Not inlined: a fibre may continue on another thread, where the compiler must not use the addresses of this
 * thread's variables. */
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

/*
 * Submit a request, or a group of them, to the calling thread's instance: all to one, since the last one's
 * slot passes to the first. A group is accepted with its first request; the others take slots as there are,
 * or wait in line. If a request kept its slot until the whole group is complete, groups could starve each
 * other.
 */
static enum ersatz_result submit(struct ersatz_request *first, enum notify_kind notify, bool wait_in_line)
{
    struct ersatz_device *device = first->device;
    struct instance *instance;
    struct ersatz_request *request;
    enum ersatz_result result;

    /* Inherited: a job that waited for room in the parent of a fork is resumed in the child. */
    if (request_is_inherited(first) || atomic_load(&device->stopping))
        return ERSATZ_STOPPED;
    for (request = first; device->keeps_times && request != NULL; request = request->group_next)
        times_submit(request);
    if (device->faults != NULL &&
        (result = faults_admit(device->faults, first, notify == NOTIFY_FD, wait_in_line)) != ERSATZ_OK)
        return result;
    instance = &device->instances[own_seat() % device->config.instances];
    for (request = first; request != NULL; request = request->group_next) {
        request->notify = notify;
        request->instance = instance;
    }
    if (first->group_next != NULL)
        request_reference(first); /* for its signal: the one for its computation may be gone by then */
    for (request = first; request != NULL; request = request->group_next) {
        bool in_line = wait_in_line || request != first;

        device_flight_began(request); /* before a worker can end it */
        request_reference(request);   /* the device's */
        if (device->faults != NULL && in_line && faults_close_ring(device->faults, request)) {
            instance_join_line(instance, request);
        } else if (!instance_enqueue(instance, request, in_line)) {
            ASSERT(request == first);
            device_flight_ended(request);
            request_release(request);
            if (first->group_next != NULL)
                request_release(first);
            for (; request != NULL; request = request->group_next)
                request->instance = NULL; /* not accepted */
            return ERSATZ_RING_FULL;
        }
        ersatz_count(&device_stats(device)->requests[ersatz_op_name(&request->op)], 1);
        if (device->config.trace != NULL)
            trace_begin(device->config.trace, request);
    }
    if (atomic_load(&device->stopping)) /* see stop_begin(): it may have looked before we pushed */
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
        return ERSATZ_STOPPED; /* the device is the parent's: start no reaper for it */
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

static enum ersatz_result submit_alone(struct ersatz_request *request, int retries)
{
    enum ersatz_result result;

    if (request->device->check != NULL && !request_is_inherited(request))
        check_reentry(request->device->check, "submitted an operation and waited for it");
    if (lend(request, &request->device->instances[own_seat() % request->device->config.instances]))
        return ERSATZ_OK;
    result = submit(request, NOTIFY_WAIT, retries < 0);
    while (result == ERSATZ_RING_FULL && retries-- > 0) {
        usleep(RETRY_INTERVAL_US);
        ersatz_device_make_room(request->device);
        result = submit(request, NOTIFY_WAIT, false);
    }
    return result;
}

enum ersatz_result ersatz_submit_wait(struct ersatz_request *request, int retries)
{
    enum ersatz_result result = submit_alone(request, retries);
    bool may_be_the_poller = request->device->config.external_polling || reaper_in_callback(request->device);

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
        sched_yield(); /* the worker may need this core */
    }
    return result;
}
