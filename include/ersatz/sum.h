/* SPDX-License-Identifier: Apache-2.0 */
/* A sum that tells data apart (FNV-1a), for data that nobody chooses to be mistaken. */
#ifndef ERSATZ_SUM_H
#define ERSATZ_SUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum of no data. */
#define ERSATZ_SUM_EMPTY UINT64_C(0xcbf29ce484222325)

/* The sum of some data and then of these. May be called in a signal handler. */
static inline uint64_t ersatz_sum_add(uint64_t sum, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

#endif
