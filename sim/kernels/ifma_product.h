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
    __mmask8 kept[2];     /* of what is in crossed, for the lower block and the upper: all or nothing */
};

/* Add it up: column i, from that of the product of the differences. */
INLINE void cross(const unsigned block, const struct crossing *crossing, unsigned i, __m512i column)
{
    __m512i sum = _mm512_maskz_load_epi64(crossing->kept[i >= block], crossing->crossed + i);

    sum = _mm512_add_epi64(sum, _mm512_add_epi64(crossing->x[i], crossing->y[i]));
    crossing->crossed[i] = _mm512_sub_epi64(sum, column);
}

/* For each two blocks x < y, those first that end in the same columns. */
#define FOR_EACH_CROSSING(block, blocks, x, y)                                                               \
    for (unsigned x##y = 1; x##y < 2 * (blocks)-2; x##y++)                                                   \
        for (unsigned x = x##y < (blocks) ? 0 : x##y - (blocks) + 1, y = x##y - x; x < y; x++, y--)

INLINE struct crossing crossing_of(
    const unsigned block, unsigned blocks, unsigned x, unsigned y, const __m512i *own, __m512i *crossed)
{
    bool first = x == 0 || y == blocks - 1;

    return (struct crossing){own + 2 * x * block, own + 2 * y * block, crossed + (x + y) * block,
        {x + y == 1 ? 0 : 0xff, first ? 0 : 0xff}};
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
    FOR_EACH_CROSSING (block, blocks, x, y) {
        const struct crossing crossing = crossing_of(block, blocks, x, y, out->own, out->crossed);
        struct difference da, db;

        subtract(block, &da, a + x * block, a + y * block);
        subtract(block, &db, b + x * block, b + y * block);
        columns_clear(block, &sum);
        take_off(block, &sum, da.digits, db.negative);
        take_off(block, &sum, db.digits, da.negative);
        add_top(block, &sum, UINT64_C(1) << DIGIT_BITS, da.negative & db.negative);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            add_row(block, sum.c + i, da.digits[i], db.digits);
            cross(block, &crossing, i, sum.c[i]);
        }
        UNROLL for (unsigned i = block; i < 2 * block; i++) cross(block, &crossing, i, sum.c[i]);
    }
}

/* The same with a for b. What is in the columns before the rows counts twice. */
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
    FOR_EACH_CROSSING (block, blocks, x, y) {
        const struct crossing crossing = crossing_of(block, blocks, x, y, out->own, out->crossed);
        struct difference d;

        subtract(block, &d, a + x * block, a + y * block);
        columns_clear(block, &sum);
        take_off(block, &sum, d.digits, d.negative);
        add_top(block, &sum, UINT64_C(1) << (DIGIT_BITS - 1), d.negative);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            square_row(block, &sum, d.digits, i);
            cross(block, &crossing, 2 * i, sum.c[2 * i]);
            cross(block, &crossing, 2 * i + 1, sum.c[2 * i + 1]);
        }
    }
}

#endif
