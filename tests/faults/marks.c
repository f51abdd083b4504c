/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that polls waits at the descriptor of a response ring. Workers that have no io_uring, or
 * whose io_uring_enter fails, cannot send to that ring. The descriptor becomes readable all the same, and
 * each callback runs once.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>

#include "check.h"
#include "ersatz/device.h"

#define TEXT 4096
#define WORKERS 8
#define ROUNDS 50

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __real_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);

static atomic_int to_fail; /* how many calls of io_uring_submit_and_wait() */
static int error_number;
static atomic_int rings; /* how many workers may still make a ring */

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    int left = atomic_load(&to_fail);

    while (left > 0) {
        if (atomic_compare_exchange_weak(&to_fail, &left, left - 1))
            return -error_number;
    }
    return __real_io_uring_submit_and_wait(ring, wait_nr);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    bool is_a_workers = (params->flags & IORING_SETUP_CQSIZE) == 0;

    if (is_a_workers && atomic_fetch_sub(&rings, 1) <= 0)
        return -ENOMEM;
    return __real_io_uring_queue_init_params(entries, ring, params);
}

static int count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 1;
}

static void operate(struct ersatz_device *device)
{
    static const uint8_t key[16] = {1};
    static uint8_t texts[WORKERS][TEXT];
    struct pollfd ring = {.fd = ersatz_device_response_fd(device, 0), .events = POLLIN};
    struct ersatz_request *requests[WORKERS];
    struct ersatz_op ops[WORKERS];
    atomic_int calls = 0;

    CHECK(ring.fd > 2);
    for (int i = 0; i < WORKERS; i++) {
        ops[i] = (struct ersatz_op){.kind = ERSATZ_CIPHER};
        CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &ops[i].u.cipher.cipher), ERSATZ_OK);
        CHECK_EQ(ersatz_cipher_set_key(ops[i].u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
        ops[i].u.cipher.in = ops[i].u.cipher.out = texts[i];
        ops[i].u.cipher.len = TEXT;
        CHECK_EQ(ersatz_request_new(device, &ops[i], true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], count, &calls), ERSATZ_OK);
    }
    while (calls < WORKERS) {
        CHECK_EQ(poll(&ring, 1, -1), 1);
        ersatz_device_poll(device);
    }
    CHECK_EQ(calls, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        CHECK(ersatz_request_is_done(requests[i]));
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
        ersatz_cipher_free(ops[i].u.cipher.cipher);
    }
}

static void run(unsigned workers, int rings_of_workers, int failures, int error)
{
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_error text;
    struct ersatz_device *device;

    ersatz_config_init(&config, &stats);
    config.workers = workers;
    config.instances = 1;
    config.external_polling = true;
    atomic_store(&rings, rings_of_workers);
    atomic_store(&to_fail, 0);
    CHECK_EQ(ersatz_device_open(&config, &device, &text), ERSATZ_OK);
    atomic_store(&rings, 1000);
    error_number = error;
    atomic_store(&to_fail, failures);
    for (int i = 0; i < ROUNDS; i++)
        operate(device);
    CHECK_EQ(atomic_load(&to_fail), 0);
    ersatz_device_free(device);
}

int main(void)
{
    static const int errors[] = {EINTR, EAGAIN, ENOMEM, EBADF, ENXIO, EPERM};

    test_begin(100);
    run(WORKERS, 1, 0, 0);
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        run(1, 1, 1, errors[e]);
        run(1, 1, 10, errors[e]);
        run(WORKERS, WORKERS, 3, errors[e]);
    }
    return 0;
}
