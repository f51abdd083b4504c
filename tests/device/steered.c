/* SPDX-License-Identifier: Apache-2.0 */
/* A card that is steered while it runs: its list of faults is replaced; it is reset, taken away,
 * brought back. */
#include "fault_card.h"

static struct ersatz_device *open_steered(bool steered)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    memset(&stats, 0, sizeof(stats));
    ersatz_config_init(&config, &stats);
    config.instances = 1;
    config.steered = steered;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

static void replace(struct ersatz_device *device, const char *text)
{
    struct ersatz_faults list;
    struct ersatz_error error;
    size_t offset;

    CHECK_EQ(ersatz_faults_parse(text, &list, &offset, &error), ERSATZ_OK);
    CHECK_EQ(ersatz_device_replace_faults(device, &list), ERSATZ_OK);
}

static void fly(struct ersatz_device *device, bool by_callback, enum ersatz_result wanted, const char *blame)
{
    struct flight flight;

    CHECK_EQ(take_off(device, &flight, by_callback), ERSATZ_OK);
    land(&flight, wanted, blame);
}

/* Each list counts from the next request on, also one that comes again; what is in flight keeps its
 * faults. */
static void test_lists(void)
{
    struct ersatz_device *device = open_steered(true);
    struct flight late;

    fly(device, false, ERSATZ_OK, NULL);
    for (unsigned round = 0; round < 3; round++) {
        replace(device, "fail=#2");
        fly(device, false, ERSATZ_OK, NULL);
        fly(device, true, ERSATZ_DEVICE_ERROR, "fail on request #");
        fly(device, false, ERSATZ_OK, NULL);
        replace(device, "fail=2x");
        fly(device, true, ERSATZ_DEVICE_ERROR, "fail on request #");
        replace(device, "none");
        fly(device, false, ERSATZ_OK, NULL);
    }
    CHECK_EQ(injected(ERSATZ_FAULT_FAIL), 6);
    replace(device, "late=100%:30ms,reorder=100%:1ms,burst=3:1ms");
    CHECK_EQ(take_off(device, &late, false), ERSATZ_OK);
    replace(device, "none");
    fly(device, false, ERSATZ_OK, NULL);
    land(&late, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_LATE), 1);
    ersatz_device_free(device);
}

/* Requests that hang end by a reset from outside. */
static void test_reset(bool by_callback)
{
    struct ersatz_device *device = open_steered(true);
    struct flight hung[3];

    replace(device, "hang=3x");
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(take_off(device, &hung[i], by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 3);
    CHECK(ersatz_device_reset(device, 0));
    for (unsigned i = 0; i < 3; i++)
        land(&hung[i], ERSATZ_DEVICE_RESET, "reset by a control command");
    fly(device, by_callback, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_RESET), 1);
    ersatz_device_free(device);
}

/* Requests that no worker has taken fail; none is accepted until the card is back. */
static void test_gone(void)
{
    struct ersatz_device *device = open_steered(true);
    struct flight waiting, refused;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(take_off(device, &waiting, false), ERSATZ_OK);
    CHECK(ersatz_device_remove(device));
    CHECK(!ersatz_device_is_running(device));
    CHECK(ersatz_device_reset(device, 0)); /* gone stays gone */
    CHECK(!ersatz_device_is_running(device));
    CHECK_EQ(take_off(device, &refused, false), ERSATZ_DEVICE_GONE);
    CHECK_EQ(ersatz_request_finish(refused.request), ERSATZ_STOPPED);
    ersatz_waker_free(refused.waker);
    aes_free(refused.aes);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    land(&waiting, ERSATZ_DEVICE_GONE, "gone by a control command");
    CHECK(ersatz_device_bring_back(device));
    CHECK(ersatz_device_is_running(device));
    fly(device, true, ERSATZ_OK, NULL);
    CHECK(ersatz_device_reset(device, UINT64_C(3600000000000)));
    CHECK(!ersatz_device_is_running(device));
    CHECK(ersatz_device_bring_back(device));
    fly(device, false, ERSATZ_OK, NULL);
    ersatz_device_free(device);
}

/* The device is freed while requests hang. */
static void test_end(void)
{
    struct ersatz_device *device = open_steered(true);
    struct flight hung;

    replace(device, "hang=1x");
    CHECK_EQ(take_off(device, &hung, false), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 1);
    ersatz_device_free(device);
    land(&hung, ERSATZ_STOPPED, NULL);
}

static void test_not_steered(void)
{
    struct ersatz_device *device = open_steered(false);
    struct ersatz_faults none = {0};

    CHECK_EQ(ersatz_device_replace_faults(device, &none), ERSATZ_TOO_LATE);
    CHECK(!ersatz_device_reset(device, 0) && !ersatz_device_remove(device));
    CHECK(!ersatz_device_bring_back(device) && ersatz_device_is_running(device));
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    test_lists();
    test_reset(false);
    test_reset(true);
    test_gone();
    test_end();
    test_not_steered();
    return 0;
}
