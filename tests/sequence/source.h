/* SPDX-License-Identifier: Apache-2.0 */
/* Where a sequence of calls takes its decisions from: the bytes of a fuzzer's input, which end; or a seed,
 * which gives as many as are asked for. */
#ifndef ERSATZ_TESTS_SEQUENCE_SOURCE_H
#define ERSATZ_TESTS_SEQUENCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sim/base/random.h"

struct source {
    const uint8_t *bytes; /* NULL: a seed */
    size_t left;
    uint64_t state;
};

static inline struct source source_of_bytes(const uint8_t *bytes, size_t len)
{
    return (struct source){.bytes = bytes, .left = len};
}

static inline struct source source_of_seed(uint64_t seed)
{
    return (struct source){.state = seed};
}

/* A seed has no end. */
static inline bool source_is_over(const struct source *source)
{
    return source->bytes != NULL && source->left == 0;
}

/* Of an input that is over: 0. */
static inline unsigned source_byte(struct source *source)
{
    if (source->bytes == NULL)
        return (unsigned)(random_of(&source->state) >> 56);
    if (source->left == 0)
        return 0;
    source->left--;
    return *source->bytes++;
}

/* 0 to limit - 1; limit is 1 to 2^24. */
static inline unsigned source_below(struct source *source, unsigned limit)
{
    unsigned number = source_byte(source);

    if (source->bytes == NULL || limit > 256)
        number = number << 8 | source_byte(source);
    if (limit > 65536)
        number = number << 8 | source_byte(source);
    return number % limit;
}

static inline bool source_one_in(struct source *source, unsigned n)
{
    return source_below(source, n) == 0;
}

/* Bytes that look random; from an input it takes two bytes, so that long texts come from short inputs. */
static inline void source_fill(struct source *source, uint8_t *out, size_t len)
{
    uint64_t state = source_below(source, 65536);

    if (source->bytes == NULL)
        state = random_of(&source->state);
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word = random_of(&state);

        memcpy(out + i, &word, len - i < sizeof(word) ? len - i : sizeof(word));
    }
}

#endif
