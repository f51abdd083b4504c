/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll takes all completions that are there, however many, also where a thread that made room has taken
 * some before, and left one on the ring so that its descriptor stays readable. An application that waits for
 * edges polls once for each.
 */
#include <sched.h>

#include "card.h"
#include "device/device.h"

#define DEPTH 128u
#define MOST 70u /* more than twice as many as are taken at a time */

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct aes *aes[DEPTH];
static struct ersatz_request *requests[DEPTH];
static _Atomic int called;

static unsigned on_ring(void)
{
    return io_uring_cq_ready(&device->instances[0].responses);
}

/* Returns when the completions of requests from `first` on, `count` of them, are on the ring. */
static void submit(unsigned first, unsigned count)
{
    unsigned before = on_ring();

    for (unsigned i = first; i < first + count; i++) {
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], card_count, &called), ERSATZ_OK);
    }
    while (count > 0 && on_ring() < before + count)
        sched_yield();
}

/* Some are taken to make room, and then others come. */
static void poll_once(unsigned taken, unsigned others)
{
    called = 0;
    submit(0, taken);
    ersatz_device_make_room(device);
    CHECK_EQ(on_ring(), taken > 0 ? 1 : 0);
    submit(taken, others);
    CHECK_EQ(called, 0);
    CHECK_EQ(ersatz_device_poll(device), taken + others);
    CHECK_EQ(called, (int)(taken + others));
    CHECK_EQ(on_ring(), 0);
    for (unsigned i = 0; i < taken + others; i++)
        card_finish(requests[i]);
}

int main(void)
{
    test_begin(100);
    device = card_open(&stats, 1, DEPTH, true);
    CHECK(ersatz_device_response_fd(device, 0) > 2); /* there is a ring */
    for (unsigned i = 0; i < DEPTH; i++)
        aes[i] = aes_new((uint8_t)i);
    for (unsigned others = 0; others <= MOST; others++) {
        poll_once(0, others);
        poll_once(1, others);
        poll_once(31, others);
    }
    ersatz_device_free(device);
    for (unsigned i = 0; i < DEPTH; i++)
        aes_free(aes[i]);
    return 0;
}
