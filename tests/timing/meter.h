/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statistical test for timing that depends on data, after dudect (Reparaz, Balasch, Verbauwhede: "Dude, is
 * my code constant time?", 2017): many measurements of two classes of input in random order, and Welch's
 * t-test of the hypothesis that their means are equal.
 *
 * The meter must not cause the difference that it looks for. A processor predicts branches and caches lines
 * by what it has just run, so between the end of one measurement and the end of the next nothing depends on
 * the class but the bytes of the input:
 * - Inputs are made a round at a time, before the round is measured, and their classes are drawn by lot then.
 * - No input is used twice. Few inputs, measured often, would each add the time of its own address and
 * contents, and a million measurements would show how the two classes' averages of those differ.
 * - Every input is copied to one place before it is measured.
 * - Both classes' times go into one array, whose pages are there before the first measurement.
 */
#ifndef ERSATZ_TESTS_METER_H
#define ERSATZ_TESTS_METER_H

#include <stddef.h>
#include <stdint.h>

struct trial {
    const char *name, *classes[2];
    size_t input_size;                               /* bytes */
    void (*make)(void *input, unsigned class_of_it); /* write an input of class 0 or 1 */
    /* Run what is to be measured on that input; returns the ticks that it took, by meter_now(). */
    uint64_t (*time)(const void *input);
    void (*prepare)(void); /* called before each round; may be NULL */
};

/* Ticks of the processor's clock, or nanoseconds. In program order with the instructions around it. */
uint64_t meter_now(void);

/* A number below count, which is 256 at most, by lot. */
unsigned meter_lot(unsigned count);

/*
 * Measure for so many seconds and print a line: t over all measurements and over those below several
 * percentiles (what interrupts and other programs add lies above). Returns the absolute value of the largest
 * t.
 */
double meter_run(const struct trial *trial, double seconds);

#endif
