/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request ring: a bounded queue of pointers for any number of submitters and workers, without locks.
 * Each slot has a sequence number, `turn`: position p may be filled when it is p, and emptied when it is
 * p + 1. Emptying sets it to p + size, which allows the next lap to fill it.
 */
#ifndef ERSATZ_SIM_DEVICE_RING_H
#define ERSATZ_SIM_DEVICE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ring_slot {
    _Atomic size_t turn;
    void *item; /* `turn` says who may use it */
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
 * looks after it has set its bit in `sleepers` sees what was pushed by a submitter that did not see
 * that bit. */
size_t ring_count(struct ring *ring);

#endif
