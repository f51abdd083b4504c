/* SPDX-License-Identifier: Apache-2.0 */
/* The submitter's side of a request: chooses the instance, handles a full ring, waits, returns the
 * results. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/stats.h"
#include "by_hand.h"
#include "callback.h"
#include "device.h"
#include "direct.h"
#include "ersatz/assertion.h"
#include "kernels/aes.h"
#include "lend.h"
#include "reaper.h"
#include "trace.h"
#include "waker.h"
#include "watch/check.h"

#define RETRY_INTERVAL_US 100
#define ROOM_INTERVAL_MS 1
#define HANDOVERS_NS 50000 /* at most, to wake a worker and then the thread that waits */

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
    for (request = first; request != NULL; request = request->group_next) {
        request->notify = (uint8_t)notify;
        if (device->keeps_times)
            times_submit(request);
    }
    if (device->faults != NULL && (result = faults_admit(device->faults, first, wait_in_line)) != ERSATZ_OK)
        return result;
    instance = device_own_instance(device);
    for (request = first; request != NULL; request = request->group_next)
        request->instance = instance;
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
        stats_count_request(device_stats(device), ersatz_op_name(&request->op));
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
    else if (request->device->faults != NULL)
        faults_before_pause(request->device->faults, request, waker);
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
    instance = device_own_instance(device);
    if (device->config.external_polling)
        instance_make_ring(instance, false);
    else if (!reaper_start(instance))
        return ERSATZ_NO_THREADS;
    if (device->check != NULL)
        check_submitted(device->check, &request->watched);
    result = submit(request, NOTIFY_CALLBACK, false);
    if (result == ERSATZ_OK && device->faults != NULL && !device->config.external_polling)
        faults_before_pause(device->faults, request, NULL);
    if (result == ERSATZ_RING_FULL && device->check != NULL)
        check_refused(device->check, &request->watched,
            (struct watched_slots){.taken = &instance->counts->in_flight,
                .all = instance->depth,
                .full_until_ns = device->faults == NULL ? 0 : faults_full_until(request)});
    return result;
}

/* Whom to tell that the card holds the calling thread; NULL: nobody. */
static struct check *check_of_held(const struct ersatz_request *request)
{
    return request_is_inherited(request) ? NULL : request->device->check;
}

/* What the operation would have taken, had the worker got a core at once; 0 before it is done. */
static uint64_t own_ns(const struct ersatz_request *request)
{
    uint64_t modelled, took;

    if (request_state(request) < REQUEST_COMPLETE)
        return 0;
    took = request->times.cpu_ns + HANDOVERS_NS;
    modelled = request->device->timing == NULL ? 0 : request->due - request->accepted;
    return modelled > took ? modelled : took;
}

static enum ersatz_result submit_alone(struct ersatz_request *request, int retries)
{
    enum ersatz_result result;

    if (request->device->check != NULL && !request_is_inherited(request))
        check_reentry(request->device->check, "submitted an operation and waited for it");
    if (lend(request, device_own_instance(request->device)))
        return ERSATZ_OK;
    result = submit(request, NOTIFY_WAIT, retries < 0);
    while (result == ERSATZ_RING_FULL && retries-- > 0) {
        usleep(RETRY_INTERVAL_US);
        ersatz_device_make_room(request->device);
        result = submit(request, NOTIFY_WAIT, false);
    }
    return result;
}

static enum ersatz_result submit_and_wait(struct ersatz_request *request, int retries, bool spin)
{
    struct check *check = check_of_held(request);
    bool may_be_the_poller = request->device->config.external_polling || callback_runs_here(request->device);
    enum ersatz_result result;

    check_thread_held(check, NULL);
    result = submit_alone(request, retries);
    while (result == ERSATZ_OK && request_state(request) != REQUEST_SIGNALLED) {
        if (spin)
            sched_yield(); /* the worker may need this core */
        else
            request_sleep_until(request, REQUEST_SIGNALLED, may_be_the_poller ? ROOM_INTERVAL_MS : -1);
        ersatz_device_make_room(request->device);
    }
    if (check != NULL)
        check_thread_released(check, result == ERSATZ_OK ? own_ns(request) : 0);
    return result;
}

enum ersatz_result ersatz_submit_wait(struct ersatz_request *request, int retries)
{
    return submit_and_wait(request, retries, false);
}

enum ersatz_result ersatz_submit_spin(struct ersatz_request *request, int retries)
{
    return submit_and_wait(request, retries, true);
}

/* --------------------------------------------------------------------------------------- after submission */

static bool is_muted(const struct ersatz_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) & REQUEST_MUTED;
}

/* There may have been two signals, the spurious one and the request's own. While the card is posting its own,
 * it is unknown whether that was among those just consumed: wait until it is posted. */
static void wait_for_own_signal(struct ersatz_request *request)
{
    if (request_state(request) == REQUEST_SIGNALLING)
        request_sleep_until(request, REQUEST_SIGNALLED, -1);
}

/* drained: whether the descriptor was readable, by whatever made it so. */
static bool is_done_fd(struct ersatz_request *request, bool *drained)
{
    if (is_muted(request)) /* the descriptor signals a newer request now: leave its signal alone */
        return request_state(request) == REQUEST_SIGNALLED;
    *drained = waker_drain(request->waker);
    if (request_is_woken_for_nothing(request))
        wait_for_own_signal(request);
    else if (*drained && request_state(request) >= REQUEST_COMPLETE)
        return true; /* the one signal of this request was just consumed: none can follow */
    if (request_state(request) != REQUEST_SIGNALLED)
        return false;
    waker_drain(request->waker); /* posted after the first look, or consumed by the application itself */
    return true;
}

static bool is_done_callback(struct ersatz_request *request)
{
    switch (request_state(request)) {
    case REQUEST_PENDING:
        return false;
    case REQUEST_COMPLETE:
        return is_muted(request); /* see ersatz_request_wait() */
    case REQUEST_SIGNALLING:
        if (!is_muted(request) && !pthread_equal(request->caller, pthread_self()))
            request_sleep_until(request, REQUEST_SIGNALLED, -1); /* the callback is about to return */
        return true;
    default:
        return true;
    }
}

void ersatz_request_lost(struct ersatz_request *request, bool reused, bool silence)
{
    if (request_is_inherited(request))
        return;
    if (!is_muted(request))
        ersatz_count(&device_stats(request->device)->orphans, 1);
    if (request->device->check != NULL)
        check_orphaned(request->device->check, &request->watched, reused);
    /* Does not wait for a running callback: it may be the caller, or wait for the caller. */
    if (silence)
        atomic_fetch_or_explicit(&request->state, REQUEST_MUTED, memory_order_acq_rel);
}

static bool is_done(struct ersatz_request *request, bool *drained)
{
    switch (request->notify) {
    case NOTIFY_FD:
        return is_done_fd(request, drained);
    case NOTIFY_CALLBACK:
        return is_done_callback(request);
    default:
        return request_state(request) == REQUEST_SIGNALLED;
    }
}

bool ersatz_request_is_done(struct ersatz_request *request)
{
    struct check *check = request->device->check;
    uint64_t back_ns = check == NULL ? 0 : clock_now();
    bool drained = false, done;

    if (request_is_inherited(request))
        return true;
    done = is_done(request, &drained);
    if (done)
        times_mark(request, ERSATZ_POINT_RESUMED);
    else if (request->device->faults != NULL)
        faults_resumed_early(request->device->faults, request);
    if (check != NULL) {
        if (done && request->direct)
            direct_resumed(request);
        if (done)
            check_answered(check, &request->watched);
        else
            check_early_resume(check, &request->watched, back_ns, drained);
    }
    return done;
}

void ersatz_request_wait(struct ersatz_request *request, int timeout_ms)
{
    struct check *check = check_of_held(request);

    check_thread_held(check, &request->watched);
    if (request->notify == NOTIFY_FD) {
        ersatz_device_make_room(request->device); /* it may still be in line */
        waker_wait(request->waker, timeout_ms);
    } else if (request->notify == NOTIFY_CALLBACK &&
               (device_polled_externally(request->device) || callback_runs_here(request->device))) {
        request_sleep_until(request, REQUEST_COMPLETE, timeout_ms);
        if (request_state(request) == REQUEST_COMPLETE)
            request_mute(request);
    } else {
        request_sleep_until(request, REQUEST_SIGNALLED, timeout_ms);
    }
    if (check != NULL)
        check_thread_released(check, own_ns(request));
}

void ersatz_request_wait_for_room(struct ersatz_request *request, unsigned interval_ms)
{
    struct check *check = check_of_held(request);

    check_thread_held(check, &request->watched);
    usleep(interval_ms * 1000);
    check_thread_released(check, 0);
    ersatz_device_make_room(request->device); /* this may be the thread that polls */
}

static void copy_results_out(const struct ersatz_request *request)
{
    const struct ersatz_op *op = &request->op;

    if (op->kind != ERSATZ_CIPHER) {
        memcpy(request->caller_out, op->u.rsa.out, ersatz_rsa_key_size(op->u.rsa.key));
        return;
    }
    if (op->u.cipher.len > 0 && !request->direct)
        memcpy(request->caller_out, op->u.cipher.out, op->u.cipher.len);
    if (request->caller_tag != NULL)
        memcpy(request->caller_tag, op->u.cipher.tag, op->u.cipher.tag_len);
}

/* The result of a group: the first one that is not a success. */
static enum ersatz_result group_result(const struct ersatz_request *request)
{
    enum ersatz_result result = ERSATZ_OK;

    for (; request != NULL && result == ERSATZ_OK; request = request->group_next)
        result = request->result;
    return result;
}

static void idle_group(struct ersatz_request *request)
{
    for (; request != NULL; request = request->group_next)
        request_leave_cipher(request);
}

static void lose_group(struct ersatz_request *request)
{
    for (; request != NULL; request = request->group_next) {
        if (request->op.kind == ERSATZ_CIPHER)
            cipher_release_lost(request->op.u.cipher.cipher);
    }
}

enum ersatz_result ersatz_request_finish(struct ersatz_request *request)
{
    enum ersatz_result result = ERSATZ_STOPPED;

    if (request_is_inherited(request)) {
        /* The device stayed in the parent, and whether it computed the request is unknown here. Only if the
         * request was never accepted, the cipher state is known to be unchanged. */
        if (request->instance == NULL) {
            idle_group(request);
            return result;
        }
        lose_group(request);
        /* At the fork the parent's card may have overwritten a part of the text: nobody can start over. */
        return direct_overwrites_input(request) ? ERSATZ_LOST : result;
    }
    if (request->device->check != NULL)
        check_finished(request->device->check, &request->watched);
    if (request->instance == NULL) { /* never accepted: no other thread uses it */
        idle_group(request);
    } else {
        result = group_result(request);
        if (request->notify == NOTIFY_FD)
            waker_detach(request->waker, request);
        for (struct ersatz_request *each = request; each != NULL && result == ERSATZ_OK;
             each = each->group_next) {
            if (each->copied)
                copy_results_out(each);
        }
        times_return(request);
    }
    request_release(request);
    return result;
}
