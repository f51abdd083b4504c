/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that stops cancels what is in its rings. A submitter may have taken a place there and not filled
 * it, or another core may not see yet that it has: then the thread that stops waits, but not for ever.
 */
#include "device/instance.h"

#include "check.h"

static struct instance instance;
static struct ersatz_request request;
static unsigned yields, fill_at; /* 0: never */

/* The two halves of ring_push(). */
static size_t take_place(void)
{
    return atomic_fetch_add(&instance.requests.tail, 1);
}

static void fill(size_t place)
{
    struct ring_slot *slot = &instance.requests.slots[place & instance.requests.mask];

    slot->item = &request;
    atomic_store(&slot->turn, place + 1);
}

static size_t place;

int __wrap_sched_yield(void);

int __wrap_sched_yield(void)
{
    if (++yields == fill_at)
        fill(place);
    return 0;
}

int main(void)
{
    test_begin(60);
    CHECK(ring_init(&instance.requests, 4));
    ersatz_lock_renew(&instance.line_lock);
    instance.line_end = &instance.line_first;
    instance.counts = &instance.own_counts;

    CHECK(instance_take_back(&instance) == NULL); /* empty */
    CHECK_EQ(yields, 0);
    for (fill_at = 1; fill_at <= 3; fill_at++) {
        yields = 0;
        place = take_place();
        CHECK(instance_take_back(&instance) == &request);
        CHECK_EQ(yields, fill_at);
    }
    fill_at = yields = 0; /* a submitter that is interrupted there by the thread that stops */
    place = take_place();
    CHECK(instance_take_back(&instance) == NULL);
    CHECK(yields > 0);
    fill(place);
    CHECK(instance_take_back(&instance) == &request);
    ring_destroy(&instance.requests);
    return 0;
}
