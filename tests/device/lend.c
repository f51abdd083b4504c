/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that only waits for its RSA operation does it itself, and wakes no worker. Where requests are held
 * the card behaves as a card: a worker does it.
 */
#include <pthread.h>

#include "card_rsa.h"

#define OPERATIONS 20u

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct rsa *rsa;

static void *do_one(void *arg)
{
    struct ersatz_request *request;

    memset(rsa->out, 0, sizeof(rsa->out));
    CHECK_EQ(ersatz_request_new(device, &rsa->op, false, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(rsa_is_right(rsa));
    return arg;
}

int main(void)
{
    pthread_t thread;
    uint64_t enters;

    test_begin(60);
    rsa = rsa_new();
    device = card_open(&stats, 1, 0, false);
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_SLEEPS) == 0)
        usleep(1000);
    enters = ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS);
    for (unsigned i = 0; i < OPERATIONS; i++)
        do_one(NULL);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS),
        enters); /* a worker's sleep is counted when it ends */
    CHECK_EQ(ersatz_stats_requests(&stats, ERSATZ_REQUEST_RSA_PRIV), OPERATIONS);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), OPERATIONS);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(pthread_create(&thread, NULL, do_one, NULL), 0);
    while (ersatz_stats_requests(&stats, ERSATZ_REQUEST_RSA_PRIV) == OPERATIONS)
        usleep(1000);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), OPERATIONS);
    ersatz_device_release(device, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), OPERATIONS + 1);
    ersatz_device_free(device);
    rsa_free(rsa);
    return 0;
}
