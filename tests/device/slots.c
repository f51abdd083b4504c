/* SPDX-License-Identifier: Apache-2.0 */
/* What a stopping device cancels had a slot, or had none, and each is counted once: afterwards none is
 * taken. */
#include "card.h"
#include "device/device.h"

#define REQUESTS 6

/* Four, of which two are a group whose second stands in line, behind one that does. */
static void stop_with(bool callbacks, bool external)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 1, 4, external);
    struct ersatz_request *requests[REQUESTS];
    struct ersatz_waker *wakers[REQUESTS];
    struct aes *aes[REQUESTS];
    _Atomic int called = 0;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (int i = 0; i < REQUESTS; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
    }
    ersatz_request_join(requests[3], requests[4]); /* the first has the last slot, the other is in line */
    ersatz_request_join(requests[3], requests[5]);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(callbacks ? ersatz_submit_callback(requests[i], card_count, &called)
                           : ersatz_submit_fd(requests[i], wakers[i]),
            ERSATZ_OK);
    CHECK_EQ(device->instances[0].counts->in_flight, 4);
    CHECK_EQ(device->instances[0].line_length, 2);
    ersatz_device_stop(device);
    if (external)
        ersatz_device_poll(device);
    CHECK_EQ(device->instances[0].counts->in_flight, 0);
    CHECK_EQ(device->instances[0].line_length, 0);
    CHECK_EQ(called, callbacks ? 4 : 0);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    for (int i = 0; i < 4; i++) {
        CHECK(ersatz_request_is_done(requests[i]));
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_STOPPED);
    }
    for (int i = 0; i < REQUESTS; i++)
        ersatz_waker_free(wakers[i]);
    ersatz_device_free(device);
    for (int i = 0; i < REQUESTS; i++)
        aes_free(aes[i]);
}

/* Requests are held before their signals, released, held again: the list of them is as empty as at first. */
static void hold_again(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 1, 4, false);
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    struct aes *aes = aes_new(1);

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned i = 0; i < 3; i++) {
        ersatz_device_hold(device, ERSATZ_HOLD_SIGNAL);
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        while (ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) == i)
            usleep(100);
        CHECK(!ersatz_request_is_done(request));
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
        card_finish(request);
    }
    CHECK_EQ(device->instances[0].counts->in_flight, 0);
    ersatz_waker_free(waker);
    ersatz_device_free(device);
    aes_free(aes);
}

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 1;
}

/* Completions are parked to make room, polled, and parked again. */
static void make_room_again(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 1, 1, true);
    struct ersatz_request *request;
    struct aes *aes = aes_new(1);
    int called = 0;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(request, add_one, &called), ERSATZ_OK);
        while (device->instances[0].counts->in_flight != 0)
            ersatz_device_make_room(device);
        CHECK_EQ(called, i);
        CHECK_EQ(ersatz_device_poll(device), 1);
        CHECK_EQ(called, i + 1);
        CHECK(ersatz_request_is_done(request));
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    }
    ersatz_device_free(device);
    aes_free(aes);
}

int main(void)
{
    test_begin(60);
    stop_with(false, false);
    stop_with(true, false);
    stop_with(true, true);
    hold_again();
    make_room_again();
    return 0;
}
