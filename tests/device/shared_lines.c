/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cache lines of the device two threads both write when each submits a request of its own, to an
 * instance of its own, with one RSA key; and which ones two workers both write when each completes one. A
 * line counts as written if its content differs from one step of the request to the next; so what is changed
 * and changed back within one step is not seen. All workers sleep before and after each step, so that time
 * plays no part.
 */
#include <malloc.h>
#include <semaphore.h>
#include <stddef.h>

#include "card_rsa.h"
#include "device/device.h"

#define LINE 64u
#define THREADS 2u
#define LINES_MAX 4096u

/* Of the first, workers have no part: requests are held. The second is the whole way, by one worker. */
enum side { SUBMISSION, WHOLE_WAY, SIDES };

struct region {
    const char *name;
    const uint8_t *at;
    size_t size;
    uint8_t *before;
    bool written[SIDES][THREADS][LINES_MAX];
};

static struct ersatz_stats stats;
static struct ersatz_device *device;
static struct rsa *rsa;
/* One thread after the other; none ends before the last, so that no place of its own is given to another. */
static sem_t done, end;
static struct region regions[] = {{.name = "device"}, {.name = "instances"}, {.name = "statistics"},
    {.name = "lists of free requests"}, {.name = "RSA key"}, {.name = "workers"}};

#define REGIONS (sizeof(regions) / sizeof(regions[0]))

static void watch(unsigned index, const void *at, size_t size)
{
    struct region *region = &regions[index];

    CHECK_EQ((uintptr_t)at % LINE, 0);
    CHECK(size / LINE < LINES_MAX);
    region->at = at;
    region->size = size;
    region->before = malloc(size);
    CHECK(region->before != NULL);
}

static void begin_step(void)
{
    for (unsigned i = 0; i < REGIONS; i++)
        memcpy(regions[i].before, regions[i].at, regions[i].size);
}

static void end_step(enum side side, unsigned thread)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        for (size_t at = 0; at < regions[i].size; at += LINE) {
            size_t len = regions[i].size - at < LINE ? regions[i].size - at : LINE;

            regions[i].written[side][thread][at / LINE] |=
                memcmp(regions[i].before + at, regions[i].at + at, len) != 0;
        }
    }
    begin_step();
}

static void wait_until_asleep(void)
{
    while (!device_is_asleep(device))
        usleep(1000);
}

/* The bits of workers that sleep change with the hold and with each wake-up, which is not what is counted. */
static void wait_until_held(void)
{
    usleep(1000);
    wait_until_asleep();
}

/* Only the worker of the thread's own instance is woken. */
static void go_the_whole_way(unsigned thread, struct rsa *mine, struct ersatz_waker *waker)
{
    struct ersatz_request *request;
    uint64_t batches = ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES);

    wait_until_asleep();
    begin_step();
    CHECK_EQ(ersatz_request_new(device, &mine->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    card_wait(request);
    wait_until_asleep();
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    end_step(WHOLE_WAY, thread);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_BATCHES), batches + 1);
    CHECK(rsa_is_right(mine));
}

static void *submit_one(void *number)
{
    unsigned thread = (unsigned)(uintptr_t)number;
    struct rsa mine = *rsa;
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    mine.op.u.rsa.in = mine.in;
    mine.op.u.rsa.out = mine.out;
    ersatz_thread_bind(thread);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    for (unsigned round = 0; round < 2; round++) { /* the first finds places for what is made once */
        wait_until_asleep();
        ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
        wait_until_held();
        begin_step();
        CHECK_EQ(ersatz_request_new(device, &mine.op, true, &request), ERSATZ_OK);
        if (round > 0)
            end_step(SUBMISSION, thread);
        CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
        wait_until_held();
        if (round > 0)
            end_step(SUBMISSION, thread);
        ersatz_device_hold(device, ERSATZ_HOLD_NONE);
        card_wait(request);
        wait_until_asleep();
        begin_step();
        CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
        if (round > 0)
            end_step(SUBMISSION, thread);
        CHECK(rsa_is_right(&mine));
    }
    go_the_whole_way(thread, &mine, waker);
    ersatz_waker_free(waker);
    CHECK_EQ(sem_post(&done), 0);
    CHECK_EQ(sem_wait(&end), 0);
    CHECK_EQ(sem_post(&end), 0);
    return NULL;
}

/* A key that its owner drops stays for the requests that use it, on any line, and goes with the last of them:
 * the address sanitizer would see it used later, or leaked. */
static void drop_key_in_use(void)
{
    struct ersatz_request *requests[3];
    uint8_t out[RSA_BYTES], wanted[RSA_BYTES];
    struct rsa *own = rsa_new();
    struct ersatz_waker *wakers[3];
    struct ersatz_op op = own->op;

    op.u.rsa.out = out;
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < 3; i++) {
        ersatz_thread_bind(i);
        CHECK_EQ(ersatz_waker_new(&stats, &wakers[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_request_new(device, &op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_fd(requests[i], wakers[i]), ERSATZ_OK);
    }
    memcpy(wanted, own->wanted, sizeof(wanted));
    rsa_free(own);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < 3; i++) {
        memset(out, 0, sizeof(out));
        card_finish(requests[i]);
        CHECK(memcmp(out, wanted, sizeof(wanted)) == 0);
        ersatz_waker_free(wakers[i]);
    }
}

/* How many lines both write. */
static unsigned count_shared(enum side side, const char *name)
{
    unsigned shared = 0;

    printf("%s:\n", name);
    for (unsigned i = 0; i < REGIONS; i++) {
        bool(*written)[LINES_MAX] = regions[i].written[side];
        unsigned count = 0;

        for (unsigned line = 0; line < LINES_MAX; line++) {
            count += written[0][line];
            if (written[0][line] && written[1][line]) {
                printf("  %s: both write the line at offset %u\n", regions[i].name, line * LINE);
                shared++;
            }
        }
        printf("  %s: %u lines by one request\n", regions[i].name, count);
    }
    printf("  %u lines by both\n", shared);
    return shared;
}

int main(void)
{
    struct ersatz_config config;
    struct ersatz_error error;
    pthread_t threads[THREADS];
    unsigned shared;

    test_begin(60);
    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(sem_init(&done, 0, 0) == 0 && sem_init(&end, 0, 0) == 0);
    rsa = rsa_new();
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = THREADS;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    device->cores = 4; /* with two, workers note when a lone operation ends: linger.c */
    watch(0, device, offsetof(struct ersatz_device, pool.chunks));
    watch(1, device->instances, THREADS * sizeof(*device->instances));
    watch(2, &stats, sizeof(stats));
    watch(3, device->pool.lists, THREADS * sizeof(*device->pool.lists));
    watch(4, rsa->op.u.rsa.key, malloc_usable_size(rsa->op.u.rsa.key));
    watch(5, device->workers, THREADS * sizeof(*device->workers));
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, submit_one, (void *)i), 0);
        CHECK_EQ(sem_wait(&done), 0);
    }
    CHECK_EQ(sem_post(&end), 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    shared = count_shared(SUBMISSION, "submission");
    shared += count_shared(WHOLE_WAY, "submission and completion");
    CHECK_EQ(shared, 0);
    /* It sees what is written. */
    CHECK(regions[1].written[SUBMISSION][0][offsetof(struct instance, own_counts) / LINE]);
    CHECK(regions[5].written[WHOLE_WAY][0][offsetof(struct worker, poster.uring.sq.sqe_tail) / LINE]);
    for (unsigned i = 0; i < REGIONS; i++)
        free(regions[i].before);
    drop_key_in_use();
    ersatz_device_free(device);
    rsa_free(rsa);
    return 0;
}
