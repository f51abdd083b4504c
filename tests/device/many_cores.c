/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card for a machine with many cores: the defaults are one worker and one instance for each, as Linux
 * counts them (the test answers for Linux); 200 workers and 200 instances work, oversubscribed. A request
 * wakes the worker of its instance.
 */
#include "card.h"
#include "device/device.h"
#include "made_up_cores.h"

#define MANY 200u

static void defaults(unsigned count, unsigned cpus, unsigned expected)
{
    struct ersatz_stats stats = {0};
    struct ersatz_config config;

    cores = count;
    kernel_cpus = cpus;
    ersatz_config_init(&config, &stats);
    CHECK_EQ(config.workers, expected);
    CHECK_EQ(config.instances, expected);
}

static struct ersatz_device *open_many(struct ersatz_stats *stats, bool external)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    cores = kernel_cpus = MANY;
    ersatz_config_init(&config, stats);
    config.ring_depth = 16;
    config.external_polling = external;
    config.pause_ns = 0;
    config.trace = calloc(1, sizeof(*config.trace)); /* so that requests remember their workers */
    CHECK(config.trace != NULL);
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    CHECK_EQ(ersatz_device_instances(device), MANY);
    return device;
}

static void close_many(struct ersatz_device *device)
{
    struct ersatz_trace *trace = device->config.trace;

    ersatz_device_free(device);
    free(trace);
}

/* With all workers asleep, an operation on an instance is computed by that instance's own worker. */
static void wakes_its_worker(void)
{
    static const unsigned instances[] = {0, 1, 63, 64, 127, 150, MANY - 1};
    static struct ersatz_stats stats;
    struct ersatz_device *device = open_many(&stats, false);
    struct aes *aes = aes_new(1);
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned i = 0; i < sizeof(instances) / sizeof(instances[0]); i++) {
        while (!device_is_asleep(device))
            usleep(1000);
        ersatz_thread_bind(instances[i]);
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        card_wait(request);
        CHECK_EQ(request->times.worker, instances[i]);
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
        CHECK(aes_is_right(aes));
    }
    ersatz_waker_free(waker);
    aes_free(aes);
    close_many(device);
}

/* Requests in every instance, and more than there are slots: all of them are computed, or all are cancelled
 * when the device stops. */
static void fill(bool stop)
{
    static struct ersatz_stats stats;
    static struct aes *aes[MANY * 2];
    static struct ersatz_request *requests[MANY * 2];
    struct ersatz_waker *wakers[MANY * 2];
    struct ersatz_device *device = open_many(&stats, false);

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < MANY * 2; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        ersatz_thread_bind(i);
        CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
    }
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(ring_count(&device->instances[i].requests), 2);
    if (stop)
        CHECK(ersatz_device_stop(device));
    else
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < MANY * 2; i++) {
        card_wait(requests[i]);
        CHECK_EQ(ersatz_request_finish(requests[i]), stop ? ERSATZ_STOPPED : ERSATZ_OK);
        CHECK(stop || aes_is_right(aes[i]));
        ersatz_waker_free(wakers[i]);
        aes_free(aes[i]);
    }
    close_many(device);
}

int main(void)
{
    test_begin(100);
    defaults(192, 256, 192);
    defaults(192, 4096, 192);
    defaults(1500, 2048, 1024);
    wakes_its_worker();
    fill(false);
    fill(true);
    return 0;
}
