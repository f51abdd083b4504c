/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doorbell: one thread sleeps at it, any thread rings it. It is a word of memory (a futex) and has no
 * descriptor, so a program that closes unknown descriptors does no harm, and the child of a fork has nothing
 * to close. When it is rung while the thread is awake, the thread's next sleep returns at once.
 */
#ifndef ERSATZ_SIM_BASE_DOORBELL_H
#define ERSATZ_SIM_BASE_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

#define DOORBELL_NEVER UINT64_MAX /* sleep until it is rung */

struct doorbell {
    _Atomic uint32_t word; /* see doorbell.c */
};

void doorbell_init(struct doorbell *bell);

/* Sleep until it is rung, or until that time (nanoseconds of CLOCK_MONOTONIC). Returns at once if it was rung
 * since the last sleep. May return sooner. Always for the same thread. What a thread wrote before it rang is
 * visible after the sleep. */
void doorbell_sleep(struct doorbell *bell, uint64_t until);

/* Any thread; async-signal-safe. */
void doorbell_ring(struct doorbell *bell);

#endif
