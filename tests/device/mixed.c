/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one device, told in all three ways, in small rings: every result right, every counter back
 * at zero. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "card.h"

#define THREADS 8
#define ROUNDS 600

static struct ersatz_device *device;
static struct ersatz_stats stats;

static void by_fd(struct aes *aes, struct ersatz_waker *waker)
{
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    do {
        struct pollfd poll_fd = {.fd = ersatz_waker_fd(waker), .events = POLLIN};

        CHECK_EQ(poll(&poll_fd, 1, -1), 1);
    } while (!ersatz_request_is_done(request));
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
}

static void by_callback(struct aes *aes)
{
    struct ersatz_request *request;
    _Atomic int called = 0;
    enum ersatz_result result;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    while ((result = ersatz_submit_callback(request, card_count, &called)) == ERSATZ_RING_FULL)
        usleep(100);
    CHECK_EQ(result, ERSATZ_OK);
    card_wait(request);
    CHECK_EQ(called, 1);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK_EQ(called, 1);
}

static void by_waiting(struct aes *aes, bool spin)
{
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, false, &request), ERSATZ_OK);
    CHECK_EQ(spin ? ersatz_submit_spin(request, -1) : ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
}

static void *work(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    struct ersatz_waker *waker;
    struct aes *aes = aes_new((uint8_t)number);

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(aes->in, (int)(round + number), TEXT);
        memset(aes->out, 0, TEXT);
        switch ((round + number) % 4) {
        case 0:
            by_fd(aes, waker);
            break;
        case 1:
            by_callback(aes);
            break;
        default:
            by_waiting(aes, round % 2);
        }
        CHECK(aes_is_right(aes));
    }
    ersatz_waker_free(waker);
    aes_free(aes);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    test_begin(120);
    for (unsigned depth = 1; depth <= 64; depth *= 8) {
        uint64_t before = ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED);

        device = card_open(&stats, depth == 8 ? 1 : 4, depth, false);
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, work, (void *)i), 0);
        ersatz_device_keep_in_flight(device); /* in the middle: requests that are in flight count as well */
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
        ersatz_device_free(device);
        CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) - before, THREADS * ROUNDS);
        for (enum ersatz_flight kind = 0; kind < ERSATZ_FLIGHTS; kind++)
            CHECK_EQ(stats.in_flight[kind], 0);
    }
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_FAILED), 0);
    return 0;
}
