/* SPDX-License-Identifier: Apache-2.0 */
/* The timers: nothing comes before its time or out of order, nothing is lost, and what waits in it is in
 * nobody's way. */
#include <poll.h>
#include <semaphore.h>

#include "card.h"
#include "device/device.h"
#include "device/timers.h"
#include "ersatz/profile.h"

#define REQUESTS 40
#define MS UINT64_C(1000000)
#define HOUR (UINT64_C(3600) * 1000 * MS) /* so long no test waits */

static struct ersatz_device *open_with(struct ersatz_stats *stats, uint64_t latency, bool external)
{
    struct ersatz_profile profile = {.name = "test", .latency_ns = latency};
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_config_init(&config, stats);
    config.profile = &profile;
    config.external_polling = external;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

enum told { BY_FD, BY_CALLBACK, BY_POLLING, BY_WAITING, WAYS };

static void submit(
    struct ersatz_request *request, enum told told, struct ersatz_waker *waker, _Atomic int *calls)
{
    if (told == BY_FD)
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    else if (told == BY_WAITING)
        CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    else
        CHECK_EQ(ersatz_submit_callback(request, card_count, calls), ERSATZ_OK);
}

static void wait_until_done(
    struct ersatz_device *device, struct ersatz_request *request, enum told told, struct ersatz_waker *waker)
{
    while (!ersatz_request_is_done(request)) {
        CHECK(told != BY_WAITING);
        if (told == BY_FD)
            poll(&(struct pollfd){.fd = ersatz_waker_fd(waker), .events = POLLIN}, 1, -1);
        else if (told == BY_POLLING)
            ersatz_device_poll(device);
        else
            ersatz_request_wait(request, 1000);
    }
}

/* However a request is told of, that is not before it is due, and its result is right. */
static void check_never_early(enum told told, uint64_t latency)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_with(&stats, latency, told == BY_POLLING);
    struct ersatz_request *requests[REQUESTS];
    struct ersatz_waker *wakers[REQUESTS];
    struct aes *aes[REQUESTS];
    _Atomic int calls = 0;

    for (int i = 0; i < REQUESTS; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        submit(requests[i], told, wakers[i], &calls);
    }
    for (int i = 0; i < REQUESTS; i++) {
        wait_until_done(device, requests[i], told, wakers[i]);
        CHECK(requests[i]->due >= requests[i]->accepted + latency);
        CHECK(requests[i]->times.at[ERSATZ_POINT_SIGNALLED] >= requests[i]->due);
        CHECK(clock_now() >= requests[i]->due);
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        CHECK(aes_is_right(aes[i]));
        CHECK_EQ(poll(&(struct pollfd){.fd = ersatz_waker_fd(wakers[i]), .events = POLLIN}, 1, 0), 0);
    }
    CHECK_EQ(calls, told == BY_CALLBACK || told == BY_POLLING ? REQUESTS : 0);
    CHECK_EQ(stats.profile_told, REQUESTS);
    CHECK(stats.profile_asked_ns >= REQUESTS * latency);
    CHECK(stats.profile_reached_ns >= stats.profile_asked_ns);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    for (int i = 0; i < REQUESTS; i++) {
        ersatz_waker_free(wakers[i]);
        aes_free(aes[i]);
    }
    ersatz_device_free(device);
}

/* -------------------------------------------------------------------------------------------------- order */

static struct {
    sem_t enter, leave;
    int done[8];
    _Atomic int count;
} line;

static void block(void *arg)
{
    (void)arg;
    sem_post(&line.enter);
    sem_wait(&line.leave);
}

static void note(void *arg)
{
    line.done[atomic_load(&line.count)] = *(int *)arg;
    atomic_fetch_add(&line.count, 1);
}

static void count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

/* By their time, and of those with the same time the first to come first. */
static void check_order(void)
{
    static int names[] = {0, 1, 2, 3, 4, 5, 6};
    static const uint64_t due[] = {300, 100, 200, 100, 500, 100, TIMERS_NEVER};
    static const int expected[] = {1, 3, 5, 2, 0, 4, 6};
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_with(&stats, 0, false);

    sem_init(&line.enter, 0, 0);
    sem_init(&line.leave, 0, 0);
    CHECK(timers_call(device->timers, 0, block, NULL));
    while (sem_wait(&line.enter) != 0)
        ;
    for (int i = 0; i < 7; i++) /* all of them in the past, but the last */
        CHECK(timers_call(device->timers, due[i], note, &names[i]));
    sem_post(&line.leave);
    while (atomic_load(&line.count) < 6)
        usleep(100);
    usleep(1000);
    CHECK_EQ(atomic_load(&line.count), 6); /* never comes by itself */
    timers_flush(device->timers);
    while (atomic_load(&line.count) < 7)
        usleep(100);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(line.done[i], expected[i]);
    ersatz_device_free(device);
}

/* What is due sooner than what the line sleeps for wakes it, and a later one does not make it miss an earlier
 * one. */
static void check_sooner(void)
{
    static int names[] = {0, 1};
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_with(&stats, 0, false);
    _Atomic int later = 0;
    int tries = 0;
    bool in_time;

    do {
        uint64_t now;

        atomic_store(&line.count, 0);
        CHECK(timers_call(device->timers, clock_now() + HOUR, count, &later));
        usleep(20000); /* it sleeps by now, most of the time */
        now = clock_now();
        CHECK(timers_call(device->timers, now + 40 * MS, note, &names[1]));
        CHECK(timers_call(device->timers, now + 30 * MS, note, &names[0]));
        in_time = clock_now() < now + 40 * MS; /* else this thread was kept from adding the second */
        while (atomic_load(&line.count) < 2)
            usleep(100);
        CHECK(clock_now() >= now + 40 * MS);
        CHECK(!in_time || (line.done[0] == 0 && line.done[1] == 1));
        tries++;
    } while (!in_time);
    CHECK_EQ(atomic_load(&later), 0);
    ersatz_device_free(device);
    CHECK_EQ(atomic_load(&later), tries);
}

/* ------------------------------------------------------------------------------------------ orphans, stop */

/* A waker goes at once, though the card answers in an hour; the request comes back when the device stops. */
static void check_orphan(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_with(&stats, HOUR, false);
    struct aes *aes = aes_new(3);
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) == 0)
        usleep(100);
    CHECK(!ersatz_request_is_done(request));
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 1); /* the card has it still */
    ersatz_waker_free(waker);
    CHECK_EQ(stats.orphans, 1);
    ersatz_device_stop(device);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    CHECK(!timers_call(device->timers, 0, note, NULL)); /* it has ended */
    ersatz_device_free(device);
    aes_free(aes);
}

/* Stopping does not wait for what is not due: it is told of, with its result. */
static void check_stop(enum told told)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = open_with(&stats, HOUR, told == BY_POLLING);
    struct aes *aes = aes_new(4);
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    _Atomic int calls = 0;

    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    submit(request, told, waker, &calls);
    while (ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) == 0)
        usleep(100);
    ersatz_device_stop(device);
    wait_until_done(device, request, told, waker);
    CHECK_EQ(calls, told != BY_FD);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(aes_is_right(aes));
    ersatz_waker_free(waker);
    ersatz_device_free(device);
    aes_free(aes);
}

int main(void)
{
    test_begin(60);
    for (enum told told = BY_FD; told < WAYS; told++) {
        check_never_early(told, told == BY_WAITING ? MS / 5 : 5 * MS);
        check_never_early(told, 0);
    }
    check_order();
    check_sooner();
    check_orphan();
    check_stop(BY_FD);
    check_stop(BY_CALLBACK);
    check_stop(BY_POLLING);
    return 0;
}
