/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of requests at the card itself: computed apart, told of once, when the last is complete; in a ring
 * that has less room than the group; stopped; and left behind.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "ersatz/device.h"

#define TEXT 512u
#define GROUP_MAX 32u
#define ROUNDS 200u

static struct ersatz_stats stats;

/* A group of CBC texts, each with a state of its own. */
struct group {
    unsigned count;
    struct ersatz_cipher *states[GROUP_MAX];
    uint8_t text[GROUP_MAX][TEXT], wanted[GROUP_MAX][TEXT];
    struct ersatz_request *request;
    _Atomic unsigned callbacks;
};

static struct ersatz_device *open_device(unsigned workers, unsigned ring_depth, bool external_polling)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    memset(&stats, 0, sizeof(stats));
    ersatz_config_init(&config, &stats);
    config.workers = workers;
    config.instances = 1;
    config.ring_depth = ring_depth;
    config.external_polling = external_polling;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

static struct ersatz_op op_of(struct group *group, unsigned i)
{
    return (struct ersatz_op){.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = group->states[i], .in = group->text[i], .out = group->text[i], .len = TEXT}};
}

/* Fill in the group's texts, and what should become of them. */
static void group_set_up(struct group *group, unsigned count)
{
    memset(group, 0, sizeof(*group));
    group->count = count;
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[16] = {(uint8_t)(i + 1)};
        struct ersatz_op op;

        CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &group->states[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_cipher_set_key(group->states[i], key, sizeof(key), true), ERSATZ_OK);
        memset(group->text[i], (int)(i + 100), TEXT);
        op = op_of(group, i);
        op.u.cipher.out = group->wanted[i];
        CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
    }
}

static void group_make(struct ersatz_device *device, struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct ersatz_op op = op_of(group, i);
        struct ersatz_request *request;

        CHECK_EQ(ersatz_request_new(device, &op, true, &request), ERSATZ_OK);
        if (i == 0)
            group->request = request;
        else
            ersatz_request_join(group->request, request);
    }
}

static void group_free(struct group *group)
{
    for (unsigned i = 0; i < group->count; i++)
        ersatz_cipher_free(group->states[i]);
}

static void finish_and_compare(struct group *group)
{
    CHECK_EQ(ersatz_request_finish(group->request), ERSATZ_OK);
    for (unsigned i = 0; i < group->count; i++)
        CHECK(memcmp(group->text[i], group->wanted[i], TEXT) == 0);
}

static int count_callback(void *arg)
{
    atomic_fetch_add(&((struct group *)arg)->callbacks, 1);
    return 1;
}

static bool is_readable(const struct ersatz_waker *waker)
{
    struct pollfd poll_fd = {.fd = ersatz_waker_fd(waker), .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static void wait_until_readable(const struct ersatz_waker *waker)
{
    struct pollfd poll_fd = {.fd = ersatz_waker_fd(waker), .events = POLLIN};

    CHECK_EQ(poll(&poll_fd, 1, -1), 1);
}

static void wait_for_completed(uint64_t count)
{
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) < count)
        usleep(100);
}

/* The descriptor is readable when the last is complete, not before, and once. */
static void told_by_the_last(void)
{
    struct ersatz_device *device = open_device(2, 64, false);
    struct ersatz_waker *waker;
    static struct group group;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned early = 0; early < 4; early++) {
        uint64_t wakeups = ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS),
                 completed = ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED);

        ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
        group_set_up(&group, 4);
        group_make(device, &group);
        CHECK_EQ(ersatz_submit_fd(group.request, waker), ERSATZ_OK);
        CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 4);
        ersatz_device_release(device, early);
        wait_for_completed(completed + early);
        usleep(2000);
        CHECK(!is_readable(waker));
        CHECK(!ersatz_request_is_done(group.request));
        ersatz_device_release(device, 4 - early);
        wait_until_readable(waker);
        CHECK(ersatz_request_is_done(group.request));
        CHECK(!is_readable(waker));
        finish_and_compare(&group);
        CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS), wakeups + 1);
        CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
        group_free(&group);
    }
    CHECK_EQ(atomic_load(&stats.orphans), 0);
    CHECK_EQ(ersatz_stats_requests(&stats, ERSATZ_REQUEST_AES_CBC), 16);
    ersatz_waker_free(waker);
    ersatz_device_free(device);
}

/* A group larger than the ring, and several at a time: none waits for a slot that another keeps. */
static void more_than_the_ring(unsigned ring_depth, bool by_callback)
{
    struct ersatz_device *device = open_device(2, ring_depth, false);
    static struct group groups[4];
    struct ersatz_waker *wakers[4];

    for (unsigned g = 0; g < 4; g++) {
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[g]), ERSATZ_OK);
        group_set_up(&groups[g], GROUP_MAX - g);
    }
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE); /* let them pile up */
    for (unsigned g = 0; g < 4; g++) {
        group_make(device, &groups[g]);
        if (!by_callback) {
            CHECK_EQ(ersatz_submit_fd(groups[g].request, wakers[g]), ERSATZ_OK);
        } else {
            enum ersatz_result result = ersatz_submit_callback(groups[g].request, count_callback, &groups[g]);

            /* It is accepted with its first, as long as no other is in line. */
            CHECK_EQ(result, g == 0 ? ERSATZ_OK : ERSATZ_RING_FULL);
        }
    }
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned g = 0; g < 4; g++) {
        if (!by_callback)
            wait_until_readable(wakers[g]);
        else
            while (
                g > 0 && ersatz_submit_callback(groups[g].request, count_callback, &groups[g]) != ERSATZ_OK)
                usleep(100);
        while (!ersatz_request_is_done(groups[g].request))
            usleep(100);
        CHECK_EQ(atomic_load(&groups[g].callbacks), by_callback);
        finish_and_compare(&groups[g]);
        group_free(&groups[g]);
        ersatz_waker_free(wakers[g]);
    }
    wait_for_completed(4 * GROUP_MAX - 6);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    ersatz_device_free(device);
}

/* Polled from outside: one completion for a group. */
static void polled(void)
{
    struct ersatz_device *device = open_device(1, 8, true);
    static struct group group;

    group_set_up(&group, 20);
    group_make(device, &group);
    CHECK_EQ(ersatz_submit_callback(group.request, count_callback, &group), ERSATZ_OK);
    wait_for_completed(20);
    while (!ersatz_request_is_done(group.request))
        CHECK(ersatz_device_poll(device) <= 1);
    CHECK_EQ(atomic_load(&group.callbacks), 1);
    finish_and_compare(&group);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_MESSAGES), 1);
    group_free(&group);
    ersatz_device_free(device);
}

/* A thread that waits, and one with a result that is not a success: no output of the group is touched. */
static void all_or_nothing(void)
{
    struct ersatz_device *device = open_device(2, 4, false);
    static struct group group;
    struct ersatz_request *bad;
    struct ersatz_op op;

    group_set_up(&group, 6);
    group_make(device, &group);
    CHECK_EQ(ersatz_submit_wait(group.request, -1), ERSATZ_OK);
    finish_and_compare(&group);
    group_free(&group);

    group_set_up(&group, 6);
    group.count = 5;
    group_make(device, &group);
    op = op_of(&group, 5);
    op.u.cipher.len = TEXT - 1;
    CHECK_EQ(ersatz_request_new(device, &op, true, &bad), ERSATZ_OK);
    ersatz_request_join(group.request, bad);
    CHECK_EQ(ersatz_submit_wait(group.request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(group.request), ERSATZ_BAD_INPUT);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(group.text[i][0], i + 100);
    group.count = 6;
    group_free(&group);
    ersatz_device_free(device);
}

/* The waker goes while some are computed and some are not; and the device stops in the same place. */
static void orphaned(void)
{
    struct ersatz_device *device = open_device(2, 8, false);
    struct ersatz_waker *waker;
    static struct group group;

    for (unsigned early = 0; early < 12; early += 5) {
        uint64_t completed = ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED),
                 orphans = atomic_load(&stats.orphans);

        ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
        CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
        group_set_up(&group, 12);
        group_make(device, &group);
        CHECK_EQ(ersatz_submit_fd(group.request, waker), ERSATZ_OK);
        ersatz_device_release(device, early);
        wait_for_completed(completed + early);
        ersatz_waker_free(waker);
        CHECK_EQ(atomic_load(&stats.orphans), orphans + 1);
        memset(group.text, 0, sizeof(group.text)); /* nobody looks at it any more */
        group_free(&group);
        ersatz_device_release(device, 12 - early);
        wait_for_completed(completed + 12);
    }
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS), 0);
    ersatz_device_free(device);
}

static void stopped(void)
{
    for (unsigned early = 0; early < 6; early++) {
        struct ersatz_device *device = open_device(1, 4, false);
        struct ersatz_waker *waker;
        static struct group group;

        ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
        CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
        group_set_up(&group, 6);
        group_make(device, &group);
        CHECK_EQ(ersatz_submit_fd(group.request, waker), ERSATZ_OK);
        ersatz_device_release(device, early);
        wait_for_completed(early);
        ersatz_device_stop(device);
        CHECK(is_readable(waker));
        CHECK(ersatz_request_is_done(group.request));
        CHECK(!is_readable(waker));
        CHECK_EQ(ersatz_request_finish(group.request), ERSATZ_STOPPED);
        for (unsigned i = 0; i < 6; i++)
            CHECK_EQ(group.text[i][0], i + 100); /* so that the calling core can start over */
        group_make(device, &group);              /* refused as a whole */
        CHECK_EQ(ersatz_submit_fd(group.request, waker), ERSATZ_STOPPED);
        CHECK_EQ(ersatz_request_finish(group.request), ERSATZ_STOPPED);
        group_free(&group);
        ersatz_waker_free(waker);
        ersatz_device_free(device);
    }
}

/* Many threads, many groups, whatever order comes. */
static void *submit_many(void *arg)
{
    struct ersatz_device *device = arg;
    struct group *group = malloc(sizeof(*group));
    struct ersatz_waker *waker;

    CHECK(group != NULL);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        group_set_up(group, 1 + round % 9);
        group_make(device, group);
        CHECK_EQ(ersatz_submit_fd(group->request, waker), ERSATZ_OK);
        while (!ersatz_request_is_done(group->request))
            wait_until_readable(waker);
        CHECK(!is_readable(waker));
        finish_and_compare(group);
        group_free(group);
    }
    ersatz_waker_free(waker);
    free(group);
    return NULL;
}

static void from_many_threads(void)
{
    struct ersatz_device *device = open_device(3, 4, false);
    pthread_t threads[3];

    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, submit_many, device), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS), 3 * ROUNDS);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    told_by_the_last();
    for (unsigned depth = 1; depth <= 64; depth *= 4) {
        more_than_the_ring(depth, false);
        if (depth < GROUP_MAX)
            more_than_the_ring(depth, true);
    }
    polled();
    all_or_nothing();
    orphaned();
    stopped();
    from_many_threads();
    return 0;
}
