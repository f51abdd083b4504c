/* SPDX-License-Identifier: Apache-2.0 */
/* A device with faults, and requests in flight on it. */
#ifndef ERSATZ_TESTS_FAULT_CARD_H
#define ERSATZ_TESTS_FAULT_CARD_H

#include <ersatz/faults.h>
#include <poll.h>

#include "card.h"

static struct ersatz_stats stats;
static struct ersatz_faults faults; /* of the device that is open, */
static bool polled;                 /* and whether its callbacks come by polling it */

/* workers: 0 for as many as usual */
static inline struct ersatz_device *open_with_workers(
    const char *text, uint64_t seed, bool external, unsigned workers)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;
    size_t offset;

    memset(&stats, 0, sizeof(stats));
    CHECK_EQ(ersatz_faults_parse(text, &faults, &offset, &error), ERSATZ_OK);
    ersatz_config_init(&config, &stats);
    CHECK_EQ(config.seed, 1);
    config.instances = 1;
    config.workers = workers != 0 ? workers : config.workers;
    config.external_polling = polled = external;
    config.faults = &faults;
    config.seed = seed;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

static inline struct ersatz_device *open_with(const char *text, uint64_t seed, bool external)
{
    return open_with_workers(text, seed, external, 0);
}

static inline long injected(enum ersatz_fault fault)
{
    return (long)stats.faults[fault];
}

static inline void wait_for(enum ersatz_fault fault, long count)
{
    while (injected(fault) < count)
        usleep(100);
}

static inline int called(void *arg)
{
    (*(_Atomic int *)arg)++;
    return 1;
}

/* Requests on their way, told by descriptor and by callback. */
struct flight {
    struct aes *aes;
    struct ersatz_request *request;
    struct ersatz_device *device;
    struct ersatz_waker *waker; /* NULL: by callback */
    _Atomic int callbacks;
};

static inline enum ersatz_result take_off(
    struct ersatz_device *device, struct flight *flight, bool by_callback)
{
    enum ersatz_result result;

    flight->device = device;
    flight->aes = aes_new(3);
    flight->callbacks = 0;
    flight->waker = NULL;
    CHECK_EQ(ersatz_request_new(device, &flight->aes->op, true, &flight->request), ERSATZ_OK);
    if (by_callback) {
        result = ersatz_submit_callback(flight->request, called, &flight->callbacks);
    } else {
        CHECK_EQ(ersatz_waker_new(&stats, &flight->waker), ERSATZ_OK);
        result = ersatz_submit_fd(flight->request, flight->waker);
    }
    return result;
}

static inline void wait_until_told(struct flight *flight)
{
    if (flight->waker != NULL) {
        struct pollfd told = {.fd = ersatz_waker_fd(flight->waker), .events = POLLIN};

        while (!ersatz_request_is_done(flight->request))
            CHECK_EQ(poll(&told, 1, -1), 1);
        CHECK_EQ(poll(&told, 1, 0), 0); /* and no more */
    } else {
        while (flight->callbacks == 0) {
            if (polled)
                ersatz_device_poll(flight->device);
            usleep(100);
        }
        CHECK(ersatz_request_is_done(flight->request));
    }
}

/* Waits to be told, and sees what came of it. */
static inline void land(struct flight *flight, enum ersatz_result wanted, const char *blame)
{
    struct ersatz_error error = {.text = ""};

    wait_until_told(flight);
    CHECK_EQ(ersatz_request_blame(flight->request, &error), blame != NULL);
    if (blame != NULL && strstr(error.text, blame) == NULL) {
        fprintf(stderr, "\"%s\" does not speak of \"%s\"\n", error.text, blame);
        FAIL("blame");
    }
    CHECK_EQ(ersatz_request_finish(flight->request), wanted);
    CHECK(wanted != ERSATZ_OK || aes_is_right(flight->aes));
    CHECK_EQ(flight->callbacks, flight->waker == NULL);
    if (flight->waker != NULL)
        ersatz_waker_free(flight->waker);
    aes_free(flight->aes);
}

#endif
