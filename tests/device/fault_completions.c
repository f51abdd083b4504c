/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of completion at the device: late, overtaken, in bursts, a wake-up for nothing, a ring that is full
 * for a while. What must never happen in time is given an hour; what is to happen by itself a millisecond.
 */
#include <time.h>

#include "fault_card.h"

#define MANY 2000

static bool is_readable(const struct flight *flight)
{
    struct pollfd told = {.fd = ersatz_waker_fd(flight->waker), .events = POLLIN};

    return poll(&told, 1, 0) == 1;
}

static void wait_until_computed(uint64_t count)
{
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) < count)
        usleep(100);
}

static bool is_told(const struct flight *flight)
{
    return flight->waker != NULL ? is_readable(flight) : flight->callbacks != 0;
}

/* For all that is to be told of by now, whoever tells. */
static bool nobody_is_told(const struct flight *flights, int count)
{
    usleep(20000);
    if (polled)
        ersatz_device_poll(flights->device);
    for (int i = 0; i < count; i++) {
        if (is_told(&flights[i]))
            return false;
    }
    return true;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void test_late(bool by_callback, bool external)
{
    struct ersatz_device *device = open_with("late=#1:30ms,late=#2:3600s", 1, external);
    struct flight late, later, other;
    uint64_t begin = now_ns();

    CHECK_EQ(take_off(device, &late, by_callback), ERSATZ_OK);
    CHECK_EQ(take_off(device, &later, by_callback), ERSATZ_OK);
    CHECK_EQ(take_off(device, &other, by_callback), ERSATZ_OK);
    land(&other, ERSATZ_OK, NULL);
    land(&late, ERSATZ_OK, NULL);
    CHECK(now_ns() - begin >= 30000000);
    CHECK(nobody_is_told(&later, 1));
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 1);
    ersatz_device_stop(device); /* what is computed is told of */
    land(&later, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_LATE), 2);
    ersatz_device_free(device);
}

/* The first is computed first, and told of after the second, or when its time has come. */
static void test_reorder(bool by_callback, bool external)
{
    struct ersatz_device *device = open_with("reorder=#1:3600s,reorder=#3:1ms,reorder=#4:3600s", 1, external);
    struct flight first, second;

    CHECK_EQ(take_off(device, &first, by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_REORDER, 1);
    CHECK(nobody_is_told(&first, 1));
    CHECK_EQ(take_off(device, &second, by_callback), ERSATZ_OK);
    land(&second, ERSATZ_OK, NULL);
    land(&first, ERSATZ_OK, NULL);
    CHECK_EQ(take_off(device, &first, by_callback), ERSATZ_OK);
    land(&first, ERSATZ_OK, NULL); /* with nobody to overtake it */
    CHECK_EQ(take_off(device, &first, by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_REORDER, 3);
    ersatz_device_stop(device);
    land(&first, ERSATZ_OK, NULL);
    ersatz_device_free(device);
}

static char order[16]; /* of callbacks, a letter each; one thread runs them */

static int note_order(void *letter)
{
    order[strlen(order)] = *(const char *)letter;
    return 1;
}

static bool comes_before(char first, char second)
{
    return strchr(order, first) < strchr(order, second);
}

/* Whether the callbacks in these pairs have come. */
static bool all_have_come(const char *pairs)
{
    return strspn(pairs, order) == strlen(pairs);
}

/* One worker takes up count requests together: a, b, ... Of each pair of letters, the first one's callback
 * comes first; what is in none of them may wait until the device stops. */
static void check_order(const char *faults_text, int count, const char *pairs)
{
    static const char letters[] = "abcdefgh";
    struct ersatz_device *device = open_with_workers(faults_text, 1, true, 1);
    struct ersatz_request *requests[8];
    struct aes *aes[8];

    memset(order, 0, sizeof(order));
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (int i = 0; i < count; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], note_order, (void *)(uintptr_t)&letters[i]), ERSATZ_OK);
    }
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    while (!all_have_come(pairs)) {
        ersatz_device_poll(device);
        usleep(100);
    }
    ersatz_device_stop(device);
    while (strlen(order) < (size_t)count)
        ersatz_device_poll(device);
    for (const char *pair = pairs; *pair != '\0'; pair += 2) {
        if (!comes_before(pair[0], pair[1])) {
            fprintf(stderr, "%s: %s, where %.2s was expected\n", faults_text, order, pair);
            FAIL("another order than expected");
        }
    }
    for (int i = 0; i < count; i++) {
        CHECK(ersatz_request_is_done(requests[i]));
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        CHECK(aes_is_right(aes[i]));
        aes_free(aes[i]);
    }
    ersatz_device_free(device);
}

/* A request that comes behind a reordered one passes it, whatever else happens to the two. */
static void test_order(void)
{
    check_order("reorder=#1:3600s", 4, "ba");
    check_order("reorder=#2:3600s", 4, "accb");
    check_order("reorder=#1:3600s,reorder=#2:3600s", 4, "caab");
    check_order("reorder=#1:3600s,burst=2:3600s", 4, "ba");
    check_order("reorder=#1:3600s,late=#2:3600s", 3, "ca");
    check_order("reorder=#4:1ms", 4, "abbccd"); /* no request is there to pass it */
}

/* A burst is completed with one io_uring_enter(2). */
static void test_one_batch(bool by_callback)
{
    struct ersatz_device *device = open_with("burst=20:3600s", 1, false);
    struct flight flights[20];
    uint64_t enters = 0;

    for (int i = 0; i < 20; i++) {
        if (i == 19) {
            wait_until_computed(19);
            enters = ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS);
        }
        CHECK_EQ(take_off(device, &flights[i], by_callback), ERSATZ_OK);
    }
    for (int i = 0; i < 20; i++)
        land(&flights[i], ERSATZ_OK, NULL);
    ersatz_device_stop(device); /* then all is counted */
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_IO_URING_ENTERS), enters + 1);
    ersatz_device_free(device);
}

static void test_burst(bool by_callback, bool external)
{
    struct ersatz_device *device = open_with("burst=20:3600s", 1, external);
    struct flight flights[20];

    for (int i = 0; i < 19; i++)
        CHECK_EQ(take_off(device, &flights[i], by_callback), ERSATZ_OK);
    wait_until_computed(19);
    CHECK(nobody_is_told(flights, 19));
    CHECK_EQ(injected(ERSATZ_FAULT_BURST), 0);
    CHECK_EQ(take_off(device, &flights[19], by_callback), ERSATZ_OK);
    for (int i = 0; i < 20; i++)
        land(&flights[i], ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_BURST), 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(take_off(device, &flights[i], by_callback), ERSATZ_OK);
    wait_until_computed(23);
    ersatz_device_stop(device);
    for (int i = 0; i < 3; i++)
        land(&flights[i], ERSATZ_OK, NULL);
    ersatz_device_free(device);

    device = open_with("burst=20:1ms", 1, external);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(take_off(device, &flights[i], by_callback), ERSATZ_OK);
    for (int i = 0; i < 3; i++)
        land(&flights[i], ERSATZ_OK, NULL); /* fewer than there should be, after a while */
    CHECK(injected(ERSATZ_FAULT_BURST) >= 1);
    ersatz_device_free(device);
}

static void test_spurious(void)
{
    struct ersatz_device *device = open_with("spurious=#1:3600s,spurious=#2:1ms,spurious=#3:3600s", 1, false);
    struct flight flight, other;
    struct ersatz_request *next;
    struct aes *aes = aes_new(9);

    CHECK_EQ(take_off(device, &flight, false), ERSATZ_OK);
    CHECK(is_readable(&flight));
    CHECK(!ersatz_request_is_done(flight.request)); /* it was for nothing, */
    CHECK(!is_readable(&flight));                   /* and is consumed */
    CHECK(nobody_is_told(&flight, 1));
    CHECK_EQ(take_off(device, &other, false), ERSATZ_OK);
    CHECK(is_readable(&other));
    land(&other, ERSATZ_OK, NULL);
    /* The waker is used for the next request, with the wake-up for nothing still unread. */
    CHECK_EQ(take_off(device, &other, false), ERSATZ_OK);
    CHECK(is_readable(&other));
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &next), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_SIGNAL);
    CHECK_EQ(ersatz_submit_fd(next, other.waker), ERSATZ_OK);
    wait_until_computed(4);
    CHECK(!is_readable(&other));
    CHECK(!ersatz_request_is_done(next));
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    while (!ersatz_request_is_done(next))
        usleep(100);
    CHECK(!is_readable(&other));
    CHECK_EQ(ersatz_request_finish(next), ERSATZ_OK);
    CHECK(aes_is_right(aes));
    ersatz_device_stop(device);
    land(&flight, ERSATZ_OK, NULL);
    ersatz_waker_free(other.waker); /* its first request was an orphan, and goes with it */
    aes_free(other.aes);
    aes_free(aes);
    CHECK_EQ(injected(ERSATZ_FAULT_SPURIOUS), 3);
    CHECK_EQ(stats.orphans, 1);
    ersatz_device_free(device);
}

/* Both signals at once, over and over, and a submitter that looks at every moment: none is lost, none is
 * left. */
static void test_spurious_races(void)
{
    struct ersatz_device *device = open_with("spurious=100%:1ns", 1, false);
    struct flight flight;

    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(take_off(device, &flight, false), ERSATZ_OK);
        if (i % 2 == 0) {
            while (!ersatz_request_is_done(flight.request))
                ;
            CHECK(!is_readable(&flight));
        }
        land(&flight, ERSATZ_OK, NULL);
    }
    CHECK_EQ(injected(ERSATZ_FAULT_SPURIOUS), MANY);
    ersatz_device_free(device);
    /* Where there is no descriptor, there is none to wake by. */
    device = open_with("spurious=100%:3600s", 1, false);
    CHECK_EQ(take_off(device, &flight, true), ERSATZ_OK);
    land(&flight, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_SPURIOUS), 0);
    ersatz_device_free(device);
}

/* The ring is full for the first request: it waits in line, and so does all that comes after it. */
static void test_full(void)
{
    struct ersatz_device *device = open_with("ring_full=#1:3600s", 1, false);
    struct flight flights[8];

    CHECK_EQ(take_off(device, &flights[0], false), ERSATZ_OK);
    CHECK_EQ(take_off(device, &flights[1], false), ERSATZ_OK);
    CHECK_EQ(take_off(device, &flights[2], true), ERSATZ_RING_FULL);
    CHECK(nobody_is_told(flights, 2));
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), 0);
    CHECK_EQ(stats.retries, 3);
    CHECK_EQ(injected(ERSATZ_FAULT_RING_FULL), 1);
    ersatz_request_finish(flights[2].request);
    aes_free(flights[2].aes);
    ersatz_device_stop(device);
    for (int i = 0; i < 2; i++)
        land(&flights[i], ERSATZ_STOPPED, NULL);
    ersatz_device_free(device);

    device = open_with("ring_full=#1,ring_full=#2:2ms,ring_full=#6", 1, false);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(take_off(device, &flights[i], false), ERSATZ_OK);
    for (int i = 0; i < 8; i++)
        land(&flights[i], ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_RING_FULL), 3);
    ersatz_device_free(device);
}

/* All at once, to the end; and the card stopped in the middle of it. */
static void test_all(bool by_callback, bool external, bool to_the_end)
{
    struct ersatz_device *device = open_with(
        "late=20%:100us,reorder=20%:200us,burst=5:300us,spurious=20%:50us,ring_full=2%:100us", 3, external);
    struct flight flights[64];
    bool accepted[64] = {false};
    int count = to_the_end ? MANY : 64;

    for (int i = 0; i < count; i++) {
        struct flight *flight = &flights[i % 64];

        if (accepted[i % 64])
            land(flight, ERSATZ_OK, NULL);
        accepted[i % 64] = take_off(device, flight, by_callback) == ERSATZ_OK;
        if (!accepted[i % 64]) {
            ersatz_request_finish(flight->request);
            aes_free(flight->aes);
        }
    }
    if (!to_the_end)
        ersatz_device_stop(device);
    for (int i = 0; i < 64; i++) {
        if (!accepted[i])
            continue;
        wait_until_told(&flights[i]);
        if (ersatz_request_finish(flights[i].request) != ERSATZ_OK)
            CHECK(!to_the_end);
        if (flights[i].waker != NULL)
            ersatz_waker_free(flights[i].waker);
        aes_free(flights[i].aes);
    }
    if (to_the_end) {
        CHECK(injected(ERSATZ_FAULT_LATE) > 0 && injected(ERSATZ_FAULT_REORDER) > 0);
        CHECK(injected(ERSATZ_FAULT_BURST) > 0);
        CHECK(by_callback || injected(ERSATZ_FAULT_SPURIOUS) > 0);
        CHECK(injected(ERSATZ_FAULT_RING_FULL) > 0);
    }
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(120);
    for (int way = 0; way < 3; way++) {
        bool by_callback = way > 0, external = way == 2;

        test_late(by_callback, external);
        test_reorder(by_callback, external);
        test_burst(by_callback, external);
        for (int i = 0; i < 20; i++)
            test_all(by_callback, external, false);
        test_all(by_callback, external, true);
    }
    test_order();
    test_one_batch(false);
    test_one_batch(true);
    test_spurious();
    test_spurious_races();
    test_full();
    return 0;
}
