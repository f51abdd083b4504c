/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread and ring that a device asks for at its start refused in turn: a clear error, and no descriptor
 * left behind. Where there is no memory for a ring, only the first one is needed. */
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ersatz/device.h"
#include "ersatz/profile.h"
#include "proc.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __real_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *params);

#define WORKERS 3

static long countdown; /* the call that fails; calls are one after the other: each start is waited for */
static int error_number;
static unsigned rings, refused_ring;       /* which ring was refused, from 1; 0: none */
static _Thread_local bool short_of_memory; /* for each ring of this thread, which tries again */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    return fails() ? error_number : __real_pthread_create(thread, attr, start, arg);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    rings++;
    if (short_of_memory)
        return -ENOMEM;
    if (!fails())
        return __real_io_uring_queue_init_params(entries, ring, params);
    refused_ring = rings;
    short_of_memory = error_number == ENOMEM;
    return -error_number;
}

static void compute(struct ersatz_device *device)
{
    static const uint8_t key[16] = {1}, right[16];
    static uint8_t text[16];
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    struct ersatz_request *request;

    memset(text, 0, sizeof(text));
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CTR, 128, &op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
    op.u.cipher.in = op.u.cipher.out = text;
    op.u.cipher.len = sizeof(text);
    CHECK_EQ(ersatz_request_new(device, &op, false, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(memcmp(text, right, sizeof(text)) != 0);
    ersatz_cipher_free(op.u.cipher.cipher);
}

/* False: no call failed. */
static bool start(long failing, bool modelled, int *failures)
{
    static const struct ersatz_profile profile = {.name = "test", .latency_ns = 1};
    static struct ersatz_stats stats;
    struct ersatz_config config;
    struct ersatz_error error = {.result = ERSATZ_OK};
    struct ersatz_device *device = NULL;

    ersatz_config_init(&config, &stats);
    config.profile = modelled ? &profile : NULL;
    config.workers = config.instances = WORKERS;
    countdown = failing;
    rings = refused_ring = 0;
    if (ersatz_device_open(&config, &device, &error) == ERSATZ_OK) {
        bool without_ring = error_number == ENOMEM && refused_ring != 0;

        /* The timer thread comes first, then the workers. */
        CHECK(!without_ring || refused_ring != (modelled ? 2 : 1));
        CHECK(countdown > 0 || failing == 0 || without_ring);
        if (without_ring)
            compute(device);
        ersatz_device_free(device);
        countdown = 0;
        return without_ring;
    }
    CHECK(countdown == 0 && failing > 0);
    CHECK(error.result != ERSATZ_OK && error.text[0] != '\0');
    (*failures)++;
    return true;
}

int main(void)
{
    static const int errors[] = {EMFILE, ENOMEM, EAGAIN, EPERM};
    int before, failures[2] = {0, 0};

    test_begin(100);
    start(0, true, failures);
    before = count_descriptors();
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        error_number = errors[e];
        for (int modelled = 0; modelled < 2; modelled++) {
            for (long call = 1; start(call, modelled == 1, &failures[modelled]); call++)
                CHECK_EQ(count_descriptors(), before);
        }
    }
    /* A thread and a ring for each worker, and for the timers; rings but the first may lack memory. */
    CHECK_EQ(failures[0], 4 * 2 * WORKERS - (WORKERS - 1));
    CHECK_EQ(failures[1], failures[0] + 4 * 2 - 1);
    printf("%d starts refused\n", failures[0] + failures[1]);
    return 0;
}
