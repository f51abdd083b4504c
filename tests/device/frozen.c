/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process may be stopped as a whole (SIGSTOP, a frozen container) while it waits for the card to stop. Time
 * passes then, and the card's threads get no further. So it waits on afterwards; but not for ever.
 */
#include <errno.h>
#include <pthread.h>

#include "card.h"

/* The linker sends the device's calls here (--wrap). */
int __real_pthread_clockjoin_np(
    pthread_t thread, void **result, clockid_t clock, const struct timespec *until);
int __wrap_pthread_clockjoin_np(
    pthread_t thread, void **result, clockid_t clock, const struct timespec *until);

static unsigned waits;
static unsigned frozen; /* in so many waits the time has passed at once */

int __wrap_pthread_clockjoin_np(
    pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
    if (waits++ < frozen)
        return ETIMEDOUT;
    return __real_pthread_clockjoin_np(thread, result, clock, until);
}

static bool stop_frozen(unsigned times)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device = card_open(&stats, 1, 0, false);
    bool stopped;

    waits = 0;
    frozen = times;
    stopped = ersatz_device_stop(device);
    if (stopped)
        ersatz_device_free(device);
    return stopped;
}

int main(void)
{
    test_begin(60);
    CHECK(stop_frozen(1));
    CHECK(stop_frozen(4));
    CHECK(!stop_frozen(1000)); /* a thread is left behind, as at the end of a process */
    CHECK_EQ(waits, 5);
    return 0;
}
