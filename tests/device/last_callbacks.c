/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks of requests that the card cancels as it stops: each runs exactly once. With external polling the
 * descriptors say that there is something to poll. The device may have stopped between a submitter's look at
 * it and the submission itself, so that no thread of the device is left to run the callback.
 */
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "card.h"

#define REQUESTS 3

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

static _Thread_local struct ersatz_device *stop_first;

static void *stop(void *device)
{
    ersatz_device_stop(device);
    return NULL;
}

/* A submitter looks whether the device stops, then at the clock, then submits. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    struct ersatz_device *device = stop_first;
    pthread_t thread;

    if (device != NULL) {
        stop_first = NULL;
        CHECK_EQ(pthread_create(&thread, NULL, stop, device), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    return __real_clock_gettime(clock, now);
}

static struct ersatz_device *open_card(struct ersatz_stats *stats, bool external)
{
    static struct ersatz_trace trace;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_config_init(&config, stats);
    config.workers = 2;
    config.instances = 1;
    config.external_polling = external;
    config.trace = &trace; /* so that a submitter looks at the clock */
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

static bool is_readable(struct ersatz_device *device)
{
    struct pollfd ring = {.fd = ersatz_device_response_fd(device, 0), .events = POLLIN};

    CHECK(ring.fd > 2);
    return poll(&ring, 1, 0) == 1;
}

struct submitted {
    struct aes *aes;
    struct ersatz_request *request;
    sem_t called;
    _Atomic int calls;
};

static int call(void *arg)
{
    struct submitted *submitted = arg;

    atomic_fetch_add(&submitted->calls, 1);
    sem_post(&submitted->called);
    return 1;
}

/* stop_before: the device stops in the middle of the submission. */
static void submit(struct submitted *submitted, struct ersatz_device *device, bool stop_before)
{
    submitted->aes = aes_new(1);
    submitted->calls = 0;
    sem_init(&submitted->called, 0, 0);
    CHECK_EQ(ersatz_request_new(device, &submitted->aes->op, true, &submitted->request), ERSATZ_OK);
    stop_first = stop_before ? device : NULL;
    CHECK_EQ(ersatz_submit_callback(submitted->request, call, submitted), ERSATZ_OK);
    CHECK(stop_first == NULL);
}

static void poll_all(struct ersatz_device *device, unsigned expected)
{
    CHECK(is_readable(device));
    CHECK_EQ(ersatz_device_poll(device), expected);
    CHECK(!is_readable(device));
}

/* Returns when its callback has run; it has run once. */
static void finish(struct submitted *submitted)
{
    while (sem_wait(&submitted->called) != 0)
        ;
    while (!ersatz_request_is_done(submitted->request))
        sched_yield();
    CHECK_EQ(ersatz_request_finish(submitted->request), ERSATZ_STOPPED);
    CHECK_EQ(submitted->calls, 1);
    CHECK_EQ(sem_destroy(&submitted->called), 0);
    aes_free(submitted->aes);
}

static void stop_with_requests(bool external)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_card(&stats, external);
    struct submitted submitted[REQUESTS];

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (int i = 0; i < REQUESTS; i++)
        submit(&submitted[i], device, false);
    ersatz_device_stop(device);
    if (external)
        poll_all(device, REQUESTS);
    for (int i = 0; i < REQUESTS; i++)
        finish(&submitted[i]);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    ersatz_device_free(device);
}

static void stop_before_submission(bool external)
{
    static struct ersatz_stats stats; /* the device's last thread may end after this returns */
    struct ersatz_device *device = open_card(&stats, external);
    struct submitted submitted;

    submit(&submitted, device, true);
    if (external)
        poll_all(device, 1);
    finish(&submitted);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    stop_with_requests(false);
    stop_with_requests(true);
    stop_before_submission(false);
    stop_before_submission(true);
    return 0;
}
