/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of a device share: its memory, the workers' doorbells, holds, counts. */
#include "device.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ersatz/assertion.h"
#include "ersatz/output.h"
#include "faults.h"
#include "timing.h"
#include "watch/check.h"

void device_reference(struct ersatz_device *device)
{
    /* Relaxed: the caller holds a reference, or the device is not being freed. */
    uint32_t before = atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);

    ASSERT(before >= 1);
}

static void drop(struct ersatz_device *device, uint32_t count)
{
    /* Acquire and release: the last one sees all that the others did to the device. */
    uint32_t before = atomic_fetch_sub_explicit(&device->references, count, memory_order_acq_rel);

    ASSERT(before >= count);
    if (before != count)
        return;
    for (unsigned i = 0; i < device->instances_ready; i++)
        ring_destroy(&device->instances[i].requests);
    if (device->load != NULL) /* release: the next device that uses it comes after all that this one did */
        atomic_store_explicit(&device->load->taken, 0, memory_order_release);
    pool_destroy(&device->pool);
    timing_free(device->timing);
    check_free(device->check);
    faults_free(device->faults);
    sem_destroy(&device->all_but_caller);
    free(device->workers);
    free(device->instances);
    free(device);
}

void device_release(struct ersatz_device *device)
{
    drop(device, 1);
}

void device_close(struct ersatz_device *device)
{
    /* A reference for each request, before the pool is closed; then drop those of the requests that were in
     * the pool. A request that comes back later finds the pool closed and drops its own. So no request counts
     * itself while the device runs. */
    atomic_fetch_add_explicit(&device->references, pool_size(&device->pool), memory_order_relaxed);
    drop(device, pool_close(&device->pool) + 1);
}

unsigned ersatz_device_instances(const struct ersatz_device *device)
{
    return device->config.instances;
}

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

struct instance *device_own_instance(struct ersatz_device *device)
{
    return &device->instances[own_seat() % device->config.instances];
}

struct ersatz_request *device_take(struct ersatz_device *device)
{
    struct ersatz_request *request = pool_take(&device->pool, own_seat() % device->config.instances);

    if (request != NULL)
        request->device = device;
    return request;
}

void device_return(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    if (!pool_return(&device->pool, request))
        device_release(device);
}

void device_wake_worker(struct ersatz_device *device, unsigned index)
{
    doorbell_ring(&device->workers[index].poster.doorbell);
}

void device_fell_asleep(struct ersatz_device *device, unsigned worker)
{
    atomic_fetch_add(&device->resting, 1); /* before the thread that removes the bit lowers it */
    bits_add(device->sleepers, worker);
}

/* By the worker itself or by the thread that wakes it, whoever removes the bit. */
static bool is_awake_now(struct ersatz_device *device, unsigned worker)
{
    if (!bits_remove(device->sleepers, worker))
        return false;
    atomic_fetch_sub(&device->resting, 1);
    return true;
}

void device_woke_up(struct ersatz_device *device, unsigned worker)
{
    is_awake_now(device, worker);
}

static bool wake_if_asleep(struct ersatz_device *device, unsigned index)
{
    if (!is_awake_now(device, index))
        return false;
    device_wake_worker(device, index);
    return true;
}

void device_ring_doorbell(struct ersatz_device *device, unsigned instance)
{
    /*
     * The submitter has pushed, then reads the bits; a worker sets its bit, then looks for work. Sequential
     * consistency forbids that both miss. The thread that clears the bit rings the doorbell, so a burst of
     * requests wakes a worker once. More workers than cores would only make smaller batches, so if as many
     * are awake as there are cores, none is woken: by the same order, each of them that this thread counts as
     * awake looks for work later, and sees the request.
     */
    unsigned workers = device->config.workers, bindings = device_bindings(device);

    if (device_awake(device) >= device->cores)
        return;

    /* Of more workers than cores always the first ones, which have rings: see locked_memory.h. */
    for (unsigned own = instance % bindings; own < workers && own < device->cores; own += bindings) {
        if (wake_if_asleep(device, own))
            return;
    }
    for (unsigned any = bits_next(device->sleepers, 0, workers); any < workers;
         any = bits_next(device->sleepers, any, workers)) {
        if (wake_if_asleep(device, any))
            return;
    }
}

bool device_may_pass(struct ersatz_device *device, enum ersatz_hold where, bool *ticket)
{
    long tickets;

    if (ticket != NULL)
        *ticket = false;
    if (atomic_load_explicit(&device->hold, memory_order_relaxed) != (int)where)
        return true;
    tickets = atomic_load_explicit(&device->tickets, memory_order_relaxed);
    while (tickets > 0) {
        if (atomic_compare_exchange_weak_explicit(
                &device->tickets, &tickets, tickets - 1, memory_order_relaxed, memory_order_relaxed)) {
            if (ticket != NULL)
                *ticket = true;
            return true;
        }
    }
    return false;
}

void device_return_ticket(struct ersatz_device *device, enum ersatz_hold where, bool ticket)
{
    if (ticket && atomic_load_explicit(&device->hold, memory_order_relaxed) == (int)where)
        atomic_fetch_add_explicit(&device->tickets, 1, memory_order_relaxed);
}

bool device_has_work_from(struct ersatz_device *device, unsigned from)
{
    if (atomic_load_explicit(&device->hold, memory_order_relaxed) == ERSATZ_HOLD_COMPUTE &&
        atomic_load_explicit(&device->tickets, memory_order_relaxed) <= 0)
        return false;
    return device_waiting(device, from, 1) > 0;
}

bool device_has_work(struct ersatz_device *device)
{
    return device_has_work_from(device, 0);
}

static size_t waiting_between(struct ersatz_device *device, unsigned from, unsigned to, size_t enough)
{
    size_t waiting = 0;

    for (unsigned i = bits_next(device->active, from, to); i < to && waiting < enough;
         i = bits_next(device->active, i + 1, to))
        waiting += ring_count(&device->instances[i].requests);
    return waiting;
}

size_t device_waiting(struct ersatz_device *device, unsigned from, size_t enough)
{
    size_t waiting = waiting_between(device, from, device->config.instances, enough);

    return waiting < enough ? waiting + waiting_between(device, 0, from, enough - waiting) : waiting;
}

static uint64_t flights(const struct instance *instance)
{
    return atomic_load(&instance->counts->flights);
}

static bool has_flights(const struct instance *instance)
{
    return ersatz_flights_of(flights(instance), ERSATZ_FLIGHT_ALL) > 0;
}

/* Returns whether there was none since the last call. */
static bool is_idle(struct instance *instance)
{
    unsigned begun = atomic_load_explicit(&instance->counts->flights_begun, memory_order_relaxed);
    unsigned before = atomic_load_explicit(&instance->begun_before, memory_order_relaxed);

    if (begun != before)
        atomic_store_explicit(&instance->begun_before, begun, memory_order_relaxed);
    return begun == before && !has_flights(instance);
}

void device_drop_idle(struct ersatz_device *device)
{
    unsigned instances = device->config.instances;

    for (unsigned i = bits_next(device->active, 0, instances); i < instances;
         i = bits_next(device->active, i + 1, instances)) {
        /*
         * A submitter counts its request as in flight, then looks at the bit; this worker removes the bit,
         * then looks at the count. Sequential consistency forbids that both miss. Until the bit is back,
         * other workers may have looked for that request in vain, and sleep; but this worker is awake, and
         * looks for work after this.
         */
        if (is_idle(&device->instances[i]) && bits_remove(device->active, i) &&
            has_flights(&device->instances[i]))
            bits_add(device->active, i);
    }
}

void device_ask_for_marks(struct ersatz_device *device)
{
    /* Sequentially consistent: `wants_mark` was set before; the worker lowers this flag, then looks at
     * those. */
    atomic_store(&device->marks, true);
    device_wake_worker(device, 0);
}

bool device_take_marks(struct ersatz_device *device)
{
    return atomic_load_explicit(&device->marks, memory_order_relaxed) &&
           atomic_exchange(&device->marks, false);
}

void device_wake_workers(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->workers_started; i++) {
        is_awake_now(device, i);
        device_wake_worker(device, i);
    }
}

void ersatz_device_hold(struct ersatz_device *device, enum ersatz_hold where)
{
    atomic_store_explicit(&device->tickets, 0, memory_order_relaxed);
    atomic_store_explicit(&device->hold, (int)where, memory_order_relaxed);
    device_wake_workers(device);
}

void ersatz_device_release(struct ersatz_device *device, unsigned count)
{
    atomic_fetch_add_explicit(&device->tickets, (long)count, memory_order_relaxed);
    device_wake_workers(device);
}

int ersatz_device_in_flight(struct ersatz_device *device, enum ersatz_flight kind)
{
    unsigned instances = device->config.instances, sum = 0;

    for (unsigned i = 0; i < instances; i++)
        sum += ersatz_flights_of(flights(&device->instances[i]), kind);
    return (int)sum;
}

unsigned device_flights(struct ersatz_device *device, enum ersatz_flight kind, unsigned enough)
{
    unsigned instances = device->config.instances, sum = 0;

    for (unsigned i = bits_next(device->active, 0, instances); i < instances && sum < enough;
         i = bits_next(device->active, i + 1, instances))
        sum += ersatz_flights_of(flights(&device->instances[i]), kind);
    return sum;
}

bool ersatz_device_is_busy(struct ersatz_device *device, enum ersatz_flight kind)
{
    return device_flights(device, kind, 1) > 0;
}

static void keep(struct ersatz_stats *stats, int asym, int cipher)
{
    if (asym != 0)
        atomic_fetch_add_explicit(&stats->in_flight[ERSATZ_FLIGHT_ASYM], asym, memory_order_relaxed);
    if (cipher != 0)
        atomic_fetch_add_explicit(&stats->in_flight[ERSATZ_FLIGHT_CIPHER], cipher, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->in_flight[ERSATZ_FLIGHT_ALL], asym + cipher, memory_order_relaxed);
}

void ersatz_device_keep_in_flight(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->instances_ready; i++) {
        /* The flag is in the same word as the counts: whoever changes them later sees it, and counts in the
         * statistics, too; what was changed before is counted here. */
        uint64_t before = atomic_fetch_or_explicit(
            &device->instances[i].counts->flights, FLIGHTS_KEPT, memory_order_relaxed);

        if ((before & FLIGHTS_KEPT) == 0)
            keep(device_stats(device), (int)ersatz_flights_of(before, ERSATZ_FLIGHT_ASYM),
                (int)ersatz_flights_of(before, ERSATZ_FLIGHT_CIPHER));
    }
}

#define LOOK_EVERY 64u

void device_flight_began(struct ersatz_request *request)
{
    struct instance *instance = request->instance;
    struct ersatz_device *device = request->device;
    bool is_cipher = request->op.kind == ERSATZ_CIPHER;
    unsigned begun, now, all;
    /* Workers write to this cache line, too. The addition comes first, because it fetches the line for
     * writing: to read it before would mean to fetch it twice. */
    uint64_t before = atomic_fetch_add(&instance->counts->flights, is_cipher ? FLIGHT_CIPHER : FLIGHT_ASYM);

    request->in_company = ersatz_flights_of(before, request_flight(request)) > 0;
    if (!bits_has(device->active, instance->index)) /* after the count: see device_drop_idle() */
        bits_add(device->active, instance->index);
    if ((before & FLIGHTS_KEPT) != 0)
        keep(device_stats(device), !is_cipher, is_cipher);
    begun = atomic_load_explicit(&instance->counts->flights_begun, memory_order_relaxed) + 1;
    atomic_store_explicit(&instance->counts->flights_begun, begun, memory_order_relaxed);
    now = ersatz_flights_of(before, ERSATZ_FLIGHT_ALL) + 1;
    if (now > atomic_load_explicit(&instance->counts->flights_most, memory_order_relaxed))
        atomic_store_explicit(&instance->counts->flights_most, now, memory_order_relaxed);
    else if (begun % LOOK_EVERY != 0)
        return;
    all = device_flights(device, ERSATZ_FLIGHT_ALL, UINT_MAX);
    ersatz_count_max(&device_stats(device)->in_flight_max, all > now ? all : now);
}

void device_flights_ended(struct instance *instance, unsigned asym, unsigned cipher)
{
    uint64_t before = atomic_fetch_sub_explicit(
        &instance->counts->flights, asym * FLIGHT_ASYM + cipher * FLIGHT_CIPHER, memory_order_relaxed);

    ASSERT(ersatz_flights_of(before, ERSATZ_FLIGHT_ASYM) >= asym &&
           ersatz_flights_of(before, ERSATZ_FLIGHT_CIPHER) >= cipher);
    if ((before & FLIGHTS_KEPT) != 0)
        keep(device_stats(instance->device), -(int)asym, -(int)cipher);
}

void device_flight_ended(struct ersatz_request *request)
{
    bool is_cipher = request->op.kind == ERSATZ_CIPHER;

    device_flights_ended(request->instance, !is_cipher, is_cipher);
}

void device_complain(const char *what, int err)
{
    ersatz_say("%s: %s", what, strerror(err));
}
