/* SPDX-License-Identifier: Apache-2.0 */
/* A request notes which one its thread submitted after it, for the job that goes on first to fetch ahead. */
#include "card.h"
#include "device/device.h"

#define COUNT 3u

static const void *get(const void *const _Atomic *hint)
{
    return atomic_load_explicit(hint, memory_order_relaxed);
}

int main(void)
{
    static struct ersatz_stats stats;
    struct ersatz_device *device;
    struct aes *aes[COUNT];
    struct ersatz_waker *wakers[COUNT];
    struct ersatz_request *requests[COUNT];

    test_begin(60);
    device = card_open(&stats, 0, 0, false);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < COUNT; i++) {
        aes[i] = aes_new((uint8_t)i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &aes[i]->op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
    }
    for (unsigned i = 0; i + 1 < COUNT; i++) {
        CHECK(get(&requests[i]->after.request) == requests[i + 1]);
        CHECK(get(&requests[i]->after.waker) == wakers[i + 1]);
        CHECK(get(&requests[i]->after.cipher) == aes[i + 1]->op.u.cipher.cipher);
        CHECK(get(&requests[i]->after.buffer) == requests[i + 1]->buffer);
    }
    CHECK(get(&requests[COUNT - 1]->after.request) == NULL);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < COUNT; i++) {
        card_finish(requests[i]);
        ersatz_waker_free(wakers[i]);
        CHECK(aes_is_right(aes[i]));
        aes_free(aes[i]);
    }
    ersatz_device_free(device);
    return 0;
}
