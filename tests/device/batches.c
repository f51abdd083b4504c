/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is told of with one io_uring_enter: requests are held, let go together, and the worker's calls are
 * counted when it has ended. The hold makes the batches, not the time that anything takes.
 */
#include <poll.h>

#include "card.h"

#define BATCH 16 /* what one worker takes at a time */
#define MANY (3 * BATCH)

static struct ersatz_stats stats;

struct held {
    struct aes *aes;
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    _Atomic int called;
};

static int called(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 1;
}

static void submit(struct ersatz_device *device, struct held *held, bool by_callback, uint8_t seed)
{
    held->called = 0;
    held->aes = aes_new(seed);
    CHECK_EQ(ersatz_request_new(device, &held->aes->op, true, &held->request), ERSATZ_OK);
    if (by_callback) {
        held->waker = NULL;
        CHECK_EQ(ersatz_submit_callback(held->request, called, &held->called), ERSATZ_OK);
        return;
    }
    CHECK_EQ(ersatz_waker_new(&stats, &held->waker), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(held->request, held->waker), ERSATZ_OK);
}

static void finish(struct ersatz_device *device, struct held *held)
{
    if (held->waker == NULL) {
        while (held->called == 0)
            ersatz_device_poll(device);
    } else {
        struct pollfd told = {.fd = ersatz_waker_fd(held->waker), .events = POLLIN};

        CHECK_EQ(poll(&told, 1, -1), 1);
    }
    CHECK(ersatz_request_is_done(held->request));
    CHECK_EQ(ersatz_request_finish(held->request), ERSATZ_OK);
    CHECK(aes_is_right(held->aes));
    if (held->waker != NULL)
        ersatz_waker_free(held->waker);
    aes_free(held->aes);
}

static bool is_held(struct held *held)
{
    struct pollfd told = {.events = POLLIN};

    if (held->waker == NULL)
        return held->called == 0;
    told.fd = ersatz_waker_fd(held->waker);
    return poll(&told, 1, 0) == 0;
}

/* One worker, so that nobody else takes a share; the workers' counts are whole once the device has ended. */
static void in_batches(enum ersatz_hold where, bool by_callback)
{
    enum ersatz_counter signals = by_callback ? ERSATZ_COUNTER_MESSAGES : ERSATZ_COUNTER_WAKEUPS;
    uint64_t batches = ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES);
    uint64_t told = ersatz_stats_count(&stats, signals);
    uint64_t calls = ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS);
    uint64_t completed = ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED);
    struct ersatz_device *device = card_open(&stats, 1, 64, by_callback);
    struct held held[MANY];

    ersatz_device_hold(device, where);
    for (int i = 0; i < MANY; i++)
        submit(device, &held[i], by_callback, (uint8_t)i);
    while (where == ERSATZ_HOLD_SIGNAL &&
           ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) - completed < MANY)
        usleep(100); /* till all have been computed */
    for (int i = 0; i < MANY; i++)
        CHECK(is_held(&held[i]));
    if (where == ERSATZ_HOLD_COMPUTE)
        CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES), batches);
    ersatz_device_release(device, MANY);
    for (int i = 0; i < MANY; i++)
        finish(device, &held[i]);
    ersatz_device_free(device);
    if (where == ERSATZ_HOLD_COMPUTE)
        CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) - batches, MANY / BATCH);
    CHECK_EQ(ersatz_stats_count(&stats, signals) - told, MANY);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS) - calls, MANY / BATCH);
}

int main(void)
{
    test_begin(60);
    for (enum ersatz_hold where = ERSATZ_HOLD_COMPUTE; where <= ERSATZ_HOLD_SIGNAL; where++) {
        in_batches(where, false);
        in_batches(where, true);
    }
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), 4 * MANY);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_FAILED), 0);
    return 0;
}
