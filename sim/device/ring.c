/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue for many producers and many consumers. */
#include "ring.h"

#include <stdint.h>
#include <stdlib.h>

bool ring_init(struct ring *ring, size_t size)
{
    /* One slot alone could not tell "filled in lap n" from "free in lap n + 1": both would be position +
     * 1. */
    size_t slots = size < 2 ? 2 : size;

    ring->slots = calloc(slots, sizeof(*ring->slots));
    if (ring->slots == NULL)
        return false;
    for (size_t i = 0; i < slots; i++)
        atomic_init(&ring->slots[i].turn, i);
    ring->mask = slots - 1;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);
    return true;
}

void ring_destroy(struct ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

bool ring_push(struct ring *ring, void *item)
{
    size_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    for (;;) {
        struct ring_slot *slot = &ring->slots[position & ring->mask];
        /* Acquire: pairs with the release in ring_pop(), so that the old item was read before it is
         * overwritten. */
        ptrdiff_t ahead = (ptrdiff_t)(atomic_load_explicit(&slot->turn, memory_order_acquire) - position);

        if (ahead < 0)
            return false;
        if (ahead > 0) {
            position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
            continue;
        }
        /* Sequentially consistent: see ring_count(). */
        if (atomic_compare_exchange_weak(&ring->tail, &position, position + 1)) {
            slot->item = item;
            /* Release: publishes the item to the acquire in ring_pop(). */
            atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
            return true;
        }
    }
}

void *ring_pop(struct ring *ring)
{
    size_t position = atomic_load_explicit(&ring->head, memory_order_relaxed);

    for (;;) {
        struct ring_slot *slot = &ring->slots[position & ring->mask];
        /* Acquire: pairs with the release in ring_push(), so that the item is there. */
        ptrdiff_t ahead =
            (ptrdiff_t)(atomic_load_explicit(&slot->turn, memory_order_acquire) - (position + 1));

        if (ahead < 0)
            return NULL;
        if (ahead > 0) {
            position = atomic_load_explicit(&ring->head, memory_order_relaxed);
            continue;
        }
        if (atomic_compare_exchange_weak_explicit(
                &ring->head, &position, position + 1, memory_order_relaxed, memory_order_relaxed)) {
            void *item = slot->item;

            /* Release: the item was read; ring_push() may overwrite it one lap later. */
            atomic_store_explicit(&slot->turn, position + ring->mask + 1, memory_order_release);
            return item;
        }
    }
}

size_t ring_count(struct ring *ring)
{
    size_t tail = atomic_load(&ring->tail);
    size_t head = atomic_load(&ring->head);

    /* The two are read one after the other; a pop in between must not look like a huge count. */
    return tail > head ? tail - head : 0;
}
