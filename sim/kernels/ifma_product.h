/* SPDX-License-Identifier: Apache-2.0 */
/* Products and squares. All of it is compiled into ifma_montgomery.c. */
#ifndef ERSATZ_SIM_KERNELS_IFMA_PRODUCT_H
#define ERSATZ_SIM_KERNELS_IFMA_PRODUCT_H

#include "ifma_columns.h"

/*
 * Products in Karatsuba's way, of every two blocks x and y:
 *
 *   a[x] b[y] + a[y] b[x] = a[x] b[x] + a[y] b[y] - (a[x] - a[y]) (b[x] - b[y])
 *
 * so that a block's own product, which is needed anyway, takes part in all. A difference may be negative: it
 * is kept modulo B = 2^(52 * block), and where it is negative a B is taken off again later. So columns may be
 * negative, too.
 */
INLINE void subtract(
    const unsigned block, struct difference *difference, const __m512i *minuend, const __m512i *subtrahend)
{
    __m512i borrow = _mm512_setzero_si512();

    UNROLL for (unsigned i = 0; i < block; i++) borrow =
        put_digit(difference->digits + i, _mm512_sub_epi64(minuend[i], subtrahend[i]), borrow);
    difference->negative = _mm512_movepi64_mask(borrow);
}

/* sum -= d * B in those lanes. */
INLINE void take_off(const unsigned block, struct columns *sum, const __m512i *d, __mmask8 lanes)
{
    UNROLL for (unsigned i = 0; i < block; i++) sum->c[block + i] =
        _mm512_mask_sub_epi64(sum->c[block + i], lanes, sum->c[block + i], d[i]);
}

/* The last column += top, in those lanes. 2^52 there are B * B. */
INLINE void add_top(const unsigned block, struct columns *sum, uint64_t top, __mmask8 lanes)
{
    __m512i *last = &sum->c[2 * block - 1];

    *last = _mm512_mask_add_epi64(*last, lanes, *last, _mm512_set1_epi64((int64_t)top));
}

/* What two blocks give beside their own products. */
struct crossing {
    const __m512i *x, *y; /* their own products */
    __m512i *crossed;     /* where it is added up */
};

/* Add it up: column i, from that of the product of the differences. is_first: nothing is there yet. */
INLINE void cross(const bool is_first, const struct crossing *crossing, unsigned i, __m512i column)
{
    __m512i sum = _mm512_add_epi64(crossing->x[i], crossing->y[i]);

    if (!is_first)
        sum = _mm512_add_epi64(sum, crossing->crossed[i]);
    crossing->crossed[i] = _mm512_sub_epi64(sum, column);
}

/* Which blocks of columns get something for the first time. */
enum first { BOTH, UPPER, NONE };

/* The products of the differences of blocks of a and b. */
INLINE void product_crossing(const unsigned block, const enum first first, const struct crossing *crossing,
    const struct difference *da, const struct difference *db)
{
    struct columns sum;

    columns_clear(block, &sum);
    take_off(block, &sum, da->digits, db->negative);
    take_off(block, &sum, db->digits, da->negative);
    add_top(block, &sum, UINT64_C(1) << DIGIT_BITS, da->negative & db->negative);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        add_row(block, sum.c + i, da->digits[i], db->digits);
        cross(first == BOTH, crossing, i, sum.c[i]);
    }
    UNROLL for (unsigned i = block; i < 2 * block; i++) cross(first != NONE, crossing, i, sum.c[i]);
}

/* What is in the columns before the rows counts twice. */
INLINE void square_crossing(
    const unsigned block, const enum first first, const struct crossing *crossing, const struct difference *d)
{
    struct columns sum;

    columns_clear(block, &sum);
    take_off(block, &sum, d->digits, d->negative);
    add_top(block, &sum, UINT64_C(1) << (DIGIT_BITS - 1), d->negative);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        square_row(block, &sum, d->digits, i);
        UNROLL for (unsigned j = 2 * i; j < 2 * i + 2; j++)
            cross(first == BOTH || (first == UPPER && j >= block), crossing, j, sum.c[j]);
    }
}

INLINE void cross_two(const unsigned block, const bool is_square, const enum first first, struct wide *out,
    const __m512i *a, const __m512i *b, unsigned x, unsigned y)
{
    const struct crossing crossing = {
        out->own + 2 * x * block, out->own + 2 * y * block, out->crossed + (x + y) * block};
    struct difference da, db;

    subtract(block, &da, a + x * block, a + y * block);
    if (is_square) {
        square_crossing(block, first, &crossing, &da);
        return;
    }
    subtract(block, &db, b + x * block, b + y * block);
    product_crossing(block, first, &crossing, &da, &db);
}

/* Every two blocks, those first that end in the same columns. */
INLINE void cross_all(const unsigned block, const bool is_square, unsigned blocks, struct wide *out,
    const __m512i *a, const __m512i *b)
{
    if (blocks > 1)
        cross_two(block, is_square, BOTH, out, a, b, 0, 1);
    for (unsigned column = 2; column + 2 < 2 * blocks; column++) {
        unsigned x = column < blocks ? 0 : column - blocks + 1, y = column - x;

        cross_two(block, is_square, UPPER, out, a, b, x, y);
        for (x++, y--; x < y; x++, y--)
            cross_two(block, is_square, NONE, out, a, b, x, y);
    }
}

INLINE void product(
    const unsigned block, unsigned blocks, struct wide *out, const __m512i *a, const __m512i *b)
{
    struct columns sum;

    for (unsigned x = 0; x < blocks; x++) {
        __m512i digits[BLOCK_MAX], *own = out->own + 2 * x * block;

        load_block(block, digits, b + x * block);
        columns_clear(block, &sum);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            add_row(block, sum.c + i, a[x * block + i], digits);
            own[i] = sum.c[i];
        }
        UNROLL for (unsigned i = block; i < 2 * block; i++) own[i] = sum.c[i];
    }
    cross_all(block, false, blocks, out, a, b);
}

/* The same with a for b. */
INLINE void square(const unsigned block, unsigned blocks, struct wide *out, const __m512i *a)
{
    struct columns sum;

    for (unsigned x = 0; x < blocks; x++) {
        __m512i digits[BLOCK_MAX], *own = out->own + 2 * x * block;

        load_block(block, digits, a + x * block);
        columns_clear(block, &sum);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            square_row(block, &sum, digits, i);
            own[2 * i] = sum.c[2 * i];
            own[2 * i + 1] = sum.c[2 * i + 1];
        }
    }
    cross_all(block, true, blocks, out, a, a);
}

#endif
