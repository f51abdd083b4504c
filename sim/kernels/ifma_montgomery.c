/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Montgomery arithmetic on eight numbers at once: see ifma_montgomery.h for the layout.
 *
 * Numbers are multiplied block by block, and the columns being added up, two blocks of them, stay in
 * registers: 20 for the columns, 10 for a block of b and one for a digit of a are 31 of the 32 there are.
 * What counts is to keep the multiplier busy: a core that does one multiply-add a cycle adds, shifts and
 * loads beside it for nothing, but 10 stores in a row cost it a dozen cycles. So columns leave one after the
 * other, as they are finished, and additions are paid for fewer products (Karatsuba).
 *
 * The functions are written once, with the length of a block as a constant that the compiler unrolls, and
 * made for each of the three lengths.
 */
#include "ifma_montgomery.h"

#include <openssl/crypto.h>
#include <string.h>

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

/* ----------------------------------------------------------------------------------------------- multiply */

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

/* ------------------------------------------------------------------------------------------------- reduce */

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

/* On to the columns of a number to be reduced. */
INLINE void add_wide(
    const unsigned block, unsigned blocks, struct columns *sum, const struct wide *wide, unsigned column)
{
    columns_add(block, sum, wide->own + column * block);
    if (wide->is_crossed && column > 0 && column < 2 * blocks - 1)
        columns_add(block, sum, wide->crossed + column * block);
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

/* --------------------------------------------------------------------------------------- the table of powers
 */

/*
 * The next digits, at most LOOK_UP_MAX, of each lane's power. Every power is read. Beside products, loads
 * cost a core nothing; making a mask costs it as much as a product, so they are made once for all digits.
 */
struct look_up {
    unsigned first;
    const __m512i *table;
    __m512i found[LOOK_UP_MAX];
};

/* The last digits are looked up again where there are fewer than count left. */
INLINE void look_up_begin(const unsigned count, struct look_up *look_up, const struct montgomery *mont)
{
    const unsigned last = shape_digits(mont->shape) - count;

    look_up->first = mont->looked_up < last ? mont->looked_up : last;
    look_up->table = mont->table + look_up->first * POWERS;
    UNROLL for (unsigned i = 0; i < count; i++) look_up->found[i] = _mm512_setzero_si512();
}

/* Part of 0 to parts - 1 of the powers. */
INLINE void look_up_part(const unsigned count, struct look_up *look_up, const struct montgomery *mont,
    unsigned part, unsigned parts)
{
    UNROLL for (unsigned power = part * POWERS / parts; power < (part + 1) * POWERS / parts; power++)
    {
        __mmask8 here = mont->here[power];

        UNROLL for (unsigned i = 0; i < count; i++) look_up->found[i] =
            _mm512_mask_mov_epi64(look_up->found[i], here, load_once(look_up->table + i * POWERS + power));
    }
}

INLINE void look_up_end(const unsigned count, const struct look_up *look_up, struct montgomery *mont)
{
    UNROLL for (unsigned i = 0; i < count; i++) mont->operand[look_up->first + i] = look_up->found[i];
    mont->looked_up = look_up->first + count;
}

/* crossed: there are three blocks or more. Of fewer, no two are crossed, and the sums are no use. looking_up:
 * beside each block of the result but the last, look up LOOK_UP_BESIDE digits of a power. */
INLINE void reduce(const unsigned block, const bool crossed, const bool looking_up, struct montgomery *mont,
    __m512i *out, const struct wide *wide)
{
    const unsigned blocks = mont->shape.blocks;
    const __m512i *last = mont->quotient + (blocks - 1) * block;
    __m512i digits[BLOCK_MAX], carry = _mm512_setzero_si512();
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned column = 0; column < blocks; column++) {
        if (crossed && column > 0)
            add_next_sum(block, mont, &sum, column - 1);
        add_wide(block, blocks, &sum, wide, column);
        if (crossed)
            add_crossings(block, mont, &sum, column);
        else if (column > 0)
            add_product(block, &sum, mont->quotient, mont->m + block);
        clear_block(block, &sum, mont->quotient + column * block, mont->m, mont->k0);
        columns_advance(block, &sum);
    }
    for (unsigned column = 1; column < blocks; column++) {
        struct look_up look_up;

        add_wide(block, blocks, &sum, wide, blocks + column - 1);
        if (crossed && column < blocks - 1) {
            columns_add(2 * block, &sum, mont->sums + 2 * (blocks - 2) * block);
            columns_subtract(2 * block, &sum, mont->sums + 2 * (column - 1) * block);
            add_crossings(block, mont, &sum, blocks + column - 1);
        }
        load_block(block, digits, mont->m + column * block);
        if (looking_up)
            look_up_begin(LOOK_UP_BESIDE, &look_up, mont);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            add_row(block, sum.c + i, last[i], digits);
            if (looking_up)
                look_up_part(LOOK_UP_BESIDE, &look_up, mont, i, block);
            carry = put_digit(out + (column - 1) * block + i, sum.c[i], carry);
        }
        if (looking_up)
            look_up_end(LOOK_UP_BESIDE, &look_up, mont);
        columns_advance(block, &sum);
    }
    add_wide(block, blocks, &sum, wide, 2 * blocks - 1);
    UNROLL for (unsigned i = 0; i < block; i++) carry =
        put_digit(out + (blocks - 1) * block + i, sum.c[i], carry);
}

/* ------------------------------------------------------------------------------------- one for each block
 *
 * Vectors go in and out of these through memory: gcc clears the upper halves of registers neither in a
 * function that is given a wide vector by value nor after its call.
 */

#define FOR_BLOCK(block)                                                                                     \
    static void product_##block(unsigned blocks, struct wide *out, const __m512i *a, const __m512i *b)       \
    {                                                                                                        \
        product(block, blocks, out, a, b);                                                                   \
    }                                                                                                        \
    static void square_##block(unsigned blocks, struct wide *out, const __m512i *a)                          \
    {                                                                                                        \
        square(block, blocks, out, a);                                                                       \
    }                                                                                                        \
    static void reduce_##block(struct montgomery *mont, __m512i *out)                                        \
    {                                                                                                        \
        reduce(block, false, false, mont, out, &mont->wide);                                                 \
    }                                                                                                        \
    static void reduce_crossed_##block(struct montgomery *mont, __m512i *out)                                \
    {                                                                                                        \
        reduce(block, true, false, mont, out, &mont->wide);                                                  \
    }                                                                                                        \
    static void reduce_looking_up_##block(struct montgomery *mont, __m512i *out)                             \
    {                                                                                                        \
        reduce(block, false, true, mont, out, &mont->wide);                                                  \
    }                                                                                                        \
    static void reduce_crossed_looking_up_##block(struct montgomery *mont, __m512i *out)                     \
    {                                                                                                        \
        reduce(block, true, true, mont, out, &mont->wide);                                                   \
    }                                                                                                        \
    static void set_crossings_##block(struct montgomery *mont)                                               \
    {                                                                                                        \
        set_crossings(block, mont);                                                                          \
    }

FOR_BLOCK(8)
FOR_BLOCK(9)
FOR_BLOCK(10)

static const struct {
    void (*product)(unsigned blocks, struct wide *out, const __m512i *a, const __m512i *b);
    void (*square)(unsigned blocks, struct wide *out, const __m512i *a);
    void (*reduce[2][2])(struct montgomery *mont, __m512i *out); /* [is it crossed][does it look up] */
    void (*set_crossings)(struct montgomery *mont);
} by_block[] = {
    {product_8, square_8, {{reduce_8, reduce_looking_up_8}, {reduce_crossed_8, reduce_crossed_looking_up_8}},
        set_crossings_8},
    {product_9, square_9, {{reduce_9, reduce_looking_up_9}, {reduce_crossed_9, reduce_crossed_looking_up_9}},
        set_crossings_9},
    {product_10, square_10,
        {{reduce_10, reduce_looking_up_10}, {reduce_crossed_10, reduce_crossed_looking_up_10}},
        set_crossings_10},
};

static void product_of(struct montgomery *mont, const __m512i *a, const __m512i *b)
{
    mont->wide.is_crossed = true;
    by_block[mont->shape.block - BLOCK_MIN].product(mont->shape.blocks, &mont->wide, a, b);
}

static void reduce_wide(struct montgomery *mont, __m512i *out)
{
    by_block[mont->shape.block - BLOCK_MIN].reduce[mont->shape.blocks > 2][0](mont, out);
}

static void square_of(struct montgomery *mont, const __m512i *a)
{
    mont->wide.is_crossed = true;
    by_block[mont->shape.block - BLOCK_MIN].square(mont->shape.blocks, &mont->wide, a);
}

void montgomery_set_moduli(struct montgomery *mont, struct shape shape, const uint64_t *const moduli[LANES],
    const uint64_t k0[LANES])
{
    mont->shape = shape;
    mont->k0 = _mm512_loadu_si512(k0);
    montgomery_load(mont->m, moduli, shape_digits(shape));
    by_block[shape.block - BLOCK_MIN].set_crossings(mont);
}

void montgomery_cleanse(struct montgomery *mont)
{
    const size_t size = shape_digits(mont->shape) * sizeof(mont->m[0]);

    OPENSSL_cleanse(mont->wide.own, 2 * size);
    OPENSSL_cleanse(mont->wide.crossed, 2 * size);
    OPENSSL_cleanse(mont->quotient, size);
    OPENSSL_cleanse(mont->sums, 2 * size);
    OPENSSL_cleanse(mont->waiting, sizeof(mont->waiting));
    OPENSSL_cleanse(mont->operand, size);
}

void montgomery_product(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b)
{
    const unsigned digits = shape_digits(mont->shape), block = mont->shape.block;

    product_of(mont, a, b);
    memcpy(out, mont->wide.own, 2 * digits * sizeof(*out));
    for (unsigned i = block; i < 2 * digits - block; i++)
        out[i] = _mm512_add_epi64(out[i], mont->wide.crossed[i]);
}

void montgomery_reduce(struct montgomery *mont, __m512i *out, const __m512i *wide)
{
    mont->wide.is_crossed = false;
    memcpy(mont->wide.own, wide, 2 * shape_digits(mont->shape) * sizeof(*wide));
    reduce_wide(mont, out);
}

void montgomery_multiply(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b)
{
    product_of(mont, a, b);
    reduce_wide(mont, out);
}

void montgomery_square(struct montgomery *mont, __m512i *out, const __m512i *a)
{
    square_of(mont, a);
    reduce_wide(mont, out);
}

/* -------------------------------------------------------------------------------------- in and out of range
 */

void montgomery_carry(__m512i *a, unsigned digits)
{
    __m512i carry = _mm512_setzero_si512();

    for (unsigned i = 0; i < digits; i++)
        carry = put_digit(a + i, a[i], carry);
}

void montgomery_subtract_once(struct montgomery *mont, __m512i *a)
{
    const unsigned digits = shape_digits(mont->shape);
    __m512i *difference = mont->operand, borrow = _mm512_setzero_si512();
    __mmask8 below;

    for (unsigned i = 0; i < digits; i++)
        borrow = put_digit(difference + i, _mm512_sub_epi64(a[i], mont->m[i]), borrow); /* 0 or -1 */
    below = _mm512_movepi64_mask(borrow);
    for (unsigned i = 0; i < digits; i++)
        a[i] = _mm512_mask_mov_epi64(difference[i], below, a[i]);
}

void montgomery_convert_back(struct montgomery *mont, __m512i *out, const __m512i *a)
{
    const unsigned digits = shape_digits(mont->shape);

    mont->wide.is_crossed = false;
    memcpy(mont->wide.own, a, digits * sizeof(*a));
    memset(mont->wide.own + digits, 0, digits * sizeof(*a));
    reduce_wide(mont, out);
    montgomery_subtract_once(mont, out);
}

/* ------------------------------------------------------------------------------------------- exponentiation
 */

/* Bits first to first + count - 1 of each exponent. */
INLINE __m512i window(const uint8_t *const exponents[LANES], unsigned first, unsigned count)
{
    uint64_t words[LANES];

    for (unsigned lane = 0; lane < LANES; lane++)
        memcpy(&words[lane], exponents[lane] + first / 8, sizeof(words[lane]));
    return _mm512_and_si512(_mm512_srli_epi64(_mm512_loadu_si512(words), first % 8),
        _mm512_set1_epi64((INT64_C(1) << count) - 1));
}

static void put_power(struct montgomery *mont, unsigned power, const __m512i *number)
{
    for (unsigned i = 0; i < shape_digits(mont->shape); i++)
        mont->table[i * POWERS + power] = number[i];
}

/* The base's powers from 0 on. */
static void fill_table(struct montgomery *mont, const __m512i *base, const __m512i *one)
{
    __m512i *power = mont->operand;

    put_power(mont, 0, one);
    put_power(mont, 1, base);
    for (unsigned i = 2; i < POWERS; i += 2) {
        for (unsigned digit = 0; digit < shape_digits(mont->shape); digit++)
            power[digit] = mont->table[digit * POWERS + i / 2];
        montgomery_square(mont, power, power);
        put_power(mont, i, power);
        montgomery_multiply(mont, power, power, base);
        put_power(mont, i + 1, power);
    }
}

/* Begin to look up the powers for a window of the exponents. */
static void begin_window(struct montgomery *mont, const uint8_t *const exponents[LANES], unsigned first)
{
    const __m512i index = window(exponents, first, WINDOW_BITS);

    for (unsigned power = 0; power < POWERS; power++)
        mont->here[power] = _mm512_cmpeq_epi64_mask(index, _mm512_set1_epi64(power));
    mont->looked_up = 0;
}

static void look_up_next(struct montgomery *mont)
{
    struct look_up look_up;

    if (mont->looked_up == shape_digits(mont->shape))
        return;
    look_up_begin(LOOK_UP_MAX, &look_up, mont);
    look_up_part(LOOK_UP_MAX, &look_up, mont, 0, 1);
    look_up_end(LOOK_UP_MAX, &look_up, mont);
}

void montgomery_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint8_t *const exponents[LANES], unsigned exponent_bits, __m512i *table)
{
    const unsigned digits = shape_digits(mont->shape);
    const bool crossed = mont->shape.blocks > 2;
    unsigned first = (exponent_bits - 1) / WINDOW_BITS * WINDOW_BITS;

    mont->table = table;
    fill_table(mont, base, one);
    begin_window(mont, exponents, first);
    while (mont->looked_up < digits)
        look_up_next(mont);
    memcpy(out, mont->operand, digits * sizeof(*out));
    while (first > 0) {
        first -= WINDOW_BITS;
        begin_window(mont, exponents, first);
        for (unsigned i = 0; i < WINDOW_BITS; i++) {
            square_of(mont, out);
            if (mont->shape.blocks == 1) /* the reduction looks nothing up */
                look_up_next(mont);
            by_block[mont->shape.block - BLOCK_MIN].reduce[crossed][mont->looked_up < digits](mont, out);
        }
        montgomery_multiply(mont, out, out, mont->operand);
    }
}

/* base in those lanes, 1 in the others. */
static const __m512i *factor_in(
    struct montgomery *mont, const __m512i *base, const __m512i *one, __mmask8 lanes)
{
    if (lanes == (1u << LANES) - 1)
        return base;
    for (unsigned i = 0; i < shape_digits(mont->shape); i++)
        mont->operand[i] = _mm512_mask_mov_epi64(one[i], lanes, base[i]);
    return mont->operand;
}

void montgomery_public_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint64_t exponents[LANES])
{
    const __m512i exponent = _mm512_loadu_si512(exponents);
    uint64_t mask = UINT64_C(1) << 63 >> __builtin_clzll((uint64_t)_mm512_reduce_or_epi64(exponent));

    memcpy(out,
        factor_in(mont, base, one, _mm512_test_epi64_mask(exponent, _mm512_set1_epi64((int64_t)mask))),
        shape_digits(mont->shape) * sizeof(*out));
    while ((mask >>= 1) != 0) {
        __mmask8 set = _mm512_test_epi64_mask(exponent, _mm512_set1_epi64((int64_t)mask));

        montgomery_square(mont, out, out);
        if (set != 0)
            montgomery_multiply(mont, out, out, factor_in(mont, base, one, set));
    }
}

/* ----------------------------------------------------------------------------------------- loads and stores
 */

void montgomery_load(__m512i *out, const uint64_t *const digits[LANES], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        out[i] = _mm512_set_epi64((int64_t)digits[7][i], (int64_t)digits[6][i], (int64_t)digits[5][i],
            (int64_t)digits[4][i], (int64_t)digits[3][i], (int64_t)digits[2][i], (int64_t)digits[1][i],
            (int64_t)digits[0][i]);
}

void montgomery_store(uint64_t *const digits[LANES], const __m512i *a, unsigned count)
{
    uint64_t lanes[LANES];

    for (unsigned i = 0; i < count; i++) {
        _mm512_storeu_si512(lanes, a[i]);
        for (unsigned lane = 0; lane < LANES; lane++)
            digits[lane][i] = lanes[lane];
    }
}
