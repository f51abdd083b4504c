/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of small numbers, one bit each, in arrays of words that any thread may change. All operations are
 * sequentially consistent. */
#ifndef ERSATZ_SIM_BASE_BITS_H
#define ERSATZ_SIM_BASE_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BITS_PER_WORD 64u
#define BITS_WORDS(count) (((count) + BITS_PER_WORD - 1) / BITS_PER_WORD)

static inline bool bits_has(const _Atomic uint64_t *words, unsigned bit)
{
    return atomic_load(&words[bit / BITS_PER_WORD]) >> bit % BITS_PER_WORD & 1;
}

/* Returns whether this thread has added it: it was not in the set. */
static inline bool bits_add(_Atomic uint64_t *words, unsigned bit)
{
    uint64_t mask = UINT64_C(1) << bit % BITS_PER_WORD;

    return (atomic_fetch_or(&words[bit / BITS_PER_WORD], mask) & mask) == 0;
}

/* Returns whether it was in the set, and this thread has removed it. */
static inline bool bits_remove(_Atomic uint64_t *words, unsigned bit)
{
    uint64_t mask = UINT64_C(1) << bit % BITS_PER_WORD;

    return bits_has(words, bit) && (atomic_fetch_and(&words[bit / BITS_PER_WORD], ~mask) & mask) != 0;
}

/* The smallest member from `from` on; count if there is none below that. */
static inline unsigned bits_next(const _Atomic uint64_t *words, unsigned from, unsigned count)
{
    while (from < count) {
        uint64_t rest = atomic_load(&words[from / BITS_PER_WORD]) >> from % BITS_PER_WORD;

        if (rest != 0) {
            from += (unsigned)__builtin_ctzll(rest);
            return from < count ? from : count;
        }
        from = (from / BITS_PER_WORD + 1) * BITS_PER_WORD;
    }
    return count;
}

#endif
