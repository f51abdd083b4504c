/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statistical test for timing that depends on data, after dudect (Reparaz, Balasch, Verbauwhede: "Dude, is
 * my code constant time?", 2017): many measurements of two classes of input in random order, and Welch's
 * t-test of the hypothesis that their mean is the same.
 */
#ifndef ERSATZ_TESTS_METER_H
#define ERSATZ_TESTS_METER_H

#include <stdbool.h>
#include <stdint.h>

struct meter {
    const char *name, *classes[2];
    float *ticks[2];
    uint32_t count[2];
    uint64_t end; /* of the clock, in nanoseconds */
    double t,
        gap; /* what came of it: the largest t of all crops, and by how many ticks the means differ there */
    double mean; /* of class 0 there */
    double crop; /* the share of measurements that was kept */
};

/* Ticks of the processor's clock, or nanoseconds. In program order with what is around it. */
uint64_t meter_now(void);

/* Measure for so many seconds. NULL-terminated names must stay. */
void meter_begin(
    struct meter *meter, const char *name, const char *class_0, const char *class_1, double seconds);

/* The class to measure next, by lot; -1: the time is over. */
int meter_next(struct meter *meter);

/* One of so many inputs (256 at the most), by lot. */
unsigned meter_lot(unsigned count);

void meter_add(struct meter *meter, int class, uint64_t ticks);

/* The t-test, over all measurements and over those below several percentiles: what interrupts and other
 * programs add lies above. Prints a line. */
void meter_end(struct meter *meter);

#endif
