/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How workers divide waiting private RSA operations when there are as many workers as operations: among those
 * that have a core, and in whole passes while more than a pass waits. The test lets one worker at a time
 * gather a batch, so the batches do not depend on time.
 */
#include <pthread.h>

#include "card_rsa.h"
#include "device/company.h"
#include "device/device.h"
#include "kernels/compute.h"
#include "made_up_cores.h"

#define MANY 64u
#define PASS 4u

static pthread_mutex_t gathering = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool gathers;

unsigned __wrap_compute_lanes_for(const struct ersatz_op *op);
bool __wrap_company_awaited(struct worker *worker);
void __wrap_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats);
void __real_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats);
bool __wrap_linger(struct ersatz_device *device, struct lingerer *lingerer);
bool __real_linger(struct ersatz_device *device, struct lingerer *lingerer);
void __wrap_compute_lanes_free(struct compute_lanes *lanes);
void __real_compute_lanes_free(struct compute_lanes *lanes);

unsigned __wrap_compute_lanes_for(const struct ersatz_op *op)
{
    (void)op;
    return PASS; /* on every machine */
}

/* A worker calls this before it gathers, and one of the next three after that. */
bool __wrap_company_awaited(struct worker *worker)
{
    (void)worker;
    if (!gathers)
        CHECK_EQ(pthread_mutex_lock(&gathering), 0);
    gathers = true;
    return false;
}

static void has_gathered(void)
{
    if (gathers)
        CHECK_EQ(pthread_mutex_unlock(&gathering), 0);
    gathers = false;
}

void __wrap_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats)
{
    has_gathered();
    __real_compute_batch(lanes, ops, results, count, stats);
}

bool __wrap_linger(struct ersatz_device *device, struct lingerer *lingerer)
{
    has_gathered();
    return __real_linger(device, lingerer);
}

void __wrap_compute_lanes_free(struct compute_lanes *lanes)
{
    has_gathered();
    __real_compute_lanes_free(lanes);
}

/* So many operations, each in an instance of its own, are this many batches. */
static void divide(struct rsa *rsa, unsigned on_cores, unsigned count, unsigned batches)
{
    static struct ersatz_stats stats;
    static uint8_t out[MANY][RSA_BYTES];
    struct ersatz_config config;
    struct ersatz_error error;
    struct ersatz_device *device;
    struct ersatz_request *requests[MANY];
    struct ersatz_waker *wakers[MANY];
    uint64_t before = ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES);

    cores = on_cores;
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = MANY;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    memset(out, 0, sizeof(out));
    for (unsigned i = 0; i < count; i++) {
        struct ersatz_op op = rsa->op;

        op.u.rsa.out = out[i];
        ersatz_thread_bind(i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
    }
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < count; i++) {
        card_finish(requests[i]);
        CHECK(memcmp(out[i], rsa->wanted, RSA_BYTES) == 0);
        ersatz_waker_free(wakers[i]);
    }
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES) - before, batches);
    ersatz_device_free(device);
}

int main(void)
{
    struct rsa *rsa;

    test_begin(60);
    rsa = rsa_new();
    divide(rsa, MANY, PASS, PASS);            /* no more than a pass: each stays alone */
    divide(rsa, MANY, MANY, MANY / PASS + 3); /* whole passes, until no more than one waits */
    divide(rsa, 2, MANY, 6);                  /* 16 of 64, 16 of 48, 16 of 32, 8 of 16, 4 of 8, 4 */
    divide(rsa, 1, MANY, 4);                  /* full batches */
    rsa_free(rsa);
    return 0;
}
