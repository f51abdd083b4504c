/* SPDX-License-Identifier: Apache-2.0 */
/* The request ring: order, capacity, and no item lost or doubled between many threads. */
#include "device/ring.h"

#include <pthread.h>
#include <stdint.h>

#include "check.h"

#define THREADS 4
#define ITEMS 100000

static struct ring ring;
static _Atomic unsigned seen[THREADS * ITEMS];
static _Atomic unsigned taken;

static void *fill(void *arg)
{
    uintptr_t first = (uintptr_t)arg * ITEMS;

    for (uintptr_t i = 0; i < ITEMS; i++) {
        while (!ring_push(&ring, (void *)(first + i + 1)))
            sched_yield();
    }
    return NULL;
}

static void *empty(void *arg)
{
    (void)arg;
    while (atomic_load(&taken) < THREADS * ITEMS) {
        void *item = ring_pop(&ring);

        if (item == NULL) {
            sched_yield();
            continue;
        }
        atomic_fetch_add(&seen[(uintptr_t)item - 1], 1);
        atomic_fetch_add(&taken, 1);
    }
    return NULL;
}

static void alone(size_t size)
{
    CHECK(ring_init(&ring, size));
    CHECK(ring_pop(&ring) == NULL);
    for (int lap = 0; lap < 5; lap++) {
        for (uintptr_t i = 1; i <= size; i++)
            CHECK(ring_push(&ring, (void *)i));
        CHECK_EQ(ring_count(&ring), size);
        if (size > 1)
            CHECK(!ring_push(&ring, &ring));
        for (uintptr_t i = 1; i <= size; i++)
            CHECK(ring_pop(&ring) == (void *)i);
        CHECK(ring_pop(&ring) == NULL);
    }
    ring_destroy(&ring);
}

int main(void)
{
    pthread_t threads[2 * THREADS];

    test_begin(120);
    alone(1);
    alone(2);
    alone(64);
    CHECK(ring_init(&ring, 16));
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[2 * i], NULL, fill, (void *)i), 0);
        CHECK_EQ(pthread_create(&threads[2 * i + 1], NULL, empty, NULL), 0);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS * ITEMS; i++)
        CHECK_EQ(seen[i], 1);
    ring_destroy(&ring);
    return 0;
}
