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
struct subtraction {
    const __m512i *minuend, *subtrahend;
    struct difference *difference;
    __m512i borrow;
};

INLINE void subtract_digit(struct subtraction *s, unsigned i)
{
    s->borrow =
        put_digit(s->difference->digits + i, _mm512_sub_epi64(s->minuend[i], s->subtrahend[i]), s->borrow);
}

INLINE void subtract_end(const struct subtraction *s)
{
    s->difference->negative = _mm512_movepi64_mask(s->borrow);
}

INLINE void subtract(
    const unsigned block, struct difference *difference, const __m512i *minuend, const __m512i *subtrahend)
{
    struct subtraction s = {minuend, subtrahend, difference, _mm512_setzero_si512()};

    UNROLL for (unsigned i = 0; i < block; i++) subtract_digit(&s, i);
    subtract_end(&s);
}

/* Part of 0 to block - 1 of it, beside the rows of a square: most of their products are in the first ones. */
INLINE void subtract_part(const unsigned block, struct subtraction *s, unsigned part)
{
    if (2 * part < block)
        subtract_digit(s, 2 * part);
    if (2 * part + 1 < block)
        subtract_digit(s, 2 * part + 1);
    if (part == (block + 1) / 2)
        subtract_end(s);
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

/*
 * With the lower and the upper block of each block's own product, L[x] and U[x], block k of the columns gets
 * those of all blocks that could be crossed there: of n blocks, L[0] + ... + L[k] and U[0] + ... + U[k-1]
 * below the middle, L[k-n+1] + ... + L[n-1] and U[k-n] + ... + U[n-1] from there on. So with V[x] = U[x] +
 * L[x+1], which add up where own products overlap, all is there when
 *
 *   L[0], V[0], V[1] ... V[n-2] are added up from the lowest on, for the lower half, and
 *   V[0], V[1] ... V[n-2], U[n-1] from the highest on, for the upper half,
 *
 * and crossings only take the products of differences off. V waits in the upper half.
 */
struct own {
    const __m512i *before; /* the block of columns before this one, added up; or zeros */
    __m512i *out;          /* this one, added up */
    __m512i *overlap;      /* for V[x-1], or L[0] */
    __m512i *upper;        /* for U[x] */
    const __m512i *waits;  /* U[x-1], or zeros */
};

static const __m512i zeros[BLOCK_MAX];

/* What L[0] leaves in its other place is written over. */
INLINE struct own own_of(const unsigned block, unsigned blocks, __m512i *wide, unsigned x)
{
    __m512i *overlap = wide + (blocks + x - 1) * block;

    if (x == 0)
        return (struct own){zeros, wide, overlap, overlap + block, zeros};
    return (struct own){wide + (x - 1) * block, wide + x * block, overlap, overlap + block, overlap};
}

/* Of two blocks, which are added up by their crossing. */
INLINE struct own own_of_two(const unsigned block, __m512i *wide, unsigned x)
{
    if (x == 0)
        return (struct own){NULL, NULL, wide, wide + 2 * block, zeros};
    return (struct own){NULL, NULL, wide + 2 * block, wide + 3 * block, wide + 2 * block};
}

/* Column i of V[x-1]. */
INLINE void put_overlap(const bool of_two, const struct own *own, unsigned i, __m512i column)
{
    own->overlap[i] = column;
    if (!of_two)
        own->out[i] = _mm512_add_epi64(own->before[i], column);
}

/* Column i of the blocks of the upper half, once V and U[n-1] are there. */
INLINE void add_from_the_highest(const unsigned block, unsigned blocks, __m512i *wide, unsigned i)
{
    __m512i sum = wide[(2 * blocks - 1) * block + i];

    for (unsigned k = 2 * blocks - 2; k >= blocks; k--) {
        sum = _mm512_add_epi64(sum, wide[k * block + i]);
        wide[k * block + i] = sum;
    }
}

/* Two blocks x < y; first 0 and 1, then by y, then by x. */
struct pair {
    unsigned x, y;
};

INLINE struct pair pair_after(struct pair pair, unsigned blocks)
{
    if (pair.x + 1 < pair.y)
        return (struct pair){pair.x + 1, pair.y};
    return (struct pair){0, pair.y + 1 < blocks ? pair.y + 1 : pair.y};
}

/* What a crossing does beside its products: of two blocks the sums; in the first of more, the upper half; the
 * difference for another one. */
enum beside { NOTHING, TWO, UPPER_HALF, DIFFERENCE };

struct crossing {
    unsigned blocks;
    struct pair pair;
    __m512i *wide;
    struct subtraction *next;
};

/* Take column i of the product of differences off. */
INLINE void cross(const unsigned block, const enum beside beside, const struct crossing *crossing, unsigned i,
    __m512i column)
{
    __m512i *out = crossing->wide + (crossing->pair.x + crossing->pair.y) * block + i, sum = *out;

    if (beside == TWO)
        sum =
            i < block ? _mm512_add_epi64(out[-(int)block], out[block]) : _mm512_add_epi64(out[0], out[block]);
    *out = _mm512_sub_epi64(sum, column);
}

INLINE void product_crossing(const unsigned block, const enum beside beside, const struct crossing *crossing,
    const __m512i *a, const __m512i *b)
{
    const unsigned x = crossing->pair.x * block, y = crossing->pair.y * block;
    struct difference da, db;
    struct columns sum;

    subtract(block, &da, a + x, a + y);
    subtract(block, &db, b + x, b + y);
    columns_clear(block, &sum);
    take_off(block, &sum, da.digits, db.negative);
    take_off(block, &sum, db.digits, da.negative);
    add_top(block, &sum, UINT64_C(1) << DIGIT_BITS, da.negative & db.negative);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        add_row(block, sum.c + i, da.digits[i], db.digits);
        if (beside == UPPER_HALF)
            add_from_the_highest(block, crossing->blocks, crossing->wide, i);
        cross(block, beside, crossing, i, sum.c[i]);
    }
    UNROLL for (unsigned i = block; i < 2 * block; i++) cross(block, beside, crossing, i, sum.c[i]);
}

/* What is in the columns before the rows counts twice. */
INLINE void square_crossing(const unsigned block, const enum beside beside, const struct crossing *crossing,
    const struct difference *d)
{
    __m512i digits[BLOCK_MAX];
    struct columns sum;

    load_block(block, digits, d->digits);
    columns_clear(block, &sum);
    take_off(block, &sum, digits, d->negative);
    add_top(block, &sum, UINT64_C(1) << (DIGIT_BITS - 1), d->negative);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        square_row(block, &sum, digits, i);
        if (beside == UPPER_HALF)
            add_from_the_highest(block, crossing->blocks, crossing->wide, i);
        if (beside == DIFFERENCE)
            subtract_part(block, crossing->next, i);
        cross(block, beside, crossing, 2 * i, sum.c[2 * i]);
        cross(block, beside, crossing, 2 * i + 1, sum.c[2 * i + 1]);
    }
}

/* Blocks x of a and b, in columns in which U[x-1] is already. */
INLINE void product_own(const unsigned block, const bool of_two, struct columns *sum, const struct own *own,
    const __m512i *a, const __m512i *b)
{
    __m512i digits[BLOCK_MAX];

    load_block(block, digits, b);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        add_row(block, sum->c + i, a[i], digits);
        put_overlap(of_two, own, i, sum->c[i]);
    }
    columns_advance(block, sum);
}

/* Block x of a. difference: of two blocks, made beside it. */
INLINE void square_own(const unsigned block, const bool of_two, const struct own *own, const __m512i *a,
    struct subtraction *difference)
{
    __m512i digits[BLOCK_MAX];
    struct columns sum;

    load_block(block, digits, a);
    columns_clear(block, &sum);
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        square_row(block, &sum, digits, i);
        if (difference != NULL)
            subtract_part(block, difference, i);
        UNROLL for (unsigned j = 2 * i; j < 2 * i + 2; j++)
        {
            if (j < block)
                put_overlap(of_two, own, j, _mm512_add_epi64(own->waits[j], sum.c[j]));
            else
                own->upper[j - block] = sum.c[j];
        }
    }
}

INLINE void product(const unsigned block, unsigned blocks, __m512i *wide, const __m512i *a, const __m512i *b)
{
    struct crossing crossing = {blocks, {0, 1}, wide, NULL};
    const bool of_two = blocks == 2;
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned x = 0; x < blocks; x++) {
        struct own own = of_two ? own_of_two(block, wide, x) : own_of(block, blocks, wide, x);

        if (of_two)
            product_own(block, true, &sum, &own, a + x * block, b + x * block);
        else
            product_own(block, false, &sum, &own, a + x * block, b + x * block);
    }
    UNROLL for (unsigned i = 0; i < block; i++) wide[(2 * blocks - 1) * block + i] = sum.c[i];
    if (blocks == 1)
        return;
    if (of_two) {
        product_crossing(block, TWO, &crossing, a, b);
        return;
    }
    product_crossing(block, UPPER_HALF, &crossing, a, b);
    for (unsigned i = 1; i < PAIRS(blocks); i++) {
        crossing.pair = pair_after(crossing.pair, blocks);
        product_crossing(block, NOTHING, &crossing, a, b);
    }
}

INLINE struct subtraction subtraction_of(
    const unsigned block, const __m512i *a, struct pair pair, struct difference *to)
{
    return (struct subtraction){a + pair.x * block, a + pair.y * block, to, _mm512_setzero_si512()};
}

INLINE void square_of_two(
    const unsigned block, __m512i *wide, const __m512i *a, struct difference *difference)
{
    const struct crossing crossing = {2, {0, 1}, wide, NULL};
    const struct own own[2] = {own_of_two(block, wide, 0), own_of_two(block, wide, 1)};
    struct subtraction subtraction = subtraction_of(block, a, crossing.pair, difference);

    square_own(block, true, own, a, NULL);
    square_own(block, true, own + 1, a + block, &subtraction);
    square_crossing(block, TWO, &crossing, difference);
}

/* The differences are made beside the squares that come before: of each block, then of crossings. */
INLINE void square(
    const unsigned block, unsigned blocks, __m512i *wide, const __m512i *a, struct difference *differences)
{
    struct subtraction subtraction;
    struct crossing crossing = {blocks, {0, 1}, wide, &subtraction};
    struct pair next = {0, blocks > 1 ? 1 : 0};
    unsigned made = 0;

    if (blocks == 2) {
        square_of_two(block, wide, a, differences);
        return;
    }
    for (; made < blocks; made++) {
        const struct own own = own_of(block, blocks, wide, made);

        subtraction = subtraction_of(block, a, next, differences + made);
        square_own(block, false, &own, a + made * block, &subtraction);
        next = pair_after(next, blocks);
    }
    if (blocks == 1)
        return;
    square_crossing(block, UPPER_HALF, &crossing, differences);
    for (unsigned i = 1; i < PAIRS(blocks); i++) {
        crossing.pair = pair_after(crossing.pair, blocks);
        if (made == PAIRS(blocks)) {
            square_crossing(block, NOTHING, &crossing, differences + i);
            continue;
        }
        subtraction = subtraction_of(block, a, next, differences + made++);
        next = pair_after(next, blocks);
        square_crossing(block, DIFFERENCE, &crossing, differences + i);
    }
}

#endif
