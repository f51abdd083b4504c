/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before it sleeps, a worker looks for work. After it has done so in vain several times in a row, it sleeps
 * at once, until a sleep was so short that looks would have found the request. The clock and the length of a
 * sleep are the test's own.
 */
#include <sched.h>
#include <time.h>

#include "base/doorbell.h"
#include "card.h"
#include "device/linger.h"

#define IN_VAIN 8u /* as in linger.c */
#define LONG_SLEEP 100000000u
#define SHORT_SLEEP 20000u /* nanoseconds */

static struct ersatz_stats stats;
static struct ersatz_device *device;
static _Atomic unsigned looks;
static _Atomic bool sleeps; /* the worker: from here on it does nothing before it is woken */
static _Atomic uint64_t now, sleep_length = LONG_SLEEP;
static _Atomic bool time_is_real; /* to free the device, which waits for its threads by the clock */

struct submitted {
    struct ersatz_request *request;
    struct ersatz_waker *waker;
};

static struct submitted *_Atomic late; /* is submitted at the worker's next look */

int __wrap_sched_yield(void);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
void __wrap_doorbell_sleep(struct doorbell *bell, uint64_t until);
void __real_doorbell_sleep(struct doorbell *bell, uint64_t until);

int __wrap_sched_yield(void)
{
    struct submitted *found = atomic_exchange(&late, NULL);

    atomic_fetch_add(&looks, 1);
    if (found != NULL)
        CHECK_EQ(ersatz_submit_fd(found->request, found->waker), ERSATZ_OK);
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    uint64_t at;

    if (atomic_load(&time_is_real))
        return __real_clock_gettime(clock, time);
    at = atomic_fetch_add(&now, 1000) + 1000; /* a microsecond passes between two calls */
    *time = (struct timespec){.tv_sec = (time_t)(at / 1000000000), .tv_nsec = (long)(at % 1000000000)};
    return 0;
}

void __wrap_doorbell_sleep(struct doorbell *bell, uint64_t until)
{
    atomic_store(&sleeps, true);
    __real_doorbell_sleep(bell, until);
    atomic_store(&sleeps, false);
    atomic_fetch_add(&now, atomic_load(&sleep_length));
}

static void wait_until_asleep(void)
{
    while (!atomic_load(&sleeps))
        usleep(1000);
}

static struct submitted new_request(const struct ersatz_op *op)
{
    struct submitted new;

    CHECK_EQ(ersatz_waker_new(&stats, &new.waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, op, true, &new.request), ERSATZ_OK);
    return new;
}

static void finish(struct submitted *submitted)
{
    card_finish(submitted->request);
    ersatz_waker_free(submitted->waker);
}

/* The worker sleeps so long, computes a request, and sleeps again. Returns whether it looked for work before
 * that. */
static bool looks_after_sleep(struct aes *aes, uint64_t length)
{
    struct submitted wakes = new_request(&aes->op);

    atomic_store(&sleep_length, length);
    atomic_store(&looks, 0);
    CHECK_EQ(ersatz_submit_fd(wakes.request, wakes.waker), ERSATZ_OK);
    finish(&wakes);
    wait_until_asleep();
    return atomic_load(&looks) > 0;
}

/* The same, and it finds another request when it looks. Before it sleeps it looks once more, in vain. */
static void find_by_looks(struct aes *aes, struct aes *other)
{
    struct submitted found = new_request(&other->op);

    atomic_store(&late, &found);
    CHECK(looks_after_sleep(aes, LONG_SLEEP));
    finish(&found);
}

/* A worker that woke early for the end of a lone operation looks again, however long it slept. */
static void look_after_early_wake(void)
{
    struct lingerer lingerer = {.in_vain = IN_VAIN};

    linger_slept(&lingerer, DOORBELL_NEVER, LONG_SLEEP);
    CHECK(lingerer.in_vain == IN_VAIN && !lingerer.woke_early);
    linger_slept(&lingerer, 1, LONG_SLEEP);
    CHECK(lingerer.in_vain == 0 && lingerer.woke_early);
}

int main(void)
{
    struct aes *aes = aes_new(1), *other = aes_new(2);

    test_begin(60);
    look_after_early_wake();
    device = card_open(&stats, 1, 0, false);
    wait_until_asleep();
    CHECK(atomic_load(&looks) > 0); /* the first time in vain, when it started */
    CHECK(looks_after_sleep(aes, LONG_SLEEP));
    find_by_looks(aes, other);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 1; i < IN_VAIN; i++)
            CHECK(looks_after_sleep(aes, LONG_SLEEP));
        for (unsigned i = 0; i < 3; i++)
            CHECK(!looks_after_sleep(aes, LONG_SLEEP));
        CHECK(looks_after_sleep(aes, SHORT_SLEEP)); /* in vain again, for the first time */
    }
    atomic_store(&time_is_real, true);
    ersatz_device_free(device);
    aes_free(aes);
    aes_free(other);
    return 0;
}
