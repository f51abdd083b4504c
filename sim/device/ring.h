/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request ring: a bounded queue of pointers for any number of submitters and workers, without locks.
 * Each slot carries a sequence number that says whose turn it is: position p may be filled when it reads p,
 * and emptied when it reads p + 1. Emptying sets p + size, the turn of the next lap.
 */
#ifndef ERSATZ_SIM_DEVICE_RING_H
#define ERSATZ_SIM_DEVICE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ring_slot {
    _Atomic size_t turn;
    void *item; /* belongs to whoever turn allows to touch it */
};

struct ring {
    _Alignas(64) _Atomic size_t tail; /* next position to fill */
    _Alignas(64) _Atomic size_t head; /* next position to empty */
    _Alignas(64) struct ring_slot *slots;
    size_t mask;
};

/* size: a power of two. False: out of memory. */
bool ring_init(struct ring *ring, size_t size);
void ring_destroy(struct ring *ring);

/* False: full. */
bool ring_push(struct ring *ring, void *item);

/* NULL: empty. */
void *ring_pop(struct ring *ring);

/* How many items there were a moment ago. Sequentially consistent with ring_push(), so that a worker which
 * looks after announcing its sleep sees what was pushed before the announcement was looked for. */
size_t ring_count(struct ring *ring);

#endif
