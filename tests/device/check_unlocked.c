/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the check keeps about a request is written under its lock only: as soon as the lock is given back, a
 * device that stops may have given the entry to another request. The test's pthread_mutex_unlock() stands in
 * front of the C library's, and changes the entry right after the lock was given back, as another thread
 * might.
 */
#include <pthread.h>

#include "card.h"
#include "device/device.h"
#include "watch/check_state.h"

#define OF_ANOTHER 12345u

int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);

static const pthread_mutex_t *watched_lock;
static struct check_entry *entry;
static _Thread_local bool watches;
static unsigned unlocked;

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
    int result = __real_pthread_mutex_unlock(lock);

    if (watches && lock == watched_lock) {
        unlocked++;
        entry->left_at_ns = OF_ANOTHER;
    }
    return result;
}

int main(void)
{
    struct ersatz_stats stats = {0};
    static struct ersatz_findings findings;
    struct ersatz_device *device;
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    struct aes *aes = aes_new(1);

    test_begin(60);
    device = card_open_checked(&stats, &findings, false);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    watched_lock = &device->check->lock.mutex;
    entry = request->watched.entry;
    CHECK(entry != NULL);
    watches = true;
    CHECK(!ersatz_request_is_done(request)); /* resumed too early */
    watches = false;
    CHECK(unlocked > 0);
    CHECK_EQ(entry->left_at_ns, OF_ANOTHER);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    card_finish(request);
    ersatz_waker_free(waker);
    ersatz_device_free(device);
    aes_free(aes);
    return 0;
}
