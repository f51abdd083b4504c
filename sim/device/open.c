/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a device: checks the configuration, then starts its parts and threads. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fork.h"
#include "base/stats.h"
#include "base/threads.h"
#include "device.h"
#include "faults.h"
#include "timers.h"
#include "timing.h"
#include "watch/check.h"

#define RING_DEPTH_DEFAULT 512u

#define CPUS_MAX (1u << 16) /* no Linux knows more than that */

/* How many the calling thread may run on, and so the card's, which it starts. Linux refuses a set that is
 * smaller than its own. */
static unsigned cores(void)
{
    int count = 0;

    for (unsigned cpus = CPU_SETSIZE; count == 0 && cpus <= CPUS_MAX; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);

        if (set != NULL && sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0)
            count = CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
        CPU_FREE(set);
    }
    return count < 1 ? 1 : (unsigned)count;
}

static unsigned one_per_core(unsigned max)
{
    unsigned count = cores();

    return count < max ? count : max;
}

void ersatz_config_init(struct ersatz_config *config, struct ersatz_stats *stats)
{
    *config = (struct ersatz_config){
        .workers = one_per_core(ERSATZ_WORKERS_MAX),
        .instances = one_per_core(ERSATZ_INSTANCES_MAX),
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
    if (device->timing == NULL && device->faults == NULL)
        return ERSATZ_OK;
    return timers_start(device, device->faults == NULL ? NULL : faults_due_again, &device->timers, error);
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

/* An older device that is still being freed keeps it: two cannot count in the same place. */
static void take_load(struct ersatz_device *device)
{
    const struct ersatz_config *config = &device->config;
    struct ersatz_load *load = config->load;
    uint32_t unused = 0;

    if (load == NULL || !atomic_compare_exchange_strong_explicit(
                            &load->taken, &unused, 1, memory_order_acquire, memory_order_relaxed))
        return;
    device->load = load;
    atomic_store_explicit(&load->workers, config->workers, memory_order_relaxed);
    atomic_store_explicit(&load->instances, config->instances, memory_order_relaxed);
    atomic_store_explicit(&load->ring_depth, config->ring_depth, memory_order_relaxed);
}

static enum ersatz_result start(struct ersatz_device *device, struct ersatz_error *error)
{
    enum ersatz_result result = start_check(device, error);

    if (result != ERSATZ_OK)
        return result;
    device->instances = aligned_alloc(64, device->config.instances * sizeof(*device->instances));
    device->workers = aligned_alloc(64, device->config.workers * sizeof(*device->workers));
    if (device->instances == NULL || device->workers == NULL)
        return no_memory(error);
    memset(device->instances, 0, device->config.instances * sizeof(*device->instances));
    memset(device->workers, 0, device->config.workers * sizeof(*device->workers));
    stats_forget_workers(device->config.stats);
    result = start_timing(device, error);
    while (result == ERSATZ_OK && device->instances_ready < device->config.instances) {
        result = instance_init(
            &device->instances[device->instances_ready], device, device->instances_ready, error);
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
                          config->trace != NULL || config->latency != NULL || config->steered;
    atomic_init(&device->references, 1);
    sem_init(&device->all_but_caller, 0, 0);
    if (!pool_init(&device->pool, config->instances) || !faults_new(device, &device->faults)) {
        free(device->pool.lists);
        free(device);
        return no_memory(error);
    }
    take_load(device);
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

bool ersatz_device_is_running(const struct ersatz_device *device)
{
    return !atomic_load(&device->stopping) &&
           (device->faults == NULL || !faults_have_card_down(device->faults));
}
