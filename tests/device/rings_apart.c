/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No ring is made by a thread of the application's, and none of them submits to one: the kernel would
 * interrupt its system calls when the ring has been closed. Through a device's whole life, with whatever an
 * application's thread may do.
 */
#include <liburing.h>
#include <poll.h>
#include <pthread.h>

#include "card.h"

int __real_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wanted);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wanted);

static pthread_t application;
static _Atomic unsigned rings, calls;

static void check_thread(void)
{
    CHECK(!pthread_equal(pthread_self(), application));
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    check_thread();
    atomic_fetch_add(&rings, 1);
    return __real_io_uring_queue_init_params(entries, ring, params);
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
    check_thread();
    atomic_fetch_add(&calls, 1);
    return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wanted)
{
    check_thread();
    atomic_fetch_add(&calls, 1);
    return __real_io_uring_submit_and_wait(ring, wanted);
}

static struct ersatz_request *submit(struct ersatz_device *device, struct aes *aes, _Atomic int *called)
{
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, card_count, called), ERSATZ_OK);
    return request;
}

static void finish(
    struct ersatz_device *device, struct ersatz_request *request, _Atomic int *called, bool poll)
{
    while (*called == 0) {
        if (poll)
            ersatz_device_poll(device);
    }
    while (!ersatz_request_is_done(request))
        ersatz_request_wait(request, 1);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
}

/* The ring has room for one: this thread takes the first completion off, to make room for itself. */
static void wait_for_room(struct ersatz_device *device, struct aes *first, struct aes *second)
{
    struct pollfd ring = {.fd = ersatz_device_response_fd(device, 0), .events = POLLIN};
    struct ersatz_request *request, *waiting;
    _Atomic int called = 0;

    CHECK(ring.fd >= 0);
    request = submit(device, first, &called);
    CHECK_EQ(poll(&ring, 1, -1), 1);
    CHECK_EQ(ersatz_request_new(device, &second->op, true, &waiting), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(waiting, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(waiting), ERSATZ_OK);
    CHECK_EQ(called, 0);
    CHECK_EQ(poll(&ring, 1, 0), 1); /* still to be polled for */
    finish(device, request, &called, true);
    CHECK_EQ(poll(&ring, 1, 0), 0);
}

/* What was held is cancelled when the device stops, on this thread. */
static void stop_with_callbacks(struct ersatz_device *device, struct aes *aes, bool external)
{
    struct ersatz_request *request;
    _Atomic int called = 0;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    request = submit(device, aes, &called);
    ersatz_device_stop(device);
    if (external)
        ersatz_request_wait(request, 1000);
    CHECK(ersatz_request_is_done(request));
    CHECK_EQ(called, !external);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_STOPPED);
    ersatz_device_free(device);
}

static void live(bool external)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 1, 1, external);
    struct aes *first = aes_new(1), *second = aes_new(2);
    _Atomic int called = 0;

    finish(device, submit(device, first, &called), &called, external);
    if (external)
        wait_for_room(device, first, second);
    stop_with_callbacks(device, second, external);
    aes_free(first);
    aes_free(second);
}

int main(void)
{
    struct ersatz_error error;

    test_begin(60);
    application = pthread_self();
    CHECK_EQ(ersatz_device_probe(&error), ERSATZ_OK);
    CHECK_EQ(rings, 1);
    live(false);
    CHECK_EQ(rings, 3); /* the worker's, and for callbacks */
    live(true);
    CHECK_EQ(rings, 5);
    CHECK(calls >= 3);
    return 0;
}
