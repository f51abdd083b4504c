/* SPDX-License-Identifier: Apache-2.0 */
/* The device: opens, frees, wakes its workers, holds requests, counts. */
#include "device.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/stats.h"
#include "base/threads.h"
#include "ersatz/assertion.h"
#include "ersatz/output.h"
#include "faults.h"
#include "reaper.h"
#include "stop.h"
#include "timers.h"
#include "timing.h"
#include "watch/check.h"

#define RING_DEPTH_DEFAULT 512u

static unsigned cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return count < 1 ? 1 : count > (int)ERSATZ_WORKERS_MAX ? ERSATZ_WORKERS_MAX : (unsigned)count;
}

void ersatz_config_init(struct ersatz_config *config, struct ersatz_stats *stats)
{
    *config = (struct ersatz_config){
        .workers = cores(),
        .instances = cores(),
        .ring_depth = RING_DEPTH_DEFAULT,
        .seed = 1,
        .stats = stats,
    };
}

static enum ersatz_result refuse(
    struct ersatz_error *error, const char *name, unsigned value, unsigned max, const char *more)
{
    error->result = ERSATZ_BAD_CONFIG;
    snprintf(error->text, sizeof(error->text), "%s is %u; it must be %sfrom 1 to %u", name, value, more, max);
    return ERSATZ_BAD_CONFIG;
}

static enum ersatz_result check(const struct ersatz_config *config, struct ersatz_error *error)
{
    if (config->workers < 1 || config->workers > ERSATZ_WORKERS_MAX)
        return refuse(error, "WORKERS", config->workers, ERSATZ_WORKERS_MAX, "");
    if (config->instances < 1 || config->instances > ERSATZ_INSTANCES_MAX)
        return refuse(error, "INSTANCES", config->instances, ERSATZ_INSTANCES_MAX, "");
    if (config->ring_depth < 1 || config->ring_depth > ERSATZ_RING_DEPTH_MAX ||
        (config->ring_depth & (config->ring_depth - 1)) != 0)
        return refuse(error, "RING_DEPTH", config->ring_depth, ERSATZ_RING_DEPTH_MAX, "a power of two ");
    return ERSATZ_OK;
}

static enum ersatz_result no_memory(struct ersatz_error *error)
{
    error->result = ERSATZ_NO_MEMORY;
    snprintf(error->text, sizeof(error->text), "no memory for the device");
    return ERSATZ_NO_MEMORY;
}

/* Timing and timers, before the threads that use them. */
static enum ersatz_result start_timing(struct ersatz_device *device, struct ersatz_error *error)
{
    const struct ersatz_config *config = &device->config;

    stats_name_profile(config->stats, config->profile);
    if (config->profile != NULL) {
        device->timing = timing_new(config->profile, config->seed);
        if (device->timing == NULL)
            return no_memory(error);
    }
    return device->timing == NULL && device->faults == NULL ? ERSATZ_OK
                                                            : timers_start(device, &device->timers, error);
}

static enum ersatz_result start_check(struct ersatz_device *device, struct ersatz_error *error)
{
    if (device->config.findings == NULL)
        return ERSATZ_OK;
    device->check = check_start(device->config.findings, device->config.pause_ns);
    if (device->check != NULL)
        return ERSATZ_OK;
    return threads_explain(error, "the thread that watches the application (CHECK)");
}

static enum ersatz_result start(struct ersatz_device *device, struct ersatz_error *error)
{
    enum ersatz_result result = start_check(device, error);

    if (result != ERSATZ_OK)
        return result;
    device->instances = aligned_alloc(64, device->config.instances * sizeof(*device->instances));
    device->workers = calloc(device->config.workers, sizeof(*device->workers));
    if (device->instances == NULL || device->workers == NULL)
        return no_memory(error);
    memset(device->instances, 0, device->config.instances * sizeof(*device->instances));
    result = start_timing(device, error);
    while (result == ERSATZ_OK && device->instances_ready < device->config.instances) {
        result = instance_init(
            &device->instances[device->instances_ready], device, device->config.ring_depth, error);
        device->instances_ready += result == ERSATZ_OK;
    }
    while (result == ERSATZ_OK && device->workers_started < device->config.workers) {
        result =
            worker_start(&device->workers[device->workers_started], device, device->workers_started, error);
        device->workers_started += result == ERSATZ_OK;
    }
    return result;
}

static enum ersatz_result open_device(
    const struct ersatz_config *config, struct ersatz_device **out, struct ersatz_error *error)
{
    enum ersatz_result result = check(config, error);
    struct ersatz_device *device;

    *out = NULL;
    if (result != ERSATZ_OK)
        return result;
    device = aligned_alloc(64, sizeof(*device));
    if (device == NULL)
        return no_memory(error);
    memset(device, 0, sizeof(*device));
    device->config = *config;
    device->generation = process_generation();
    device->cores = cores();
    device->keeps_times = config->profile != NULL || config->faults != NULL || config->findings != NULL ||
                          config->trace != NULL;
    atomic_init(&device->references, 1);
    sem_init(&device->all_but_caller, 0, 0);
    pool_init(&device->pool);
    if (!faults_new(device, &device->faults)) {
        free(device);
        return no_memory(error);
    }
    result = start(device, error);
    if (result != ERSATZ_OK) {
        ersatz_device_free(device);
        return result;
    }
    *out = device;
    return ERSATZ_OK;
}

enum ersatz_result ersatz_device_open(
    const struct ersatz_config *config, struct ersatz_device **out, struct ersatz_error *error)
{
    enum ersatz_result result;
    int cancel;

    /* The caller has locks, which a thread that is cancelled in here would never give back. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    result = open_device(config, out, error);
    pthread_setcancelstate(cancel, NULL);
    return result;
}

void device_reference(struct ersatz_device *device)
{
    /* Relaxed: the caller holds a reference, or the device is not being freed. */
    uint32_t before = atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);

    ASSERT(before >= 1);
}

void device_release(struct ersatz_device *device)
{
    /* Acquire and release: the last one sees all that the others did to the device. */
    uint32_t before = atomic_fetch_sub_explicit(&device->references, 1, memory_order_acq_rel);

    ASSERT(before >= 1);
    if (before != 1)
        return;
    for (unsigned i = 0; i < device->instances_ready; i++)
        instance_destroy(&device->instances[i]);
    pool_destroy(&device->pool);
    timing_free(device->timing);
    check_free(device->check);
    faults_free(device->faults);
    sem_destroy(&device->all_but_caller);
    free(device->workers);
    free(device->instances);
    free(device);
}

void ersatz_device_forget(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->instances_ready; i++)
        instance_forget(&device->instances[i]);
}

void ersatz_device_forking(struct ersatz_device *device)
{
    if (device->check != NULL)
        check_forking(device->check);
}

unsigned ersatz_device_instances(const struct ersatz_device *device)
{
    return device->config.instances;
}

int ersatz_device_response_fd(struct ersatz_device *device, unsigned index)
{
    struct instance *instance;

    if (index >= device->config.instances)
        return -1;
    instance = &device->instances[index];
    instance_make_ring(instance, true);
    return instance_has_ring(instance) ? instance->responses.ring_fd : -1;
}

bool ersatz_device_is_running(const struct ersatz_device *device)
{
    return !atomic_load(&device->stopping) &&
           (device->faults == NULL || !faults_have_card_down(device->faults));
}

unsigned ersatz_device_poll(struct ersatz_device *device)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < device->config.instances; i++)
        taken += reaper_take(&device->instances[i]);
    return taken;
}

void ersatz_device_make_room(struct ersatz_device *device)
{
    if (device->generation != process_generation())
        return; /* a parent's: its rings are closed */
    for (unsigned i = 0; device->config.external_polling && i < device->config.instances; i++)
        reaper_park(&device->instances[i]);
    if (reaper_in_callback(device))
        reaper_park_own();
}

struct ersatz_request *device_take(struct ersatz_device *device)
{
    struct ersatz_request *request = pool_take(&device->pool);

    if (request != NULL) {
        request->device = device;
        device_reference(device);
    }
    return request;
}

void device_return(struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    pool_return(&device->pool, request);
    device_release(device);
}

void device_ring_doorbell(struct ersatz_device *device)
{
    /*
     * The submitter has pushed, then reads the mask; a worker sets its bit, then looks for work. Sequential
     * consistency forbids that both miss. The thread that clears the bit rings the doorbell, so a burst of
     * requests wakes a worker once.
     */
    uint64_t mask = atomic_load(&device->sleepers);

    while (mask != 0) {
        unsigned index = (unsigned)__builtin_ctzll(mask);

        if (atomic_fetch_and(&device->sleepers, ~(UINT64_C(1) << index)) & (UINT64_C(1) << index)) {
            worker_wake(&device->workers[index]);
            return;
        }
        mask = atomic_load(&device->sleepers);
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

bool device_is_asleep(struct ersatz_device *device)
{
    uint64_t all = UINT64_MAX >> (ERSATZ_WORKERS_MAX - device->config.workers);

    return atomic_load(&device->stopping) || atomic_load(&device->sleepers) == all;
}

bool device_has_work(struct ersatz_device *device)
{
    if (atomic_load_explicit(&device->hold, memory_order_relaxed) == ERSATZ_HOLD_COMPUTE &&
        atomic_load_explicit(&device->tickets, memory_order_relaxed) <= 0)
        return false;
    for (unsigned i = 0; i < device->config.instances; i++) {
        if (ring_count(&device->instances[i].requests) > 0)
            return true;
    }
    return false;
}

void device_ask_for_marks(struct ersatz_device *device)
{
    /* Sequentially consistent: `wants_mark` was set before; the worker lowers this flag, then looks at those.
     */
    atomic_store(&device->marks, true);
    worker_wake(&device->workers[0]);
}

bool device_take_marks(struct ersatz_device *device)
{
    return atomic_load_explicit(&device->marks, memory_order_relaxed) &&
           atomic_exchange(&device->marks, false);
}

void device_wake_workers(struct ersatz_device *device)
{
    for (unsigned i = 0; i < device->workers_started; i++)
        worker_wake(&device->workers[i]);
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

static enum ersatz_flight flight_kind(const struct ersatz_request *request)
{
    return request->op.kind == ERSATZ_CIPHER ? ERSATZ_FLIGHT_CIPHER : ERSATZ_FLIGHT_ASYM;
}

void device_flight_began(struct ersatz_request *request)
{
    struct ersatz_stats *stats = device_stats(request->device);
    uint64_t now;

    atomic_fetch_add_explicit(&stats->in_flight[flight_kind(request)], 1, memory_order_relaxed);
    now = (uint64_t)atomic_fetch_add_explicit(&stats->in_flight[ERSATZ_FLIGHT_ALL], 1, memory_order_relaxed) +
          1;
    ersatz_count_max(&stats->in_flight_max, now);
}

static void lower(_Atomic int *in_flight, int by)
{
    int before = atomic_fetch_sub_explicit(in_flight, by, memory_order_relaxed);

    ASSERT(before >= by);
}

void device_flights_ended(struct ersatz_device *device, unsigned asym, unsigned cipher)
{
    struct ersatz_stats *stats = device_stats(device);

    if (asym > 0)
        lower(&stats->in_flight[ERSATZ_FLIGHT_ASYM], (int)asym);
    if (cipher > 0)
        lower(&stats->in_flight[ERSATZ_FLIGHT_CIPHER], (int)cipher);
    lower(&stats->in_flight[ERSATZ_FLIGHT_ALL], (int)(asym + cipher));
}

void device_flight_ended(struct ersatz_request *request)
{
    bool is_cipher = flight_kind(request) == ERSATZ_FLIGHT_CIPHER;

    device_flights_ended(request->device, !is_cipher, is_cipher);
}

void device_complain(const char *what, int err)
{
    ersatz_say("%s: %s", what, strerror(err));
}
