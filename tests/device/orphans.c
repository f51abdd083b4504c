/* SPDX-License-Identifier: Apache-2.0 */
/* N10 at the device: the requests of wakers that go away come back to the pool, however many; at every point
 * of their life. */
#include "card.h"

#define MANY 70000 /* more than the pool has room for at a time */

static void lose(struct ersatz_device *device, struct ersatz_stats *stats, struct aes *aes)
{
    struct ersatz_request *request;
    struct ersatz_waker *waker;
    enum ersatz_result result;

    CHECK_EQ(ersatz_waker_new(stats, &waker), ERSATZ_OK);
    while ((result = ersatz_request_new(device, &aes->op, true, &request)) == ERSATZ_BUSY)
        ; /* the state of the one before is still in use */
    CHECK_EQ(result, ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    ersatz_waker_free(waker);
}

int main(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device = card_open(&stats, 0, 0, false);
    struct aes *aes = aes_new(1);

    test_begin(120);
    for (int i = 0; i < MANY; i++)
        lose(device, &stats, aes);
    CHECK_EQ(stats.orphans, MANY);
    for (enum ersatz_hold where = ERSATZ_HOLD_COMPUTE; where <= ERSATZ_HOLD_SIGNAL; where++) {
        struct aes *held = aes_new(2);

        ersatz_device_hold(device, where);
        lose(device, &stats, held);
        aes_free(held); /* the card keeps what it needs */
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    }
    while (stats.in_flight[ERSATZ_FLIGHT_ALL] != 0)
        usleep(100);
    CHECK_EQ(stats.completed, MANY + 2);
    aes_free(aes);
    ersatz_device_free(device); /* a leak checker sees what did not come back */
    return 0;
}
