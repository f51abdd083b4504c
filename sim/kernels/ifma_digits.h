/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as digits of 52 bits, least significant first. */
#ifndef ERSATZ_SIM_KERNELS_IFMA_DIGITS_H
#define ERSATZ_SIM_KERNELS_IFMA_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGIT_BITS 52u
#define DIGIT_MASK ((UINT64_C(1) << DIGIT_BITS) - 1)
#define DIGITS_MAX 80u

/* How the batch kernel cuts numbers up: into blocks of 8, 9 or 10 digits. */
#define BLOCK_MIN 8u
#define BLOCK_MAX 10u

struct shape {
    unsigned block;  /* digits in a block */
    unsigned blocks; /* at least 1 */
};

static inline unsigned shape_digits(struct shape shape)
{
    return shape.block * shape.blocks;
}

static inline bool shape_equal(struct shape a, struct shape b)
{
    return a.block == b.block && a.blocks == b.blocks;
}

/* The smallest shape in which a modulus of that many bits is below R / 4. False: there is none. */
bool shape_for(unsigned bits, struct shape *shape);

/* count digits from a number of len bytes, most significant first; what does not fit must be 0. */
void digits_from_bytes(uint64_t *digits, unsigned count, const uint8_t *bytes, size_t len);

/* The other way. Digits that do not fit into len bytes are dropped. */
void digits_to_bytes(uint8_t *bytes, size_t len, const uint64_t *digits, unsigned count);

/* -1 where a < b, else 0; without a branch. */
uint64_t digits_below(const uint64_t *a, const uint64_t *b, unsigned count);

#endif
