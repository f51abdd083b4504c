/* SPDX-License-Identifier: Apache-2.0 */
/* Of locked memory a card takes no more than it needs, and no more than leaves as much to 63 others: the
 * workers beyond that have no ring, and tell of what they computed all the same; and an instance has no
 * response ring before its first callback. */
#include <sys/resource.h>

#include "card.h"
#include "device/device.h"
#include "device/uring.h"

#define WORKERS 8

static void limit_to(rlim_t bytes)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    limit.rlim_cur = bytes;
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

static void operate(struct ersatz_device *device, struct ersatz_stats *stats)
{
    struct aes *aes = aes_new(1);
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    CHECK_EQ(ersatz_waker_new(stats, &waker), ERSATZ_OK);
    for (int i = 0; i < 4 * WORKERS; i++) {
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        while (!ersatz_request_is_done(request))
            ersatz_request_wait(request, 1000);
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
        CHECK(aes_is_right(aes));
    }
    CHECK_EQ(ersatz_stats_count(stats, ERSATZ_COUNTER_WAKEUPS), 4 * WORKERS);
    ersatz_waker_free(waker);
    aes_free(aes);
}

static unsigned response_rings(struct ersatz_device *device)
{
    unsigned found = 0;

    for (unsigned i = 0; i < device->instances_ready; i++)
        found += atomic_load(&device->instances[i].ring_state) != RING_NOT_MADE;
    return found;
}

static void open_with(rlim_t bytes, unsigned rings)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device;
    unsigned found = 0;

    limit_to(bytes);
    CHECK_EQ(uring_fair_share() < WORKERS ? uring_fair_share() : WORKERS, rings);
    device = card_open(&stats, WORKERS, 4, false);
    for (unsigned i = 0; i < WORKERS; i++)
        found += device->workers[i].poster.has_ring;
    CHECK_EQ(found, rings);
    CHECK(device->workers[0].poster.has_ring);
    operate(device, &stats);
    CHECK(device->instances_ready > 1);
    CHECK_EQ(response_rings(device), 0);
    card_use_callback(device);
    CHECK_EQ(response_rings(device), 1);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    open_with(2 << 20, 4);
    open_with(64 << 10, 1);
    return 0;
}
