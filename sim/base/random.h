/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that follow from a seed alone (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom
 * number generators", 2014). */
#ifndef ERSATZ_SIM_BASE_RANDOM_H
#define ERSATZ_SIM_BASE_RANDOM_H

#include <stdint.h>

#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t random_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The n-th number of the seed's sequence, counted from 1: any of them, in any order. 64 bits. */
static inline uint64_t random_nth(uint64_t seed, uint64_t n)
{
    return random_mix(seed + n * RANDOM_STEP);
}

/* The next number of the sequence that began with *state as its seed. */
static inline uint64_t random_of(uint64_t *state)
{
    return random_mix(*state += RANDOM_STEP);
}

#endif
