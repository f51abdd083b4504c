/*
 * Montgomery arithmetic on eight numbers at once: see montgomery.h for the layout.
 *
 * Numbers are multiplied block by block, along the anti-diagonals of the square of block products: all
 * products that end in the same block of columns follow one another, and the columns being added up, two
 * blocks of them, stay in registers: 20 for the columns, 10 for a block of b and one for a digit of a are 31
 * of the 32 there are. So nearly every instruction is a multiply-add. The functions are written once, with
 * the length of a block as a constant that the compiler unrolls, and made for each of the three lengths.
 */
#include "montgomery.h"

#include <string.h>

#define UNROLL _Pragma("GCC unroll 20")
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

INLINE void columns_add(const unsigned block, struct columns *sum, const __m512i *digits)
{
    UNROLL for (unsigned i = 0; i < block; i++) sum->c[i] = _mm512_add_epi64(sum->c[i], digits[i]);
}

INLINE void columns_put(const unsigned block, const struct columns *sum, __m512i *digits)
{
    UNROLL for (unsigned i = 0; i < block; i++) digits[i] = sum->c[i];
}

/* sum += a * b */
INLINE void add_product(const unsigned block, struct columns *sum, const __m512i *a, const __m512i *b)
{
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        UNROLL for (unsigned j = 0; j < block; j++)
        {
            sum->c[i + j] = low(sum->c[i + j], a[i], b[j]);
            sum->c[i + j + 1] = high(sum->c[i + j + 1], a[i], b[j]);
        }
    }
}

/* sum += the products of a's digits with each other, each pair once */
INLINE void add_pairs(const unsigned block, struct columns *sum, const __m512i *a)
{
    UNROLL for (unsigned i = 0; i < block; i++)
    {
        UNROLL for (unsigned j = i + 1; j < block; j++)
        {
            sum->c[i + j] = low(sum->c[i + j], a[i], a[j]);
            sum->c[i + j + 1] = high(sum->c[i + j + 1], a[i], a[j]);
        }
    }
}

/* ----------------------------------------------------------------------------------- multiply and reduce */

INLINE void product(const unsigned block, unsigned blocks, __m512i *out, const __m512i *a, const __m512i *b)
{
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned column = 0; column < 2 * blocks; column++) {
        unsigned first = column < blocks ? 0 : column - blocks + 1;

        for (unsigned i = first; i <= column && i < blocks; i++)
            add_product(block, &sum, a + i * block, b + (column - i) * block);
        columns_put(block, &sum, out + column * block);
        columns_advance(block, &sum);
    }
}

/* The pairs once, then doubled, and the squares of the digits added: digit i's stands in columns 2i and
 * 2i + 1. */
INLINE void square(const unsigned block, unsigned blocks, __m512i *out, const __m512i *a)
{
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned column = 0; column < 2 * blocks; column++) {
        unsigned first = column < blocks ? 0 : column - blocks + 1;

        for (unsigned i = first; 2 * i < column && i < blocks; i++)
            add_product(block, &sum, a + i * block, a + (column - i) * block);
        if (column % 2 == 0)
            add_pairs(block, &sum, a + column / 2 * block);
        columns_put(block, &sum, out + column * block);
        columns_advance(block, &sum);
    }
    for (unsigned i = 0; i < block * blocks; i++) {
        out[2 * i] = low(_mm512_add_epi64(out[2 * i], out[2 * i]), a[i], a[i]);
        out[2 * i + 1] = high(_mm512_add_epi64(out[2 * i + 1], out[2 * i + 1]), a[i], a[i]);
    }
}

/*
 * The digits of the quotient for one block, each from the column that it clears, and the quotient's product
 * with the lowest block of m. A cleared column leaves a carry: since quotient * m[0] makes its lower 52 bits
 * 0, the carry is 1 unless they were 0 before, and need not wait for the product.
 */
INLINE void clear_block(
    const unsigned block, struct columns *sum, __m512i *quotient, const __m512i *m, __m512i k0)
{
    const __m512i zero = _mm512_setzero_si512(), mask = digit_mask();

    UNROLL for (unsigned i = 0; i < block; i++)
    {
        __m512i q = low(zero, sum->c[i], k0);
        __m512i carry = _mm512_srli_epi64(_mm512_add_epi64(sum->c[i], mask), DIGIT_BITS);
        __m512i next = high(carry, q, m[0]); /* beside the other product that the next digit waits for */

        quotient[i] = q;
        sum->c[i + 1] = _mm512_add_epi64(low(sum->c[i + 1], q, m[1]), next);
        sum->c[i + 2] = high(sum->c[i + 2], q, m[1]);
        UNROLL for (unsigned j = 2; j < block; j++)
        {
            sum->c[i + j] = low(sum->c[i + j], q, m[j]);
            sum->c[i + j + 1] = high(sum->c[i + j + 1], q, m[j]);
        }
    }
}

INLINE void reduce(const unsigned block, struct montgomery *mont, __m512i *out, const __m512i *wide)
{
    const unsigned blocks = mont->shape.blocks;
    __m512i carry = _mm512_setzero_si512();
    struct columns sum;

    columns_clear(block, &sum);
    for (unsigned column = 0; column < blocks; column++) {
        columns_add(block, &sum, wide + column * block);
        for (unsigned i = 0; i < column; i++)
            add_product(block, &sum, mont->quotient + i * block, mont->m + (column - i) * block);
        clear_block(block, &sum, mont->quotient + column * block, mont->m, mont->k0);
        columns_advance(block, &sum);
    }
    for (unsigned column = blocks; column < 2 * blocks; column++) {
        columns_add(block, &sum, wide + column * block);
        for (unsigned i = column - blocks + 1; i < blocks; i++)
            add_product(block, &sum, mont->quotient + i * block, mont->m + (column - i) * block);
        UNROLL for (unsigned i = 0; i < block; i++)
        {
            carry = _mm512_add_epi64(carry, sum.c[i]);
            out[(column - blocks) * block + i] = _mm512_and_si512(carry, digit_mask());
            carry = _mm512_srli_epi64(carry, DIGIT_BITS);
        }
        columns_advance(block, &sum);
    }
}

/* out = table[index], each lane its own; every entry is read. */
INLINE void look_up(const unsigned block, unsigned blocks, __m512i *out, const __m512i *table,
    unsigned entries, __m512i index)
{
    for (unsigned part = 0; part < blocks; part++) {
        __m512i found[BLOCK_MAX];

        UNROLL for (unsigned i = 0; i < block; i++) found[i] = table[part * block + i];
        for (unsigned entry = 1; entry < entries; entry++) {
            const __m512i *digits = table + entry * block * blocks + part * block;
            __mmask8 here = _mm512_cmpeq_epi64_mask(index, _mm512_set1_epi64(entry));

            UNROLL for (unsigned i = 0; i < block; i++) found[i] =
                _mm512_mask_mov_epi64(found[i], here, digits[i]);
        }
        UNROLL for (unsigned i = 0; i < block; i++) out[part * block + i] = found[i];
    }
}

/* ------------------------------------------------------------------------------------- one for each block */

#define FOR_BLOCK(block)                                                                                     \
    static void product_##block(unsigned blocks, __m512i *out, const __m512i *a, const __m512i *b)           \
    {                                                                                                        \
        product(block, blocks, out, a, b);                                                                   \
    }                                                                                                        \
    static void square_##block(unsigned blocks, __m512i *out, const __m512i *a)                              \
    {                                                                                                        \
        square(block, blocks, out, a);                                                                       \
    }                                                                                                        \
    static void reduce_##block(struct montgomery *mont, __m512i *out, const __m512i *wide)                   \
    {                                                                                                        \
        reduce(block, mont, out, wide);                                                                      \
    }                                                                                                        \
    static void look_up_##block(                                                                             \
        unsigned blocks, __m512i *out, const __m512i *table, unsigned entries, __m512i index)                \
    {                                                                                                        \
        look_up(block, blocks, out, table, entries, index);                                                  \
    }

FOR_BLOCK(8)
FOR_BLOCK(9)
FOR_BLOCK(10)

static const struct {
    void (*product)(unsigned blocks, __m512i *out, const __m512i *a, const __m512i *b);
    void (*square)(unsigned blocks, __m512i *out, const __m512i *a);
    void (*reduce)(struct montgomery *mont, __m512i *out, const __m512i *wide);
    void (*look_up)(unsigned blocks, __m512i *out, const __m512i *table, unsigned entries, __m512i index);
} by_block[] = {
    {product_8, square_8, reduce_8, look_up_8},
    {product_9, square_9, reduce_9, look_up_9},
    {product_10, square_10, reduce_10, look_up_10},
};

void montgomery_product(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b)
{
    by_block[mont->shape.block - BLOCK_MIN].product(mont->shape.blocks, out, a, b);
}

void montgomery_reduce(struct montgomery *mont, __m512i *out, const __m512i *wide)
{
    by_block[mont->shape.block - BLOCK_MIN].reduce(mont, out, wide);
}

void montgomery_multiply(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b)
{
    montgomery_product(mont, mont->product, a, b);
    montgomery_reduce(mont, out, mont->product);
}

void montgomery_square(struct montgomery *mont, __m512i *out, const __m512i *a)
{
    by_block[mont->shape.block - BLOCK_MIN].square(mont->shape.blocks, mont->product, a);
    montgomery_reduce(mont, out, mont->product);
}

/* -------------------------------------------------------------------------------------- in and out of range
 */

void montgomery_carry(__m512i *a, unsigned digits)
{
    __m512i carry = _mm512_setzero_si512();

    for (unsigned i = 0; i < digits; i++) {
        carry = _mm512_add_epi64(carry, a[i]);
        a[i] = _mm512_and_si512(carry, digit_mask());
        carry = _mm512_srai_epi64(carry, DIGIT_BITS);
    }
}

void montgomery_subtract_once(struct montgomery *mont, __m512i *a)
{
    const unsigned digits = shape_digits(mont->shape);
    __m512i *difference = mont->operand, borrow = _mm512_setzero_si512();
    __mmask8 below;

    for (unsigned i = 0; i < digits; i++) {
        borrow = _mm512_add_epi64(borrow, _mm512_sub_epi64(a[i], mont->m[i]));
        difference[i] = _mm512_and_si512(borrow, digit_mask());
        borrow = _mm512_srai_epi64(borrow, DIGIT_BITS); /* 0 or -1 */
    }
    below = _mm512_movepi64_mask(borrow);
    for (unsigned i = 0; i < digits; i++)
        a[i] = _mm512_mask_mov_epi64(difference[i], below, a[i]);
}

void montgomery_leave(struct montgomery *mont, __m512i *out, const __m512i *a)
{
    const unsigned digits = shape_digits(mont->shape);

    memcpy(mont->product, a, digits * sizeof(*a));
    memset(mont->product + digits, 0, digits * sizeof(*a));
    montgomery_reduce(mont, out, mont->product);
    montgomery_subtract_once(mont, out);
}

/* ------------------------------------------------------------------------------------------- exponentiation
 */

/* Bits first to first + count - 1 of each exponent. */
static __m512i window(const uint8_t *const exponents[LANES], unsigned first, unsigned count)
{
    uint64_t words[LANES];

    for (unsigned lane = 0; lane < LANES; lane++)
        memcpy(&words[lane], exponents[lane] + first / 8, sizeof(words[lane]));
    return _mm512_and_si512(_mm512_srli_epi64(_mm512_loadu_si512(words), first % 8),
        _mm512_set1_epi64((INT64_C(1) << count) - 1));
}

void montgomery_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint8_t *const exponents[LANES], unsigned exponent_bits, __m512i *table)
{
    const unsigned digits = shape_digits(mont->shape);
    const unsigned bits = digits <= WIDE_WINDOW_DIGITS ? 5 : 4;
    const unsigned entries = 1u << bits;
    unsigned first = (exponent_bits + bits - 1) / bits * bits;

    memcpy(table, one, digits * sizeof(*table));
    memcpy(table + digits, base, digits * sizeof(*table));
    for (unsigned i = 2; i < entries; i++)
        montgomery_multiply(mont, table + i * digits, table + (i - 1) * digits, base);

    memcpy(out, one, digits * sizeof(*out));
    while (first > 0) {
        first -= bits;
        for (unsigned i = 0; i < bits; i++)
            montgomery_square(mont, out, out);
        by_block[mont->shape.block - BLOCK_MIN].look_up(
            mont->shape.blocks, mont->operand, table, entries, window(exponents, first, bits));
        montgomery_multiply(mont, out, out, mont->operand);
    }
}

void montgomery_public_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint64_t exponents[LANES])
{
    const unsigned digits = shape_digits(mont->shape);
    const __m512i exponent = _mm512_loadu_si512(exponents);
    unsigned bit = 63 - (unsigned)__builtin_clzll((uint64_t)_mm512_reduce_or_epi64(exponent));
    __m512i *factor = mont->operand;
    bool started = false;

    for (;; bit--) {
        __mmask8 set = _mm512_test_epi64_mask(exponent, _mm512_set1_epi64((int64_t)(UINT64_C(1) << bit)));

        if (started)
            montgomery_square(mont, out, out);
        if (set != 0) {
            for (unsigned i = 0; i < digits; i++)
                factor[i] = _mm512_mask_mov_epi64(one[i], set, base[i]);
            if (started)
                montgomery_multiply(mont, out, out, factor);
            else
                memcpy(out, factor, digits * sizeof(*out));
            started = true;
        }
        if (bit == 0)
            break;
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
