/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance is dropped at the very moment at which a request begins there: between any two of the steps of
 * the worker and of the submitter (docs/atomics.md), and it is active afterwards. The device's own source,
 * with the other side's steps put in.
 */
#include "check.h"
#include "device/device.h"

enum moment { NEVER, BEFORE_REMOVAL, AFTER_REMOVAL, BEFORE_LOOK, AFTER_LOOK };

static enum moment moment;

static void other_side(enum moment now);

static bool hooked_bits_remove(_Atomic uint64_t *words, unsigned bit)
{
    bool removed;

    other_side(BEFORE_REMOVAL);
    removed = bits_remove(words, bit);
    other_side(AFTER_REMOVAL);
    return removed;
}

static bool hooked_bits_has(const _Atomic uint64_t *words, unsigned bit)
{
    bool has;

    other_side(BEFORE_LOOK);
    has = bits_has(words, bit);
    other_side(AFTER_LOOK);
    return has;
}

#define bits_remove hooked_bits_remove
#define bits_has hooked_bits_has
#include "../../sim/device/device.c"

static struct ersatz_stats stats;
static struct ersatz_device device;
static struct instance instance;
static struct ersatz_request request;

static void other_side(enum moment now)
{
    if (now != moment)
        return;
    moment = NEVER;
    if (now == BEFORE_REMOVAL || now == AFTER_REMOVAL)
        device_flight_began(&request);
    else
        device_drop_idle(&device);
}

int main(void)
{
    test_begin(100);
    device.config.instances = device.instances_ready = 1;
    device.config.stats = &stats;
    device.instances = &instance;
    instance.device = &device;
    instance.counts = &instance.own_counts;
    request.device = &device;
    request.instance = &instance;
    request.op.kind = ERSATZ_CIPHER;
    for (moment = BEFORE_REMOVAL; moment <= AFTER_LOOK; moment++) {
        enum moment this = moment;

        moment = NEVER;
        device_drop_idle(&device); /* notes how many have begun */
        bits_add(device.active, 0);
        moment = this;
        if (this == BEFORE_REMOVAL || this == AFTER_REMOVAL)
            device_drop_idle(&device);
        else
            device_flight_began(&request);
        CHECK_EQ(moment, NEVER);                                    /* it came to that */
        CHECK_EQ(device_flights(&device, ERSATZ_FLIGHT_ALL, 2), 1); /* of active instances */
        device_flight_ended(&request);
        device_drop_idle(&device);
        device_drop_idle(&device);
        CHECK_EQ(bits_next(device.active, 0, 1), 1); /* nothing is in flight: dropped */
        moment = this;
    }
    return 0;
}
