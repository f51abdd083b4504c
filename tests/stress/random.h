/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that a seed repeats. Each thread, question and job has a generator of its own,
 * so what one draws does not depend on how threads run. */
#ifndef ERSATZ_STRESS_RANDOM_H
#define ERSATZ_STRESS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/base/random.h"

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    return random_of(&random->state);
}

/* A generator for a part, named by two numbers, of what seed stands for. */
static inline struct random random_from(uint64_t seed, uint64_t part, uint64_t item)
{
    struct random random = {seed};

    random.state = random_next(&random) ^ (part << 32 | item);
    random.state = random_next(&random);
    return random;
}

/* 0 to limit - 1; limit is at least 1. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

static inline bool random_percent(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

/* 1 to limit, small ones as often as large ones. */
static inline size_t random_size(struct random *random, size_t limit)
{
    return ((size_t)random_below(random, limit) >> random_below(random, 17)) + 1;
}

static inline void random_fill(struct random *random, unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)random_next(random);
}

#endif
