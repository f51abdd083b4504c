/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordinary user's card under the usual limit on locked memory, 8 MiB, with 64 workers, 64 instances and 64
 * threads that use it: while half of the limit is free, each worker and each instance has a ring. If other
 * processes of the user have taken that half, four workers have one, and so has one instance: enough is left
 * for many processes. Then the others signal without, and the statistics say so. (The test answers for Linux
 * how many cores there are. Before Linux 6.14 rings are not counted, and all have one.)
 */
#include <pthread.h>

#include "card.h"
#include "device/device.h"
#include "made_up_cores.h"
#include "ordinary_user.h"

#define MANY 64u
#define LIMIT (8u << 20)
#define SHARE 4u
#define ROUNDS 4

/* Rings of 1 MiB. */
#define LARGE_COMPLETIONS 65536u
#define HALF 5u

struct rings {
    unsigned workers, instances;
};

static struct ersatz_device *device;
static struct ersatz_stats stats;

static bool make_large(struct io_uring *ring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = LARGE_COMPLETIONS};
    int err = io_uring_queue_init_params(1, ring, &params);

    CHECK(err == 0 || err == -ENOMEM);
    return err == 0;
}

static bool rings_count(void)
{
    struct io_uring ring;

    limit_locked_memory(64 << 10);
    if (!make_large(&ring))
        return true;
    io_uring_queue_exit(&ring);
    return false;
}

/* On an instance of its own, which wakes that one's worker. */
static void *use_card(void *arg)
{
    struct aes *aes = aes_new(1);
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    ersatz_thread_bind((unsigned)(uintptr_t)arg);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        card_finish(request);
        CHECK(aes_is_right(aes));
        card_use_callback(device);
    }
    ersatz_waker_free(waker);
    aes_free(aes);
    return NULL;
}

static void use_by_threads(void)
{
    pthread_t threads[MANY];

    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_card, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), 2 * ROUNDS * MANY);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS), ROUNDS * MANY);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_CALLBACKS), ROUNDS * MANY);
}

static struct rings count_rings(void)
{
    struct rings found = {0, 0};

    for (unsigned i = 0; i < MANY; i++) {
        found.workers += device->workers[i].poster.has_ring;
        found.instances += instance_has_ring(&device->instances[i]);
    }
    return found;
}

/* The statistics say how many workers have a ring, and that the others have none because of the limit. */
static void check_statistics(unsigned workers)
{
    char *text, expected[100];
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    CHECK(stream != NULL && ersatz_stats_write(&stats, NULL, NULL, 0, stream) && fclose(stream) == 0);
    snprintf(expected, sizeof(expected),
        "\"workers\": {\"io_uring\": %u, \"write_limit\": %u, \"write_failed\": 0}", workers, MANY - workers);
    CHECK(strstr(text, expected) != NULL);
    free(text);
}

/* A card, used by all threads. */
static struct rings open_and_use(void)
{
    struct ersatz_config config;
    struct ersatz_error error;
    struct rings found;

    ersatz_config_init(&config, &stats);
    CHECK(config.workers == MANY && config.instances == MANY);
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    CHECK_EQ(count_rings().instances, 0); /* they come with the first callback */
    use_by_threads();
    found = count_rings();
    check_statistics(found.workers);
    CHECK(device->workers[0].poster.has_ring);
    ersatz_device_free(device);
    memset(&stats, 0, sizeof(stats));
    return found;
}

static void check_rings(
    const char *when, bool exact, struct rings found, unsigned workers, unsigned instances)
{
    printf("%s: %u workers and %u instances have rings\n", when, found.workers, found.instances);
    if (!exact) /* other programs of this user may have taken some */
        return;
    CHECK_EQ(found.workers, workers);
    CHECK_EQ(found.instances, instances);
}

int main(void)
{
    struct io_uring large[HALF];
    bool counted, exact = become_user();

    test_begin(60);
    cores = kernel_cpus = MANY;
    counted = rings_count();
    limit_locked_memory(LIMIT);
    check_rings("half is free", exact, open_and_use(), MANY, MANY);
    for (unsigned i = 0; i < HALF; i++)
        CHECK(make_large(&large[i]) || !exact);
    check_rings("half is taken", exact, open_and_use(), counted ? SHARE : MANY, counted ? 1 : MANY);
    return 0;
}
