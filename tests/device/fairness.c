/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No stream starves another: however many operations wait, one that comes after them is done within two
 * batches where it is on another instance, and in its turn where it is on the same. One worker, whose
 * requests are let go by number, so that time plays no part.
 */
#include "card_rsa.h"

#define MANY 192u
#define BATCH 16u /* as many as a worker takes up at once */

static struct ersatz_stats stats;
static struct ersatz_request *requests[MANY + 1];
static unsigned submitted;
static _Atomic unsigned told;
static _Atomic bool late_is_told;

static int count(void *arg)
{
    if (arg != NULL)
        atomic_store(&late_is_told, true);
    atomic_fetch_add(&told, 1);
    return 1;
}

static void submit(struct ersatz_device *device, const struct ersatz_op *op, unsigned instance, bool is_late)
{
    struct ersatz_request **request = &requests[submitted++];

    ersatz_thread_bind(instance);
    CHECK_EQ(ersatz_request_new(device, op, true, request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(*request, count, is_late ? &late_is_told : NULL), ERSATZ_OK);
}

/* Let batches go until the late one is among them. Returns how many went. */
static unsigned held_pop(struct ersatz_device *device)
{
    unsigned gone = 0;

    while (!atomic_load(&late_is_told)) {
        unsigned more = submitted - gone < BATCH ? submitted - gone : BATCH;

        CHECK(more > 0);
        gone += more;
        ersatz_device_release(device, more);
        while (atomic_load(&told) < gone)
            usleep(1000);
        CHECK_EQ(atomic_load(&told), gone);
    }
    return gone;
}

static struct ersatz_device *open_held(void)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.workers = 1;
    config.instances = 2;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    atomic_store(&told, 0);
    atomic_store(&late_is_told, false);
    submitted = 0;
    return device;
}

static void close_device(struct ersatz_device *device)
{
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < submitted; i++) {
        card_finish(requests[i]);
    }
    ersatz_device_free(device);
}

/* many: of one kind, on instance 0; one: of another, on instance 1. */
static void test_other_instance(const struct ersatz_op *const many[MANY], const struct ersatz_op *one)
{
    struct ersatz_device *device = open_held();

    for (unsigned i = 0; i < MANY; i++)
        submit(device, many[i], 0, false);
    submit(device, one, 1, true);
    CHECK(held_pop(device) <= 2 * BATCH);
    close_device(device);
}

static void test_same_instance(const struct ersatz_op *const many[MANY], const struct ersatz_op *one)
{
    struct ersatz_device *device = open_held();

    for (unsigned i = 0; i < MANY / 2; i++)
        submit(device, many[i], 0, false);
    submit(device, one, 0, true);
    for (unsigned i = MANY / 2; i < MANY; i++)
        submit(device, many[i], 0, false);
    CHECK_EQ(held_pop(device), MANY / 2 + BATCH);
    close_device(device);
}

int main(void)
{
    static struct aes *aes[MANY];
    const struct ersatz_op *aes_ops[MANY], *rsa_ops[MANY];
    struct rsa *rsa;

    test_begin(120);
    rsa = rsa_new();
    for (unsigned i = 0; i < MANY; i++) {
        aes[i] = aes_new((uint8_t)i);
        aes_ops[i] = &aes[i]->op;
        rsa_ops[i] = &rsa->op;
    }
    test_other_instance(aes_ops, &rsa->op);
    test_other_instance(rsa_ops, &aes[0]->op);
    test_same_instance(aes_ops, &rsa->op);
    test_same_instance(rsa_ops, &aes[0]->op);
    for (unsigned i = 0; i < MANY; i++)
        aes_free(aes[i]);
    rsa_free(rsa);
    return 0;
}
