/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping with work in flight: all of it is told, as stopped or as done, and every thread and descriptor
 * goes. */
#include <pthread.h>
#include <stdatomic.h>

#include "card.h"
#include "proc.h"

#define REQUESTS 12

static void stop_with(enum ersatz_hold where, bool callbacks, bool external)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 1, 4, external);
    struct ersatz_request *requests[REQUESTS];
    struct ersatz_waker *wakers[REQUESTS];
    struct aes *aes[REQUESTS];
    _Atomic int called = 0;
    int accepted = 0;

    ersatz_device_hold(device, where);
    for (int i = 0; i < REQUESTS; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        if (callbacks) {
            enum ersatz_result result = ersatz_submit_callback(requests[i], card_count, &called);

            CHECK_EQ(result, i < 4 ? ERSATZ_OK : ERSATZ_RING_FULL);
            accepted += result == ERSATZ_OK;
        } else {
            CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
            accepted++;
        }
    }
    ersatz_device_stop(device);
    for (int i = 0; i < REQUESTS; i++) {
        enum ersatz_result result;

        if (i < accepted && external)
            ersatz_request_wait(requests[i], 1000); /* nobody polls any more: takes its own completion */
        CHECK(i >= accepted || ersatz_request_is_done(requests[i]));
        result = ersatz_request_finish(requests[i]);
        CHECK(result == ERSATZ_STOPPED || (result == ERSATZ_OK && where == ERSATZ_HOLD_SIGNAL));
    }
    CHECK_EQ(called, callbacks && !external ? accepted : 0);
    for (int i = 0; i < REQUESTS; i++)
        ersatz_waker_free(wakers[i]);
    ersatz_device_free(device);
    for (int i = 0; i < REQUESTS; i++)
        aes_free(aes[i]);
}

#define LATE 200
#define LATE_THREADS 3

static struct ersatz_request *late[LATE_THREADS][LATE];
static pthread_barrier_t at_once;

static void *return_late(void *requests)
{
    pthread_barrier_wait(&at_once);
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(ersatz_request_finish(((struct ersatz_request **)requests)[i]), ERSATZ_STOPPED);
    return NULL;
}

/* Requests stay valid while and after the device is freed, and its memory goes with the last of them: the
 * address sanitizer would see it used later, or leaked. */
static void return_while_freed(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 2, 0, false);
    struct aes *aes = aes_new(1);
    pthread_t threads[LATE_THREADS];

    for (unsigned t = 0; t < LATE_THREADS; t++) {
        ersatz_thread_bind(t);
        for (int i = 0; i < LATE; i++) {
            struct aes *each = aes_new((uint8_t)i);

            CHECK_EQ(ersatz_request_new(device, &each->op, true, &late[t][i]), ERSATZ_OK);
            aes_free(each);
        }
    }
    CHECK_EQ(pthread_barrier_init(&at_once, NULL, LATE_THREADS + 1), 0);
    for (unsigned t = 0; t < LATE_THREADS; t++)
        CHECK_EQ(pthread_create(&threads[t], NULL, return_late, late[t]), 0);
    for (int i = 0; i < LATE; i++) { /* some come back before: not all are in use then */
        struct ersatz_request *request;

        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_STOPPED);
    }
    ersatz_device_stop(device);
    pthread_barrier_wait(&at_once);
    ersatz_device_free(device);
    for (unsigned t = 0; t < LATE_THREADS; t++)
        CHECK_EQ(pthread_join(threads[t], NULL), 0);
    pthread_barrier_destroy(&at_once);
    aes_free(aes);
}

/* A callback on a thread of the device's own, which has that thread wait for nobody. */
static struct ersatz_device *own;
static _Atomic int stopped;

static int stop_here(void *arg)
{
    (void)arg;
    CHECK(!ersatz_device_stop(own)); /* this thread is left */
    atomic_store(&stopped, 1);
    return 1;
}

static int free_here(void *arg)
{
    (void)arg;
    ersatz_device_free(own);
    atomic_store(&stopped, 1);
    return 1;
}

static void stop_in_callback(int (*callback)(void *))
{
    static struct ersatz_stats stats; /* of a device whose end comes later */
    struct aes *aes = aes_new(1);
    struct ersatz_request *request;

    atomic_store(&stopped, 0);
    own = card_open(&stats, 2, 4, false);
    CHECK_EQ(ersatz_request_new(own, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, callback, NULL), ERSATZ_OK);
    while (!atomic_load(&stopped) || !ersatz_request_is_done(request))
        usleep(100);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    aes_free(aes);
}

static void *begin_and_end(void *thread)
{
    *(pid_t *)thread = gettid();
    return NULL;
}

/* Sanitizers start a thread of their own with the first one. */
static void start_first_thread(void)
{
    char path[64];
    pthread_t thread;
    pid_t task;

    CHECK_EQ(pthread_create(&thread, NULL, begin_and_end, &task), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    snprintf(path, sizeof(path), "/proc/self/task/%d", (int)task);
    while (access(path, F_OK) == 0)
        usleep(100); /* joined, but the kernel still takes it apart */
}

int main(void)
{
    int tasks, descriptors;

    test_begin(60);
    start_first_thread();
    tasks = count_threads();
    descriptors = count_descriptors();
    for (enum ersatz_hold where = ERSATZ_HOLD_COMPUTE; where <= ERSATZ_HOLD_SIGNAL; where++) {
        stop_with(where, false, false);
        stop_with(where, true, false);
        stop_with(where, true, true);
    }
    for (int i = 0; i < 300; i++) {
        struct ersatz_stats stats = {0};

        ersatz_device_free(card_open(&stats, 2, 8, false));
    }
    for (int i = 0; i < 20; i++)
        return_while_freed();
    stop_in_callback(free_here);
    ersatz_devices_wait_for_end();
    while (count_threads() != tasks)
        usleep(100); /* joined, but the kernel still takes them apart; one that stayed would hang the test */
    CHECK_EQ(count_descriptors(), descriptors);
    stop_in_callback(stop_here); /* for the end of a process: it leaves a thread behind */
    return 0;
}
