/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests wake no more workers than there are cores. And with more workers than cores, an instance that
 * always has requests keeps no other waiting. The test keeps workers in their first batch, so that no time
 * decides anything.
 */
#include <semaphore.h>

#include "card_rsa.h"
#include "device/device.h"
#include "made_up_cores.h"

#define WORKERS 8u
#define MANY 64u

static struct ersatz_stats stats;
static sem_t entered, leave;
static _Atomic unsigned batches;
static _Atomic unsigned computed_in; /* the number of the batch with the operation that is looked for */
static const struct ersatz_cipher *looked_for;

bool __wrap_company_awaited(struct worker *worker);
void __wrap_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *counts);
void __real_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *counts);

bool __wrap_company_awaited(struct worker *worker)
{
    (void)worker;
    return false; /* no naps */
}

void __wrap_compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *counts)
{
    unsigned number = atomic_fetch_add(&batches, 1);

    sem_post(&entered);
    while (sem_wait(&leave) != 0)
        ;
    for (unsigned i = 0; i < count; i++) {
        if (looked_for != NULL && ops[i]->kind == ERSATZ_CIPHER && ops[i]->u.cipher.cipher == looked_for)
            atomic_store(&computed_in, number);
    }
    __real_compute_batch(lanes, ops, results, count, counts);
}

static struct ersatz_device *open_asleep(unsigned on_cores)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    cores = on_cores;
    CHECK(sem_init(&entered, 0, 0) == 0 && sem_init(&leave, 0, 0) == 0);
    atomic_store(&batches, 0);
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = WORKERS;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    while (!device_is_asleep(device))
        usleep(1000);
    return device;
}

struct submitted {
    struct ersatz_request *request;
    struct ersatz_waker *waker;
};

static struct submitted submit(struct ersatz_device *device, unsigned instance, const struct ersatz_op *op)
{
    struct submitted new;

    ersatz_thread_bind(instance);
    CHECK_EQ(ersatz_waker_new(&stats, &new.waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, op, true, &new.request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(new.request, new.waker), ERSATZ_OK);
    return new;
}

static void finish(struct submitted *submitted, unsigned count)
{
    for (unsigned i = 0; i < MANY * 2; i++)
        sem_post(&leave); /* for all batches there may be */
    for (unsigned i = 0; i < count; i++) {
        card_finish(submitted[i].request);
        ersatz_waker_free(submitted[i].waker);
    }
}

/* One request keeps a worker in its batch; then more come, each to an instance of its own. So many workers
 * are awake then, and each has a batch. */
static void wake(unsigned on_cores, unsigned more, unsigned expected)
{
    struct ersatz_device *device = open_asleep(on_cores);
    struct rsa *rsa = rsa_new();
    struct submitted submitted[WORKERS];

    for (unsigned i = 0; i <= more; i++) {
        submitted[i] = submit(device, i, &rsa->op);
        if (i == 0)
            CHECK_EQ(sem_wait(&entered), 0);
    }
    CHECK_EQ(device_awake(device), expected);
    for (unsigned i = 1; i < expected; i++)
        CHECK_EQ(sem_wait(&entered), 0);
    finish(submitted, more + 1);
    CHECK(rsa_is_right(rsa));
    rsa_free(rsa);
    ersatz_device_free(device);
}

/* One worker is awake, and its own instance has requests for four batches. */
static void serve_in_turn(void)
{
    struct ersatz_device *device = open_asleep(1);
    struct aes *aes[MANY + 2];
    struct submitted submitted[MANY + 2];

    for (unsigned i = 0; i < MANY + 2; i++) {
        aes[i] = aes_new((uint8_t)i);
        submitted[i] = submit(device, i == MANY + 1 ? 1 : 0, &aes[i]->op);
        if (i == 0)
            CHECK_EQ(sem_wait(&entered), 0);
    }
    CHECK_EQ(device_awake(device), 1);
    looked_for = aes[MANY + 1]->op.u.cipher.cipher;
    finish(submitted, MANY + 2);
    CHECK(atomic_load(&computed_in) >= 1 && atomic_load(&computed_in) <= 2);
    for (unsigned i = 0; i < MANY + 2; i++)
        aes_free(aes[i]);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    wake(2, 5, 2);
    wake(4, 3, 4);
    serve_in_turn();
    return 0;
}
