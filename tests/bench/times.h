/* SPDX-License-Identifier: Apache-2.0 */
/* How long operations took: a count in buckets that are 1/128 of their value wide, so that memory does not
 * grow with the number of operations. And the clocks. */
#ifndef ERSATZ_TESTS_TIMES_H
#define ERSATZ_TESTS_TIMES_H

#include <stdint.h>

#define TIMES_STEPS 128u /* to a power of two */
#define TIMES_BUCKETS (TIMES_STEPS * 40u)

/* Zeroed: empty. */
struct times {
    uint64_t count;
    uint32_t buckets[TIMES_BUCKETS];
};

void times_add(struct times *times, uint64_t nanoseconds);
void times_merge(struct times *times, const struct times *more);

/* The time, in nanoseconds, that this share of the operations did not exceed: 0.5 is the median. 0 if there
 * are none. */
double times_quantile(const struct times *times, double share);

/* In nanoseconds: since some moment, and used by all threads of this process, in the kernel too. */
uint64_t time_now(void);
uint64_t clock_used(void);

#endif
