/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux refuses rings for want of locked memory, by a stand-in for liburing's function. If that ends, the
 * card starts: Linux counts the rings of a process that has ended for some time. If it does not end, the
 * start fails, and the next ones fail without a wait, until one succeeds.
 */
#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <stdatomic.h>

#include "card.h"

#define A_WHILE 200 /* tries; the card makes one a millisecond */
#define AT_ONCE 4

static _Atomic int refusals, calls;

int __real_io_uring_queue_init_params(unsigned, struct io_uring *, struct io_uring_params *);
int __wrap_io_uring_queue_init_params(unsigned, struct io_uring *, struct io_uring_params *);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    atomic_fetch_add(&calls, 1);
    if (atomic_load(&refusals) > 0) {
        atomic_fetch_sub(&refusals, 1);
        return -ENOMEM;
    }
    return __real_io_uring_queue_init_params(entries, ring, params);
}

/* Returns how many rings were asked for. */
static int open_with(int wanted_refusals, enum ersatz_result wanted)
{
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error = {.result = ERSATZ_OK};

    atomic_store(&refusals, wanted_refusals);
    atomic_store(&calls, 0);
    ersatz_config_init(&config, &stats);
    config.workers = 1;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), wanted);
    if (wanted == ERSATZ_OK)
        ersatz_device_free(device);
    else
        CHECK(strstr(error.text, "ulimit -l") != NULL);
    return atomic_load(&calls);
}

int main(void)
{
    test_begin(100);
    CHECK(open_with(A_WHILE, ERSATZ_OK) > A_WHILE);
    CHECK(open_with(INT_MAX, ERSATZ_NO_MEMORY) > A_WHILE);
    CHECK(open_with(INT_MAX, ERSATZ_NO_MEMORY) <= AT_ONCE);
    open_with(0, ERSATZ_OK);
    CHECK(open_with(A_WHILE, ERSATZ_OK) > A_WHILE);
    return 0;
}
