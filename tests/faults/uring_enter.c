/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_enter of the workers made to fail from each call on, once, ten times, or for good: every operation
 * still completes with the right result. */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "ersatz/device.h"
#include "ersatz/profile.h"

#define TEXT 4096
#define OPERATIONS 4
#define CALLS 12

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);

static atomic_long calls, failed;
static long first, times;
static int error_number;

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    long call = atomic_fetch_add(&calls, 1);

    if (call < first || call >= first + times)
        return __real_io_uring_submit_and_wait(ring, wait_nr);
    atomic_fetch_add(&failed, 1);
    return -error_number;
}

static int tell(void *arg)
{
    const uint64_t one = 1;

    CHECK_EQ(write(*(int *)arg, &one, sizeof(one)), (ssize_t)sizeof(one));
    return 1;
}

static void operate(struct ersatz_device *device, struct ersatz_waker *waker, bool by_callback, uint8_t *text)
{
    static const uint8_t key[16] = {1};
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    struct ersatz_request *request;
    int fd = ersatz_waker_fd(waker);

    CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
    op.u.cipher.in = op.u.cipher.out = text;
    op.u.cipher.len = TEXT;
    CHECK_EQ(ersatz_request_new(device, &op, true, &request), ERSATZ_OK);
    if (by_callback)
        CHECK_EQ(ersatz_submit_callback(request, tell, &fd), ERSATZ_OK);
    else
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    while (!ersatz_request_is_done(request))
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    ersatz_cipher_free(op.u.cipher.cipher);
}

/* Modelled: the timer thread signals, and its timer is in the calls that fail. */
static void run(bool by_callback, bool modelled, uint8_t *text)
{
    static const struct ersatz_profile profile = {.name = "test", .latency_ns = 300000};
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_error error;
    struct ersatz_device *device;
    struct ersatz_waker *waker;

    atomic_store(&calls, 0);
    memset(text, 7, TEXT);
    ersatz_config_init(&config, &stats);
    config.profile = modelled ? &profile : NULL;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned i = 0; i < OPERATIONS; i++)
        operate(device, waker, by_callback, text);
    ersatz_waker_free(waker);
    ersatz_device_free(device);
}

int main(void)
{
    static const int errors[] = {EINTR, EAGAIN, EBUSY, ENOMEM, EBADF, ENXIO, EPERM, EINVAL};
    static const long rows[] = {1, 10, 1000000};
    static uint8_t right[TEXT], got[TEXT];
    unsigned tried = 0;

    test_begin(100);
    run(false, false, right);
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        for (unsigned r = 0; r < 3; r++) {
            for (first = 0; first < CALLS; first++) {
                error_number = errors[e];
                times = rows[r];
                for (int way = 0; way < 4; way++, tried++) {
                    run(way % 2 == 1, way / 2 == 1, got);
                    CHECK(memcmp(got, right, TEXT) == 0);
                }
            }
        }
    }
    CHECK(atomic_load(&failed) > tried / 2);
    printf("%u runs, %ld calls failed\n", tried, atomic_load(&failed));
    return 0;
}
