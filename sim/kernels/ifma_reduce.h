/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions. All of it is compiled into ifma_montgomery.c. */
#ifndef ERSATZ_SIM_KERNELS_IFMA_REDUCE_H
#define ERSATZ_SIM_KERNELS_IFMA_REDUCE_H

#include "ifma_powers.h"
#include "ifma_product.h"

INLINE __m512i quotient_digit(__m512i column, __m512i k0)
{
    return low(_mm512_setzero_si512(), column, k0);
}

/*
 * sum += q * m, which clears its lowest column, and leaves a carry: since q * m[0] makes the lower 52 bits of
 * it 0, the carry is 1 unless they were 0 before, and need not wait for the product. Returns the digit of the
 * quotient for the next column. It comes before the rest of this one's products, because a core begins with
 * the oldest instructions, and would do all of these first while the next digit's row waits for it.
 */
INLINE __m512i clear_column(const unsigned block, __m512i *sum, __m512i q, const __m512i *m, __m512i k0)
{
    __m512i next, rest[BLOCK_MAX],
        carry = _mm512_srai_epi64(_mm512_add_epi64(sum[0], digit_mask()), DIGIT_BITS);

    carry = high(carry, q, m[0]); /* beside the other product that the next digit waits for */
    sum[1] = _mm512_add_epi64(low(sum[1], q, m[1]), carry);
    next = quotient_digit(sum[1], k0);
    /* clang would put it off until it is used. */
    UNROLL for (unsigned j = 2; j < block; j++)
    {
        __asm__("" : "+v"(sum[j]) : "v"(next));
    }
    sum[2] = high(sum[2], q, m[1]);
    load_block(block - 2, rest, m + 2);
    add_row(block - 2, sum + 2, q, rest);
    return next;
}

/* The digits of the quotient for one block, and the quotient's product with the lowest block of m. Written
 * out because clang does not unroll it. */
INLINE void clear_block(
    const unsigned block, struct columns *sum, __m512i *quotient, const __m512i *m, __m512i k0)
{
    __m512i q = quotient_digit(sum->c[0], k0);

#define CLEAR(i) (quotient[i] = q, q = clear_column(block, sum->c + (i), q, m, k0))
    CLEAR(0);
    CLEAR(1);
    CLEAR(2);
    CLEAR(3);
    CLEAR(4);
    CLEAR(5);
    CLEAR(6);
    CLEAR(7);
    if (block > 8)
        CLEAR(8);
    if (block > 9)
        CLEAR(9);
#undef CLEAR
}

/*
 * The quotient's products with m in Karatsuba's way, too: of every two blocks i and j of the quotient but its
 * last, with those of m from the second on:
 *
 *   q[i] m[j+1] + q[j] m[i+1] = q[i] m[i+1] + q[j] m[j+1] + (q[i] - q[j]) (m[j+1] - m[i+1])
 *
 * All of this is known in time: q[j] after block j of the columns, and the products belong to a later one,
 * i + j + 1. What is left out has no choice: the products with m[0] give the quotient, and those of its last
 * block finish the result. Each block of columns gets all the products q[i] m[i+1] from one i to another, so
 * it is their sums that are kept: sums[i] = q[0] m[1] + ... + q[i] m[i+1]. The differences of m are made
 * once, with the moduli.
 */

/* Where m[j+1] - m[i+1] is kept, i < j. */
INLINE unsigned crossing_index(unsigned i, unsigned j)
{
    return j * (j - 1) / 2 + i;
}

INLINE void set_crossings(const unsigned block, struct montgomery *mont)
{
    for (unsigned j = 1; j + 1 < mont->shape.blocks; j++)
        for (unsigned i = 0; i < j; i++)
            subtract(block, mont->crossings + crossing_index(i, j), mont->m + (j + 1) * block,
                mont->m + (i + 1) * block);
}

/* sum += sums[i], which is made from the one before. The registers do not hold two sums of columns: what is
 * in this one waits in memory. */
INLINE void add_next_sum(const unsigned block, struct montgomery *mont, struct columns *sum, unsigned i)
{
    __m512i *out = mont->sums + 2 * i * block, digits[BLOCK_MAX];

    UNROLL for (unsigned row = 0; row < block; row++) mont->waiting[row] = sum->c[row];
    columns_clear(block, sum);
    if (i > 0)
        columns_add(2 * block, sum, out - 2 * block);
    load_block(block, digits, mont->m + (i + 1) * block);
    UNROLL for (unsigned row = 0; row < block; row++)
    {
        add_row(block, sum->c + row, mont->quotient[i * block + row], digits);
        out[row] = sum->c[row];
    }
    UNROLL for (unsigned row = block; row < 2 * block; row++) out[row] = sum->c[row];
    columns_add(block, sum, mont->waiting);
}

/* sum += (q[i] - q[j]) (m[j+1] - m[i+1]). Each digit of the first difference is made just before its row, so
 * that the chain of its carries goes on beside the products. */
INLINE void add_crossing(
    const unsigned block, const struct montgomery *mont, struct columns *sum, unsigned i, unsigned j)
{
    const struct difference *dm = mont->crossings + crossing_index(i, j);
    const __m512i *minuend = mont->quotient + i * block, *subtrahend = mont->quotient + j * block;
    __m512i digits[BLOCK_MAX], borrow = _mm512_setzero_si512();
    __mmask8 negative;

    load_block(block, digits, dm->digits);
    UNROLL for (unsigned row = 0; row < block; row++)
    {
        __m512i *upper = &sum->c[block + row], digit;

        borrow = put_digit(&digit, _mm512_sub_epi64(minuend[row], subtrahend[row]), borrow);
        *upper = _mm512_mask_sub_epi64(*upper, dm->negative, *upper, digit);
        add_row(block, sum->c + row, digit, digits);
    }
    negative = _mm512_movepi64_mask(borrow);
    take_off(block, sum, digits, negative);
    add_top(block, sum, UINT64_C(1) << DIGIT_BITS, negative & dm->negative);
}

/* Those of a block of columns. */
INLINE void add_crossings(
    const unsigned block, const struct montgomery *mont, struct columns *sum, unsigned column)
{
    const unsigned blocks = mont->shape.blocks;

    for (unsigned i = column < blocks ? 0 : column - blocks + 1; 2 * i + 1 < column; i++)
        add_crossing(block, mont, sum, i, column - 1 - i);
}

/* crossed: there are three blocks or more. Of fewer, no two are crossed, and the sums are no use. looking_up:
 * beside each block of the result but the last, look up LOOK_UP_BESIDE digits of a power. */
INLINE void reduce(const unsigned block, const bool crossed, const bool looking_up, struct montgomery *mont,
    __m512i *out, const __m512i *wide)
{
    const unsigned blocks = mont->shape.blocks;
    const __m512i *last = mont->quotient + (blocks - 1) * block;
    __m512i digits[BLOCK_MAX], carry = _mm512_setzero_si512();
    const unsigned beside = LOOK_UP_BESIDE(crossed ? 3 : 2);
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned column = 0; column < blocks; column++) {
        if (crossed && column > 0)
            add_next_sum(block, mont, &sum, column - 1);
        columns_add(block, &sum, wide + column * block);
        if (crossed)
            add_crossings(block, mont, &sum, column);
        else if (column > 0)
            add_product(block, &sum, mont->quotient, mont->m + block);
        clear_block(block, &sum, mont->quotient + column * block, mont->m, mont->k0);
        columns_advance(block, &sum);
    }
    for (unsigned column = 1; column < blocks; column++) {
        struct look_up look_up;

        columns_add(block, &sum, wide + (blocks + column - 1) * block);
        if (crossed && column < blocks - 1) {
            columns_add(2 * block, &sum, mont->sums + 2 * (blocks - 2) * block);
            columns_subtract(2 * block, &sum, mont->sums + 2 * (column - 1) * block);
            add_crossings(block, mont, &sum, blocks + column - 1);
        }
        load_block(block, digits, mont->m + column * block);
        if (looking_up)
            look_up_begin(beside, &look_up, mont);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            add_row(block, sum.c + i, last[i], digits);
            if (looking_up)
                look_up_part(beside, &look_up, i, block);
            carry = put_digit(out + (column - 1) * block + i, sum.c[i], carry);
        }
        columns_advance(block, &sum);
    }
    columns_add(block, &sum, wide + (2 * blocks - 1) * block);
    UNROLL for (unsigned i = 0; i < block; i++) carry =
        put_digit(out + (blocks - 1) * block + i, sum.c[i], carry);
}

#endif
