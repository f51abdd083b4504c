/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At how many rings workers look for each request, on a card with many instances: at a few, whether one
 * instance or all of them have requests; and not at all of them. An instance that was left alone for long is
 * found again at its next request, even if a worker drops it at that moment. No worker lingers, so the counts
 * do not depend on time.
 */
#include <pthread.h>

#include "card.h"
#include "device/device.h"

#define INSTANCES 256u
#define REQUESTS 512u
#define THREADS 3u
#define ROUNDS 50000u

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct aes *aes[INSTANCES];
static struct ersatz_waker *wakers[INSTANCES];
static _Atomic unsigned looks;
static _Atomic bool drops; /* a worker drops what is idle whenever it goes to sleep */

size_t __wrap_ring_count(struct ring *ring);
size_t __real_ring_count(struct ring *ring);
bool __wrap_linger(struct ersatz_device *card, struct lingerer *lingerer);

size_t __wrap_ring_count(struct ring *ring)
{
    atomic_fetch_add(&looks, 1);
    return __real_ring_count(ring);
}

bool __wrap_linger(struct ersatz_device *card, struct lingerer *lingerer)
{
    (void)lingerer;
    for (unsigned i = 0; drops && i < 50; i++)
        device_drop_idle(card);
    return false;
}

static struct ersatz_request *submit(unsigned instance)
{
    struct ersatz_request *request;

    ersatz_thread_bind(instance);
    CHECK_EQ(ersatz_request_new(device, &aes[instance]->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, wakers[instance]), ERSATZ_OK);
    return request;
}

/* So many requests, one after the other, to that many instances in turn. */
static void run(unsigned instances, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        card_finish(submit(i % instances));
        while (!device_is_asleep(device))
            sched_yield();
    }
}

static void count_looks(const char *what, unsigned before, unsigned requests, unsigned most)
{
    unsigned each = (atomic_load(&looks) - before) / requests;

    printf("%s: %u looks for each request\n", what, each);
    CHECK(each >= 1 && each <= most);
}

/* After all instances were used, one has requests. */
static void one_active(void)
{
    unsigned before;

    run(INSTANCES, INSTANCES);
    run(1, REQUESTS); /* the others are dropped meanwhile */
    before = atomic_load(&looks);
    run(1, REQUESTS);
    count_looks("one instance", before, REQUESTS, 12);
    CHECK_EQ(bits_next(device->active, 1, INSTANCES), INSTANCES);
    /* Found again. */
    run(INSTANCES, INSTANCES);
    CHECK(bits_has(device->active, INSTANCES - 1));
}

static void all_full(void)
{
    static struct ersatz_request *requests[INSTANCES];
    unsigned before;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < INSTANCES; i++)
        requests[i] = submit(i);
    while (!device_is_asleep(device))
        sched_yield();
    before = atomic_load(&looks);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < INSTANCES; i++)
        card_finish(requests[i]);
    count_looks("all instances", before, INSTANCES, 7);
}

static void *submit_many(void *instance)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        card_finish(submit((unsigned)(uintptr_t)instance));
    return NULL;
}

/* Each thread has a request in flight at an instance of its own, which is dropped meanwhile. A request that
 * no worker finds keeps its thread for ever. */
static void drop_in_use(void)
{
    pthread_t threads[THREADS];

    drops = true;
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, submit_many, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    drops = false;
}

static void open_device(unsigned workers)
{
    struct ersatz_config config;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.workers = workers;
    config.instances = INSTANCES;
    config.ring_depth = 16;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
}

static void count(unsigned workers)
{
    open_device(workers);
    one_active();
    if (workers == 1) /* of several, one may look in vain for what another has just taken */
        all_full();
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(60);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < INSTANCES; i++) {
        aes[i] = aes_new(1);
        aes[i]->op.u.cipher.len = 16;
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
    }
    count(1);
    count(2);
    count(64);
    open_device(4);
    drop_in_use();
    ersatz_device_free(device);
    for (unsigned i = 0; i < INSTANCES; i++) {
        ersatz_waker_free(wakers[i]);
        aes_free(aes[i]);
    }
    return 0;
}
