/* SPDX-License-Identifier: Apache-2.0 */
/* Lots to draw: the same ones from the same state, on every machine (Knuth's MMIX generator). */
#ifndef ERSATZ_TESTS_LOTS_H
#define ERSATZ_TESTS_LOTS_H

#include <stddef.h>
#include <stdint.h>

/* 0 to limit - 1; limit is 1 to 2^31. */
static inline uint32_t lots_below(uint64_t *state, uint32_t limit)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % limit;
}

static inline void lots_fill(uint64_t *state, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)lots_below(state, 256);
}

#endif
