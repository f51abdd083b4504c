/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Montgomery arithmetic on eight numbers at once, with AVX-512 IFMA.
 *
 * A number is an array of vectors: vector i holds digit i of all eight, one in each 64-bit lane. A digit has
 * 52 bits, which is what vpmadd52 multiplies; products are added up in 64 bits, so carries can wait: a column
 * of the longest product (340 terms below 2^52, of which some are subtracted) stays between -2^61 and 2^61,
 * and so do those of the quotient by the modulus (320), which are added to it. Lanes never touch one another,
 * and nothing here branches on, or addresses memory by, a number: only shapes and bit counts, which are
 * public.
 *
 * Every modulus m is odd and below R / 4, R = 2^(52 * digits). Residues are below 2m and need no subtraction
 * between operations (C. Walter, "Montgomery exponentiation needs no final subtractions", 1999).
 */
#ifndef ERSATZ_SIM_KERNELS_IFMA_MONTGOMERY_H
#define ERSATZ_SIM_KERNELS_IFMA_MONTGOMERY_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "ifma_digits.h"

#define LANES 8u

/* A secret exponent is read in windows of as many bits. */
#define WINDOW_BITS 5u
#define POWERS (1u << WINDOW_BITS)
#define TABLE_DIGITS (DIGITS_MAX / 2 * POWERS)

/* Digits of a power that are looked up at once: beside the products of a block, as many as the squares of a
 * window need for a whole power (5 times 4 digits are two blocks, 10 times 3 are three); and alone. */
#define LOOK_UP_BESIDE(blocks) ((blocks) > 2 ? 3u : 4u)
#define LOOK_UP_ALONE 5u

/* Of two blocks: digits of 52 bits, modulo 2^(52 * block), and the lanes in which it is negative. */
struct difference {
    __m512i digits[BLOCK_MAX];
    __mmask8 negative;
};

/* What the lanes' exponents have in a window: those in which its lower two bits are 1, 2, 3, and those in
 * which each of the other bits is set. */
struct window {
    __mmask8 lower_is[3];
    __mmask8 upper[WINDOW_BITS - 2];
};

#define BLOCKS_MAX (DIGITS_MAX / BLOCK_MIN)
#define PAIRS(blocks) ((blocks) * ((blocks)-1) / 2)

/*
 * Where arrays begin in a page, in vectors, which are lines of the cache. On Zen 4 a load waits for an
 * earlier store that is at the same place in its page as the load is in its own, if the physical addresses of
 * the two pages have the same one of 16 hashes: until the data of that store is there. Which pages do is
 * chance, so in some places of memory an exponentiation took up to 18 % longer. In these places of pages,
 * found by a search over the loads and stores of gcc's and clang's code, few loads soon follow such a store.
 * The stack has a place, too: see ifma_montgomery.c.
 */
#define PAGE_BYTES 4096u
#define PLACE_OF_NUMBERS 5u /* that are read and written: squares, results */
#define PLACE_OF_TABLE 2u
#define PLACED(type, name, count, place)                                                                     \
    struct {                                                                                                 \
        _Alignas(PAGE_BYTES) __m512i before_##name[place];                                                   \
        type name[count];                                                                                    \
    }

/* What the eight moduli share is their shape. */
struct montgomery {
    _Alignas(PAGE_BYTES) struct shape shape;
    __m512i *table; /* of powers: digit i of power j is table[i * POWERS + j] */
    struct window window;
    unsigned looked_up; /* digits of the powers for it, in operand */
    __m512i k0;         /* -1/m modulo 2^52 */
    __m512i m[DIGITS_MAX];
    PLACED(struct difference, crossings, PAIRS(BLOCKS_MAX - 1), 1); /* of two blocks of m but the first */
    /* Scratch, here and not on the stack so that montgomery_cleanse() finds it. */
    PLACED(__m512i, wide, 2 * DIGITS_MAX, 29);                    /* a product, carries not propagated */
    PLACED(struct difference, differences, PAIRS(BLOCKS_MAX), 2); /* of two blocks of what is squared */
    PLACED(__m512i, quotient, DIGITS_MAX, 19);
    PLACED(__m512i, sums, 2 * DIGITS_MAX, 7); /* of products of blocks of the quotient and of m */
    PLACED(__m512i, waiting, BLOCK_MAX, 47);  /* columns, while such a sum has the registers */
    PLACED(__m512i, operand, DIGITS_MAX, PLACE_OF_NUMBERS);
};

/* Go over to other moduli. k0: as above. */
void montgomery_set_moduli(struct montgomery *mont, struct shape shape, const uint64_t *const moduli[LANES],
    const uint64_t k0[LANES]);

/* Cleanse the scratch, of what the present shape uses. What registers were spilled to is
 * residue_clear()'s. */
void montgomery_cleanse(struct montgomery *mont);

/* out = a * b / R modulo m. out may be a or b. a * b < m * R. */
void montgomery_multiply(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b);
void montgomery_square(struct montgomery *mont, __m512i *out, const __m512i *a);

/* out = wide / R modulo m, where wide is a number of twice the digits, below m * R; its digits are signed,
 * and smaller than 2^61. */
void montgomery_reduce(struct montgomery *mont, __m512i *out, const __m512i *wide);

/* product = a * b of twice the digits, carries not propagated. */
void montgomery_product(struct montgomery *mont, __m512i *product, const __m512i *a, const __m512i *b);

/* out = a / R modulo m, fully reduced: below m. Converts a residue from Montgomery's form. */
void montgomery_convert_back(struct montgomery *mont, __m512i *out, const __m512i *a);

/* a below 2m becomes a below m. */
void montgomery_subtract_once(struct montgomery *mont, __m512i *a);

/* out = base^exponent, in Montgomery's form, for secret exponents: fixed windows, and every look into the
 * table of powers reads all of it. one: R modulo m. exponents: one for each lane, exponent_bits (at least 1)
 * long at most, readable for 8 bytes beyond. DIGITS_MAX / 2 digits at most. table: TABLE_DIGITS vectors. out
 * must not be base. */
void montgomery_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint8_t *const exponents[LANES], unsigned exponent_bits, __m512i *table);

/* The same for public exponents of 64 bits at most, square and multiply. None is 0. one is not needed where
 * all are the same. */
void montgomery_public_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint64_t exponents[LANES]);

/* Make every digit one of 52 bits. The carry out of the last one must be 0. Digits are signed, and the number
 * is not negative. */
void montgomery_carry(__m512i *a, unsigned digits);

/* Vectors from eight arrays of digits, and back. */
void montgomery_load(__m512i *out, const uint64_t *const digits[LANES], unsigned count);
void montgomery_store(uint64_t *const digits[LANES], const __m512i *a, unsigned count);

#endif
