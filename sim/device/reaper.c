/* SPDX-License-Identifier: Apache-2.0 */
/* Runs callbacks: on a thread of the instance, or on the thread of an application that polls. */
#include "reaper.h"

#include <openssl/err.h>
#include <time.h>

#include "base/kernel_order.h"
#include "base/threads.h"
#include "by_hand.h"
#include "callback.h"
#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"

/* Take at most max completions off the ring. keep_last: take the last request, too, but leave its completion
 * there, so that the ring's descriptor stays readable. Returns how many requests that were; *seen: and how
 * many completions. Under the reap lock. */
static unsigned take_ring(
    struct instance *instance, struct ersatz_request **taken, unsigned max, bool keep_last, unsigned *seen)
{
    struct io_uring_cqe *cqes[CALLBACKS_AT_ONCE];
    unsigned count, requests = 0;

    *seen = 0;
    if (!instance_has_completions(instance) || max == 0)
        return 0;
    *seen = count = io_uring_peek_batch_cqe(&instance->responses, cqes, max);
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

/* Call after giving slots back, on a thread that the stopping device does not wait for: a request from the
 * line may have taken a slot too late to be found in the ring when that was emptied. */
static void cancel_late(struct ersatz_device *device)
{
    if (atomic_load(&device->stopping))
        complete_cancel_all(device);
}

/* Take the parked requests, then those on the ring. The callbacks run without the lock. *more: there may be
 * others. */
static unsigned take_some(struct instance *instance, struct ersatz_request **taken, bool *more)
{
    unsigned parked, count, seen;
    struct ersatz_locked locked;

    ersatz_lock(&instance->reap_lock, &locked);
    parked = callback_take_parked(instance, taken);
    count = parked + take_ring(instance, taken + parked, CALLBACKS_AT_ONCE - parked, false, &seen);
    ersatz_unlock(&locked);
    *more = parked + seen == CALLBACKS_AT_ONCE;
    complete_give_slots(taken, count, true); /* before any callback runs, which may submit */
    cancel_late(instance->device);
    return count;
}

unsigned reaper_take(struct instance *instance)
{
    struct ersatz_request *taken[CALLBACKS_AT_ONCE];
    unsigned total = 0, count;
    bool more;

    do {
        count = take_some(instance, taken, &more);
        for (unsigned i = 0; i < count; i++)
            callback_deliver(taken[i]);
        total += count;
    } while (more);
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

unsigned reaper_park(struct instance *instance)
{
    struct ersatz_request *taken[CALLBACKS_AT_ONCE];
    unsigned count, seen;
    struct ersatz_locked locked;

    ersatz_lock(&instance->reap_lock, &locked);
    count = take_ring(instance, taken, CALLBACKS_AT_ONCE, device_polled_externally(instance->device), &seen);
    ASSERT((instance->parked_first == NULL) == (instance->parked_end == &instance->parked_first));
    for (unsigned i = 0; i < count; i++) {
        taken[i]->has_slot = false; /* given back below */
        taken[i]->next = NULL;
        *instance->parked_end = taken[i];
        instance->parked_end = &taken[i]->next;
    }
    ersatz_unlock(&locked);
    if (count > 0)
        instance_give_slots(instance, count);
    cancel_late(instance->device);
    return count;
}

void reaper_park_own(void)
{
    struct delivery *own = own_delivery();

    if (reaper_park(own->instance) > 0)
        own->parked = true;
}

void reaper_drop(struct instance *instance)
{
    struct ersatz_request *taken[CALLBACKS_AT_ONCE];
    unsigned count;
    bool more;

    do {
        count = take_some(instance, taken, &more);
        for (unsigned i = 0; i < count; i++) {
            atomic_fetch_or_explicit(&taken[i]->state, REQUEST_MUTED, memory_order_acq_rel);
            callback_deliver(taken[i]);
        }
    } while (count > 0 || more);
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
    /* libcrypto makes what it keeps for this thread now. It would otherwise do so in a callback, and perhaps
     * under the lock of its table of engines: then this thread and one that ends, with a generator that
     * refers to the engine, may wait for each other's lock. */
    ERR_clear_error();
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
    struct ersatz_locked locked;

    /* Acquire: pairs with the release below, after which the thread exists. */
    if (atomic_load_explicit(&instance->reaper_runs, memory_order_acquire))
        return true;
    instance_make_ring(instance, false);
    ersatz_lock(&instance->reap_lock, &locked);
    if (!atomic_load_explicit(&instance->reaper_runs, memory_order_relaxed) &&
        thread_start(&instance->reaper, reap, instance))
        atomic_store_explicit(&instance->reaper_runs, true, memory_order_release);
    ersatz_unlock(&locked);
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
