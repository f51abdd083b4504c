/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback's thread that waits for the lock of the check, since the thread that has it has no core, is not
 * accused of a callback that sleeps. The test's pthread_mutex_lock() stands in front of the C library's, and
 * sleeps there for longer than a callback may.
 */
#include <pthread.h>

#include "card.h"
#include "device/device.h"
#include "watch/check_state.h"

#define WAIT_US 60000

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);

static const pthread_mutex_t *contended_lock;
static _Thread_local bool is_callbacks_thread;
static _Atomic unsigned waits;

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    if (is_callbacks_thread && lock == contended_lock) {
        usleep(WAIT_US);
        atomic_fetch_add(&waits, 1);
    }
    return __real_pthread_mutex_lock(lock);
}

static int on_result(void *arg)
{
    if (arg != NULL)
        usleep(WAIT_US);
    is_callbacks_thread = true;
    return 1;
}

static void run(struct ersatz_device *device, struct aes *aes, void *sleeps)
{
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, on_result, sleeps), ERSATZ_OK);
    card_finish(request);
}

int main(void)
{
    struct ersatz_stats stats = {0};
    static struct ersatz_findings findings;
    struct ersatz_device *device;
    struct aes *aes = aes_new(1);
    const _Atomic uint64_t *blocked = &findings.of[ERSATZ_FOUND_BLOCKED_CALLBACK].count;

    test_begin(60);
    device = card_open_checked(&stats, &findings, false);
    contended_lock = &device->check->lock.mutex;
    run(device, aes, NULL); /* from now on its thread is slow */
    for (unsigned i = 0; i < 10; i++)
        run(device, aes, NULL);
    CHECK(atomic_load(&waits) >= 10);
    CHECK_EQ(atomic_load(blocked), 0);
    while (atomic_load(blocked) == 0) /* on a busy machine not every one that sleeps is found */
        run(device, aes, &findings);
    ersatz_device_free(device);
    aes_free(aes);
    return 0;
}
