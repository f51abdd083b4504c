/* SPDX-License-Identifier: Apache-2.0 */
/* N10 at the device: the requests of wakers that go away come back to the pool, however many; at every point
 * of their life. And several threads that use one waker at the same time, against the rules, get their
 * results and leave nothing behind. */
#include <pthread.h>
#include <sched.h>

#include "card.h"
#include "device/device.h"

#define MANY 20000
#define STATES 256 /* which take turns: each is in one request at a time */

static void lose(struct ersatz_device *device, struct ersatz_stats *stats, struct aes *aes)
{
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    enum ersatz_result result;

    CHECK_EQ(ersatz_waker_new(stats, &waker), ERSATZ_OK);
    while ((result = ersatz_request_new(device, &aes->op, true, &request)) == ERSATZ_BUSY)
        sched_yield(); /* the request before that has this state is not done */
    CHECK_EQ(result, ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    ersatz_waker_free(waker);
}

#define THREADS 4
#define ROUNDS 500

static struct ersatz_device *shared_device;
static struct ersatz_waker *shared_waker;

static void *share_waker(void *arg)
{
    struct aes *aes = arg;
    struct ersatz_request *request;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(ersatz_request_new(shared_device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, shared_waker), ERSATZ_OK);
        while (!ersatz_request_is_done(request))
            ersatz_request_wait(request, 1);
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    }
    CHECK(aes_is_right(aes));
    return NULL;
}

static void many_threads(void)
{
    static struct ersatz_stats stats;
    pthread_t threads[THREADS];
    struct aes *aes[THREADS];

    shared_device = card_open(&stats, 2, 0, false);
    CHECK_EQ(ersatz_waker_new(&stats, &shared_waker), ERSATZ_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(pthread_create(&threads[i], NULL, share_waker, aes[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        aes_free(aes[i]);
    }
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), THREADS * ROUNDS);
    CHECK_EQ(ersatz_device_in_flight(shared_device, ERSATZ_FLIGHT_ALL), 0);
    ersatz_waker_free(shared_waker);
    ersatz_device_free(shared_device);
}

int main(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 0, STATES, false);
    struct aes *states[STATES];

    test_begin(120);
    many_threads();
    for (int i = 0; i < STATES; i++)
        states[i] = aes_new(1);
    for (int i = 0; i < MANY; i++)
        lose(device, &stats, states[i % STATES]);
    CHECK_EQ(stats.orphans, MANY);
    CHECK(pool_size(&device->pool) < MANY / 4); /* it has used its requests again */
    for (enum ersatz_hold where = ERSATZ_HOLD_COMPUTE; where <= ERSATZ_HOLD_SIGNAL; where++) {
        struct aes *held = aes_new(2);

        ersatz_device_hold(device, where);
        lose(device, &stats, held);
        aes_free(held); /* the card keeps what it needs */
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    }
    while (ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL) != 0)
        usleep(100);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), MANY + 2);
    for (int i = 0; i < STATES; i++)
        aes_free(states[i]);
    ersatz_device_free(device); /* a leak checker sees what did not come back */
    return 0;
}
