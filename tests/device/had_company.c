/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request had company: others in flight in its instance as it was submitted, or in any one now. */
#include "card.h"

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct aes *texts[4];
static struct ersatz_waker *wakers[4];
static struct ersatz_request *requests[4];

static void submit(unsigned i, unsigned instance)
{
    ersatz_thread_bind(instance);
    CHECK_EQ(ersatz_request_new(device, &texts[i]->op, true, &requests[i]), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
}

static bool had_company(unsigned i)
{
    return ersatz_request_had_company(requests[i]);
}

int main(void)
{
    struct ersatz_config config;
    struct ersatz_error error;

    test_begin(60);
    ersatz_config_init(&config, &stats);
    config.instances = 2;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    for (unsigned i = 0; i < 4; i++) {
        texts[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
    }
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    submit(0, 0);
    submit(1, 0);
    submit(2, 1);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < 3; i++)
        card_wait(requests[i]);
    CHECK(!had_company(0));
    CHECK(had_company(1));
    CHECK(!had_company(2));
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    submit(3, 1);
    CHECK(had_company(0));
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    card_wait(requests[3]);
    CHECK(!had_company(0));
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        ersatz_waker_free(wakers[i]);
        aes_free(texts[i]);
    }
    ersatz_device_free(device);
    return 0;
}
