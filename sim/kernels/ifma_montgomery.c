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

#include "ifma_reduce.h"

/* The small fields in front of m fill one vector: with another, m would have another place. */
_Static_assert(offsetof(struct montgomery, k0) == sizeof(__m512i), "m begins two vectors behind its page");
_Static_assert(offsetof(struct montgomery, m) == 2 * sizeof(__m512i), "m begins two vectors behind its page");

/*
 * clang aligns the stack of a function for an object that wants it, but not for the registers that it puts
 * there: they then cross lines of the cache, or do not, by where the caller's stack happens to be. That is up
 * to 6 % of a public operation.
 */
#ifdef __clang__
#define ALIGNED_FRAME                                                                                        \
    __m512i frame;                                                                                           \
    __asm__ volatile("" : "=m"(frame))
#else
#define ALIGNED_FRAME ((void)0)
#endif

/*
 * Let the stack of what is called from here on begin a vector behind where mont does, in its page; or where
 * mont does: gcc takes a vector more, to align what it allocates. Only the two addresses decide how much.
 */
#define PLACE_STACK(mont)                                                                                    \
    do {                                                                                                     \
        const uintptr_t wanted = (uintptr_t)(mont) + sizeof(__m512i);                                        \
        const void *here = __builtin_alloca(sizeof(__m512i));                                                \
                                                                                                             \
        here = __builtin_alloca(((uintptr_t)here - wanted) % PAGE_BYTES);                                    \
        __asm__ volatile("" : : "r"(here));                                                                  \
    } while (0)

/* ------------------------------------------------------------------------------------- one for each block
 *
 * Vectors go in and out of these through memory: gcc clears the upper halves of registers neither in a
 * function that is given a wide vector by value nor after its call.
 */

#define FOR_BLOCK(block)                                                                                     \
    static void product_##block(unsigned blocks, __m512i *out, const __m512i *a, const __m512i *b)           \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        product(block, blocks, out, a, b);                                                                   \
    }                                                                                                        \
    static void square_##block(struct montgomery *mont, const __m512i *a)                                    \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        square(block, mont->shape.blocks, mont->wide, a, mont->differences);                                 \
    }                                                                                                        \
    static void reduce_##block(struct montgomery *mont, __m512i *out)                                        \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        reduce(block, false, false, mont, out, mont->wide);                                                  \
    }                                                                                                        \
    static void reduce_crossed_##block(struct montgomery *mont, __m512i *out)                                \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        reduce(block, true, false, mont, out, mont->wide);                                                   \
    }                                                                                                        \
    static void reduce_looking_up_##block(struct montgomery *mont, __m512i *out)                             \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        reduce(block, false, true, mont, out, mont->wide);                                                   \
    }                                                                                                        \
    static void reduce_crossed_looking_up_##block(struct montgomery *mont, __m512i *out)                     \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        reduce(block, true, true, mont, out, mont->wide);                                                    \
    }                                                                                                        \
    static void set_crossings_##block(struct montgomery *mont)                                               \
    {                                                                                                        \
        ALIGNED_FRAME;                                                                                       \
        set_crossings(block, mont);                                                                          \
    }

FOR_BLOCK(8)
FOR_BLOCK(9)
FOR_BLOCK(10)

static const struct {
    void (*product)(unsigned blocks, __m512i *out, const __m512i *a, const __m512i *b);
    void (*square)(struct montgomery *mont, const __m512i *a);
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
    by_block[mont->shape.block - BLOCK_MIN].product(mont->shape.blocks, mont->wide, a, b);
}

static void reduce_wide(struct montgomery *mont, __m512i *out)
{
    by_block[mont->shape.block - BLOCK_MIN].reduce[mont->shape.blocks > 2][0](mont, out);
}

static void square_of(struct montgomery *mont, const __m512i *a)
{
    by_block[mont->shape.block - BLOCK_MIN].square(mont, a);
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

    OPENSSL_cleanse(mont->wide, 2 * size);
    OPENSSL_cleanse(mont->differences, PAIRS(mont->shape.blocks) * sizeof(mont->differences[0]));
    OPENSSL_cleanse(mont->quotient, size);
    OPENSSL_cleanse(mont->sums, 2 * size);
    OPENSSL_cleanse(mont->waiting, sizeof(mont->waiting));
    OPENSSL_cleanse(mont->operand, size);
}

void montgomery_product(struct montgomery *mont, __m512i *out, const __m512i *a, const __m512i *b)
{
    product_of(mont, a, b);
    memcpy(out, mont->wide, 2 * shape_digits(mont->shape) * sizeof(*out));
}

void montgomery_reduce(struct montgomery *mont, __m512i *out, const __m512i *wide)
{
    memcpy(mont->wide, wide, 2 * shape_digits(mont->shape) * sizeof(*wide));
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

/* ------------------------------------------------------------------------------------ in and out of range */

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

    memcpy(mont->wide, a, digits * sizeof(*a));
    memset(mont->wide + digits, 0, digits * sizeof(*a));
    reduce_wide(mont, out);
    montgomery_subtract_once(mont, out);
}

/* ----------------------------------------------------------------------------------------- exponentiation */

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
    const __m512i lower = _mm512_and_si512(index, _mm512_set1_epi64(3));

    for (unsigned i = 1; i < 4; i++)
        mont->window.lower_is[i - 1] = _mm512_cmpeq_epi64_mask(lower, _mm512_set1_epi64(i));
    for (unsigned i = 0; i < WINDOW_BITS - 2; i++)
        mont->window.upper[i] = _mm512_test_epi64_mask(index, _mm512_set1_epi64(4 << i));
    mont->looked_up = 0;
}

static void look_up_next(struct montgomery *mont)
{
    struct look_up look_up;

    if (mont->looked_up == shape_digits(mont->shape))
        return;
    look_up_begin(LOOK_UP_ALONE, &look_up, mont);
    look_up_part(LOOK_UP_ALONE, &look_up, 0, 1);
}

void montgomery_power(struct montgomery *mont, __m512i *out, const __m512i *base, const __m512i *one,
    const uint8_t *const exponents[LANES], unsigned exponent_bits, __m512i *table)
{
    const unsigned digits = shape_digits(mont->shape);
    const bool crossed = mont->shape.blocks > 2;
    unsigned first = (exponent_bits - 1) / WINDOW_BITS * WINDOW_BITS;

    PLACE_STACK(mont);
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

    PLACE_STACK(mont);
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

/* --------------------------------------------------------------------------------------- loads and stores */

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
