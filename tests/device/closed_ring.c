/* SPDX-License-Identifier: Apache-2.0 */
/* A program closes the descriptor of a response ring, and makes an io_uring of its own, which gets the
 * number. The card sends it nothing and does not close it; its own completions find another way. */
#include <fcntl.h>
#include <liburing.h>

#include "card.h"

static void operate(struct ersatz_device *device, struct aes *aes)
{
    struct ersatz_request *request;
    _Atomic int called = 0;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, card_count, &called), ERSATZ_OK);
    while (called == 0)
        ersatz_device_poll(device);
    CHECK(ersatz_request_is_done(request));
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(aes_is_right(aes));
}

int main(void)
{
    struct ersatz_stats stats = {0};
    struct ersatz_device *device;
    struct aes *aes = aes_new(1);
    struct io_uring own;
    int fd;

    test_begin(60);
    device = card_open(&stats, 1, 4, true);
    operate(device, aes);
    fd = ersatz_device_response_fd(device, 0);
    CHECK(fd > 2);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(io_uring_queue_init(8, &own, 0), 0);
    CHECK_EQ(own.ring_fd, fd);
    for (int i = 0; i < 10; i++)
        operate(device, aes);
    CHECK_EQ(ersatz_device_response_fd(device, 0), -1);
    CHECK_EQ(io_uring_cq_ready(&own), 0);
    ersatz_device_free(device);
    CHECK(fcntl(own.ring_fd, F_GETFD) >= 0);
    CHECK_EQ(io_uring_cq_ready(&own), 0);
    io_uring_queue_exit(&own);
    aes_free(aes);
    return 0;
}
