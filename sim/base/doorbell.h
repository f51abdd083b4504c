/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doorbell: one thread sleeps at it, any thread rings. It is a word of memory (a futex) and no descriptor:
 * a program that closes descriptors it does not know cannot take it away, and a child of a fork has nothing
 * to close. A ring while nobody sleeps is remembered.
 */
#ifndef ERSATZ_SIM_BASE_DOORBELL_H
#define ERSATZ_SIM_BASE_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

#define DOORBELL_NEVER UINT64_MAX /* a time that does not come */

struct doorbell {
    _Atomic uint32_t word; /* see doorbell.c */
};

void doorbell_init(struct doorbell *bell);

/* Sleep until it is rung, or until that time (nanoseconds of CLOCK_MONOTONIC). Returns at once if it was rung
 * since the last time. May return sooner. For one thread, always the same. What was written before a ring is
 * visible after the sleep that it ends. */
void doorbell_sleep(struct doorbell *bell, uint64_t until);

/* Any thread; async-signal-safe. */
void doorbell_ring(struct doorbell *bell);

#endif
