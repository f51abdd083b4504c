/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of products that are being added up in registers, and the rows that are added to them: the digits
 * of one number by a block of the other. All of it is compiled into ifma_montgomery.c, with the length of a
 * block as a constant.
 */
#ifndef ERSATZ_SIM_KERNELS_IFMA_COLUMNS_H
#define ERSATZ_SIM_KERNELS_IFMA_COLUMNS_H

#include "ifma_montgomery.h"

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 20")
#endif
#define INLINE static inline __attribute__((always_inline))

/* Two blocks of columns that are being added up. */
struct columns {
    __m512i c[2 * BLOCK_MAX];
};

INLINE __m512i low(__m512i sum, __m512i a, __m512i b)
{
    return _mm512_madd52lo_epu64(sum, a, b);
}

INLINE __m512i high(__m512i sum, __m512i a, __m512i b)
{
    return _mm512_madd52hi_epu64(sum, a, b);
}

INLINE __m512i digit_mask(void)
{
    return _mm512_set1_epi64(DIGIT_MASK);
}

/* ------------------------------------------------------------------------------------------------ columns */

INLINE void columns_clear(const unsigned block, struct columns *sum)
{
    UNROLL for (unsigned i = 0; i < 2 * block; i++) sum->c[i] = _mm512_setzero_si512();
}

/* On to the next block: the lower one is done with. */
INLINE void columns_advance(const unsigned block, struct columns *sum)
{
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        sum->c[i] = sum->c[block + i];
        sum->c[block + i] = _mm512_setzero_si512();
    }
}

INLINE void columns_add(const unsigned count, struct columns *sum, const __m512i *digits)
{
    UNROLL for (unsigned i = 0; i < count; i++) sum->c[i] = _mm512_add_epi64(sum->c[i], digits[i]);
}

INLINE void columns_subtract(const unsigned count, struct columns *sum, const __m512i *digits)
{
    UNROLL for (unsigned i = 0; i < count; i++) sum->c[i] = _mm512_sub_epi64(sum->c[i], digits[i]);
}

/* -------------------------------------------------------------------------------------- digits by a block */

/* Load a digit now, once. gcc would load it again for each product, more than a core can load; clang would
 * copy a block of them to the stack. */
INLINE __m512i load_once(const __m512i *digit)
{
    __m512i loaded = *digit;

    __asm__("" : "+v"(loaded));
    return loaded;
}

/* sum[0..count] += a * b. The lower halves lag behind the upper ones, so that no two neighbours add up in one
 * column. */
INLINE void add_row(const unsigned count, __m512i *sum, __m512i a, const __m512i *b)
{
    const unsigned lag = 2;

    UNROLL for (unsigned j = 0; j < lag; j++) sum[j + 1] = high(sum[j + 1], a, b[j]);
    UNROLL for (unsigned j = lag; j < count; j++)
    {
        sum[j + 1] = high(sum[j + 1], a, b[j]);
        sum[j - lag] = low(sum[j - lag], a, b[j - lag]);
    }
    UNROLL for (unsigned j = count - lag; j < count; j++) sum[j] = low(sum[j], a, b[j]);
}

INLINE void load_block(const unsigned count, __m512i *out, const __m512i *digits)
{
    UNROLL for (unsigned i = 0; i < count; i++) out[i] = load_once(digits + i);
}

/* sum += a * b */
INLINE void add_product(const unsigned block, struct columns *sum, const __m512i *a, const __m512i *b)
{
    UNROLL for (unsigned i = 0; i < block; i++) add_row(block, sum->c + i, a[i], b);
}

/* Row i of the square of a: the products of digit i with those that follow it, which count twice; then
 * columns 2i and 2i + 1 are finished by doubling what is in them and adding the square of digit i. */
INLINE void square_row(const unsigned block, struct columns *sum, const __m512i *a, unsigned i)
{
    __m512i *c = sum->c + 2 * i;

    UNROLL for (unsigned j = i + 1; j < block; j++) sum->c[i + j + 1] = high(sum->c[i + j + 1], a[i], a[j]);
    UNROLL for (unsigned j = i + 1; j < block; j++) sum->c[i + j] = low(sum->c[i + j], a[i], a[j]);
    c[0] = low(_mm512_add_epi64(c[0], c[0]), a[i], a[i]);
    c[1] = high(_mm512_add_epi64(c[1], c[1]), a[i], a[i]);
}

/* A digit from its column and the carry, either of which may be negative. Returns the carry into the next. */
INLINE __m512i put_digit(__m512i *out, __m512i column, __m512i carry)
{
    column = _mm512_add_epi64(column, carry);
    *out = _mm512_and_si512(column, digit_mask());
    return _mm512_srai_epi64(column, DIGIT_BITS);
}

#endif
