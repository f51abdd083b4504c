/* SPDX-License-Identifier: Apache-2.0 */
/* Runs callbacks: on a thread of the instance, or on the thread of an application that polls. */
#include "reaper.h"

#include <time.h>

#include "base/kernel_order.h"
#include "base/threads.h"
#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "watch/check.h"

#define TAKEN_AT_ONCE 32u

/*
 * What a thread that runs callbacks knows about itself. A callback may submit and wait for a slot; the slots
 * may belong to completions that this very thread has not taken yet.
 */
struct delivery {
    struct instance *instance; /* whose callback this thread of the device is running; or NULL */
    bool parked;               /* completions were parked meanwhile */
};

static _Thread_local struct delivery delivery;

/* Not inlined: a callback may resume a job, and its fibre may continue on another thread. */
__attribute__((noinline)) static struct delivery *own_delivery(void)
{
    return &delivery;
}

static void run_callback(struct ersatz_request *request)
{
    struct check *check = request->device->check;
    struct check_callback callback;

    if (check == NULL) {
        request->callback(request->callback_arg);
    } else if (!reaper_in_callback(request->device)) {
        struct ersatz_running_callback *running = check_polled_callback_begins(check, &request->watched);

        request->callback(request->callback_arg);
        check_polled_callback_ends(running);
    } else {
        check_callback_begins(check, &callback, &request->watched);
        request->callback(request->callback_arg);
        check_callback_ends(check, &callback);
    }
}

static void deliver(struct ersatz_request *request)
{
    /* Acquire: pairs with the step to COMPLETE. The C language does not know the io_uring in between. */
    (void)request_state(request);
    ASSERT(request->notify == NOTIFY_CALLBACK);
    if (complete_begin(request)) {
        ersatz_count(&device_stats(request->device)->callbacks, 1);
        run_callback(request);
    }
    complete_end(request);
}

/* Take at most max requests off the ring. keep_last: take the last request, too, but leave its completion
 * there, so that the ring's descriptor stays readable. Under the reap lock. */
static unsigned take_ring(
    struct instance *instance, struct ersatz_request **taken, unsigned max, bool keep_last)
{
    struct io_uring_cqe *cqes[TAKEN_AT_ONCE];
    unsigned count, requests = 0;

    if (!instance_has_completions(instance) || max == 0)
        return 0;
    count = io_uring_peek_batch_cqe(&instance->responses, cqes, max);
    for (unsigned i = instance->kept_last ? 1 : 0; i < count; i++) {
        struct ersatz_request *request = io_uring_cqe_get_data(cqes[i]);

        if (request == NULL) {
            instance->marked = false;
        } else {
            kernel_order_take(request);
            taken[requests++] = request;
        }
    }
    keep_last = keep_last && count > 0;
    instance->kept_last = keep_last;
    io_uring_cq_advance(&instance->responses, keep_last ? count - 1 : count);
    return requests;
}

/* Under the reap lock. */
static unsigned take_parked(struct instance *instance, struct ersatz_request **taken)
{
    unsigned count = 0;

    for (; instance->parked_first != NULL && count < TAKEN_AT_ONCE; count++) {
        taken[count] = instance->parked_first;
        instance->parked_first = taken[count]->next;
    }
    if (instance->parked_first == NULL)
        instance->parked_end = &instance->parked_first;
    return count;
}

/* Take the parked requests, then those on the ring. The callbacks run without the lock. */
static unsigned take_some(struct instance *instance, struct ersatz_request **taken)
{
    unsigned count;

    pthread_mutex_lock(&instance->reap_lock);
    count = take_parked(instance, taken);
    count += take_ring(instance, taken + count, TAKEN_AT_ONCE - count, false);
    pthread_mutex_unlock(&instance->reap_lock);
    complete_give_slots(taken, count, true); /* before any callback runs, which may submit */
    return count;
}

unsigned reaper_take(struct instance *instance)
{
    struct ersatz_request *taken[TAKEN_AT_ONCE];
    unsigned total = 0, count;

    do {
        count = take_some(instance, taken);
        for (unsigned i = 0; i < count; i++)
            deliver(taken[i]);
        total += count;
    } while (count == TAKEN_AT_ONCE);
    return total;
}

void reaper_leave(struct instance *instance)
{
    /* Sequentially consistent: we say that we leave, then look what is parked; a thread that parks a request
     * looks afterwards whether we have left. One of the two takes care of the request. */
    atomic_store(&instance->unattended, true);
    if (device_polled_externally(instance->device))
        return; /* the first worker marks the ring, see stop_threads() */
    own_delivery()->instance = instance;
    reaper_take(instance);
    own_delivery()->instance = NULL;
}

/* Not from the ring, which may be closed by now. */
static void *run_parked(void *arg)
{
    struct instance *instance = arg;
    struct ersatz_request *taken[TAKEN_AT_ONCE];
    unsigned count;

    own_delivery()->instance = instance;
    do {
        pthread_mutex_lock(&instance->reap_lock);
        count = take_parked(instance, taken);
        pthread_mutex_unlock(&instance->reap_lock);
        complete_give_slots(taken, count, true);
        for (unsigned i = 0; i < count; i++)
            deliver(taken[i]);
    } while (count > 0);
    own_delivery()->instance = NULL;
    device_release(instance->device);
    return NULL;
}

void reaper_take_over(struct instance *instance)
{
    pthread_t thread;

    device_reference(instance->device); /* the thread's */
    if (thread_start(&thread, run_parked, instance))
        pthread_detach(thread);
    else
        run_parked(instance); /* better than never */
}

/* Park the completions on the ring. The caller gives their slots back. */
static unsigned park(struct instance *instance, struct ersatz_request **taken)
{
    unsigned count;

    pthread_mutex_lock(&instance->reap_lock);
    count = take_ring(instance, taken, TAKEN_AT_ONCE, device_polled_externally(instance->device));
    ASSERT((instance->parked_first == NULL) == (instance->parked_end == &instance->parked_first));
    for (unsigned i = 0; i < count; i++) {
        taken[i]->has_slot = false; /* given back below */
        taken[i]->next = NULL;
        *instance->parked_end = taken[i];
        instance->parked_end = &taken[i]->next;
    }
    pthread_mutex_unlock(&instance->reap_lock);
    return count;
}

void reaper_park(struct instance *instance)
{
    struct ersatz_request *taken[TAKEN_AT_ONCE];
    unsigned count = park(instance, taken);

    if (count > 0)
        instance_give_slots(instance, count);
}

struct instance *reaper_of_callback(const struct ersatz_device *device)
{
    struct instance *instance = own_delivery()->instance;

    return instance != NULL && instance->device == device ? instance : NULL;
}

bool reaper_in_callback(const struct ersatz_device *device)
{
    return reaper_of_callback(device) != NULL;
}

bool reaper_of_leaving_device(void)
{
    const struct instance *instance = own_delivery()->instance;

    return instance != NULL && atomic_load(&instance->device->leaving);
}

bool ersatz_thread_is_the_cards(void)
{
    return own_delivery()->instance != NULL;
}

void reaper_park_own(void)
{
    struct delivery *own = own_delivery();
    struct ersatz_request *taken[TAKEN_AT_ONCE];
    unsigned count = park(own->instance, taken);

    if (count > 0) {
        own->parked = true;
        instance_give_slots(own->instance, count);
    }
}

void reaper_drop(struct instance *instance)
{
    struct ersatz_request *taken[TAKEN_AT_ONCE];
    unsigned count;

    while ((count = take_some(instance, taken)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            atomic_fetch_or_explicit(&taken[i]->state, REQUEST_MUTED, memory_order_acq_rel);
            deliver(taken[i]);
        }
    }
}

/* Sleep until the next tick, so that the completions since the last one are taken together, as by a thread
 * that polls at this interval. With nothing in flight, the reaper does not get here. */
static void wait_for_tick(const struct ersatz_polling *polling)
{
    uint64_t interval = atomic_load_explicit(&polling->interval_ns, memory_order_relaxed);
    uint64_t tick = (clock_now() / interval + 1) * interval;
    struct timespec until = {.tv_sec = (time_t)(tick / NS_PER_S), .tv_nsec = (long)(tick % NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static uint64_t sleep_until(const struct ersatz_polling *polling)
{
    int timeout_ms = polling == NULL ? 0 : atomic_load_explicit(&polling->timeout_ms, memory_order_relaxed);

    return timeout_ms == 0 ? DOORBELL_NEVER : clock_now() + (uint64_t)timeout_ms * 1000000;
}

static void *reap(void *arg)
{
    struct instance *instance = arg;
    const struct ersatz_polling *polling = device_polling(instance->device);
    bool stop;

    own_delivery()->instance = instance;
    do {
        stop = atomic_load(&instance->reaper_stops); /* first look, then take what is there */
        if (!stop)
            doorbell_sleep(&instance->reaper_bell, sleep_until(polling));
        if (polling != NULL && atomic_load_explicit(&polling->timed, memory_order_relaxed))
            wait_for_tick(polling);
        do {
            own_delivery()->parked = false;
            reaper_take(instance);
        } while (own_delivery()->parked);
    } while (!stop);
    return NULL;
}

bool reaper_start(struct instance *instance)
{
    /* Acquire: pairs with the release below, after which the thread exists. */
    if (atomic_load_explicit(&instance->reaper_runs, memory_order_acquire))
        return true;
    instance_make_ring(instance, false);
    pthread_mutex_lock(&instance->reap_lock);
    if (!atomic_load_explicit(&instance->reaper_runs, memory_order_relaxed) &&
        thread_start(&instance->reaper, reap, instance))
        atomic_store_explicit(&instance->reaper_runs, true, memory_order_release);
    pthread_mutex_unlock(&instance->reap_lock);
    return atomic_load_explicit(&instance->reaper_runs, memory_order_acquire);
}

void reaper_stop(struct instance *instance)
{
    if (!atomic_load_explicit(&instance->reaper_runs, memory_order_acquire))
        return;
    atomic_store(&instance->reaper_stops, true);
    doorbell_ring(&instance->reaper_bell);
    pthread_join(instance->reaper, NULL);
    atomic_store_explicit(&instance->reaper_runs, false, memory_order_release);
}
