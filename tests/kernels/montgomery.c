/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lanes' arithmetic against libcrypto's numbers: every shape, random moduli and those with the most
 * carries or the largest differences between blocks, and values and quotients at the edges of what they may
 * be. Each lane has a modulus and values of its own.
 */
#include "kernels/ifma_montgomery.h"

#include <openssl/bn.h>

#include "check.h"

#define ROUNDS 10u /* each edge in each lane */

static struct montgomery mont;
static BN_CTX *ctx;
static BIGNUM *moduli[LANES], *r, *r_inverse[LANES];
static unsigned digits, state = 1;

static unsigned any(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* The seed is fixed, so a failure can be repeated: libcrypto's own random numbers will not do. */
static void random_number(BIGNUM *number, unsigned bits)
{
    uint8_t bytes[DIGITS_MAX * 7];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)any();
    CHECK(BN_bin2bn(bytes, (int)(bits + 7) / 8, number) != NULL);
    BN_mask_bits(number, (int)bits); /* no effect where it is shorter */
}

static void to_digits(uint64_t *out, unsigned count, const BIGNUM *number)
{
    uint8_t bytes[2 * DIGITS_MAX * 7];
    int len = (int)(count * DIGIT_BITS + 7) / 8;

    CHECK_EQ(BN_bn2binpad(number, bytes, len), len);
    digits_from_bytes(out, count, bytes, (size_t)len);
}

static void put(__m512i *out, unsigned count, BIGNUM *const numbers[LANES])
{
    static uint64_t all[LANES][2 * DIGITS_MAX];
    const uint64_t *lanes[LANES];

    for (unsigned lane = 0; lane < LANES; lane++) {
        to_digits(all[lane], count, numbers[lane]);
        lanes[lane] = all[lane];
    }
    montgomery_load(out, lanes, count);
}

static void check(const char *what, const __m512i *got, unsigned count, BIGNUM *const wanted[LANES])
{
    static uint64_t all[LANES][2 * DIGITS_MAX];
    uint64_t *lanes[LANES];
    BIGNUM *number = BN_new();

    for (unsigned lane = 0; lane < LANES; lane++)
        lanes[lane] = all[lane];
    montgomery_store(lanes, got, count);
    for (unsigned lane = 0; lane < LANES; lane++) {
        uint8_t bytes[2 * DIGITS_MAX * 7];
        int len = (int)(count * DIGIT_BITS + 7) / 8;

        for (unsigned i = 0; i < count; i++)
            CHECK(all[lane][i] <= DIGIT_MASK);
        digits_to_bytes(bytes, (size_t)len, all[lane], count);
        CHECK(BN_bin2bn(bytes, len, number) != NULL);
        if (BN_cmp(number, wanted[lane]) == 0)
            continue;
        fprintf(stderr, "%s, %u digits in blocks of %u, lane %u, is\n  %s, wanted\n  %s\n", what, digits,
            mont.shape.block, lane, BN_bn2hex(number), BN_bn2hex(wanted[lane]));
        abort();
    }
    BN_free(number);
}

/* As above, for a residue: below 2m, and equal modulo m. */
static void check_residue(const char *what, const __m512i *got, BIGNUM *const wanted[LANES])
{
    static __m512i reduced[DIGITS_MAX];

    memcpy(reduced, got, digits * sizeof(*got));
    montgomery_subtract_once(&mont, reduced);
    check(what, reduced, digits, wanted);
}

/* ------------------------------------------------------------------------------------------------- values */

enum {
    ZERO,
    ONE,
    MODULUS_LESS_1,
    MODULUS,
    TWICE_LESS_1,
    ONES,
    EVEN_BLOCKS,
    ODD_BLOCKS,
    SOME_BLOCKS,
    RANDOM,
    EDGES
};

/* Some blocks full, the others 0: the largest differences between them. */
static void full_blocks(BIGNUM *out, unsigned bits, unsigned edge)
{
    unsigned full = edge == EVEN_BLOCKS ? 0x5555 : edge == ODD_BLOCKS ? 0xaaaa : any();

    BN_zero(out);
    for (unsigned bit = 0; bit < bits; bit++)
        if (full >> bit / DIGIT_BITS / mont.shape.block & 1)
            CHECK(BN_set_bit(out, (int)bit));
}

/* A residue, below 2m. */
static void value(BIGNUM *out, unsigned edge, const BIGNUM *m)
{
    BIGNUM *twice = BN_new();

    CHECK(BN_lshift1(twice, m));
    switch (edge) {
    case ZERO:
        BN_zero(out);
        break;
    case ONE:
        CHECK(BN_one(out));
        break;
    case MODULUS_LESS_1:
    case MODULUS:
        CHECK(BN_copy(out, m) != NULL);
        CHECK(edge == MODULUS || BN_sub_word(out, 1));
        break;
    case TWICE_LESS_1:
        CHECK(BN_copy(out, twice) != NULL && BN_sub_word(out, 1));
        break;
    case ONES: /* every digit full */
        BN_zero(out);
        CHECK(BN_set_bit(out, BN_num_bits(m) - 1) && BN_sub_word(out, 1));
        break;
    case EVEN_BLOCKS:
    case ODD_BLOCKS:
    case SOME_BLOCKS:
        full_blocks(out, (unsigned)BN_num_bits(m) - 1, edge);
        break;
    default:
        random_number(out, (unsigned)BN_num_bits(m) + 1);
        CHECK(BN_nnmod(out, out, twice, ctx));
    }
    BN_free(twice);
}

/* Odd, and of the most bits that the shape takes, or a few less: random; some blocks full; all ones; a power
 * of two and one. */
static void choose_moduli(void)
{
    for (unsigned lane = 0; lane < LANES; lane++) {
        unsigned bits = DIGIT_BITS * digits - 2 - (lane >= 4 ? any() % 60 : 0);
        BIGNUM *m = moduli[lane];

        if (lane % 4 == 2) {
            BN_zero(m);
            CHECK(BN_set_bit(m, (int)bits) && BN_sub_word(m, 1));
        } else if (lane % 4 == 3) {
            BN_zero(m);
            CHECK(BN_set_bit(m, (int)bits - 1) && BN_set_bit(m, 0));
        } else {
            if (lane % 4 == 1)
                full_blocks(m, bits, EVEN_BLOCKS + any() % 3);
            else
                random_number(m, bits);
            CHECK(BN_set_bit(m, (int)bits - 1) && BN_set_bit(m, 0));
        }
        CHECK(BN_mod_inverse(r_inverse[lane], r, m, ctx) != NULL);
    }
}

static void set_moduli(struct shape shape)
{
    static uint64_t all[LANES][DIGITS_MAX];
    const uint64_t *lanes[LANES];
    uint64_t k0[LANES];
    BIGNUM *inverse = BN_new(), *base = BN_new();

    CHECK(BN_set_bit(base, DIGIT_BITS));
    for (unsigned lane = 0; lane < LANES; lane++) {
        to_digits(all[lane], digits, moduli[lane]);
        lanes[lane] = all[lane];
        CHECK(BN_mod_inverse(inverse, moduli[lane], base, ctx) != NULL);
        k0[lane] = (0 - (uint64_t)BN_get_word(inverse)) & DIGIT_MASK;
    }
    montgomery_set_moduli(&mont, shape, lanes, k0);
    BN_free(inverse);
    BN_free(base);
}

/* -------------------------------------------------------------------------------------------------- tests */

static void divide_by_r(BIGNUM *const numbers[LANES])
{
    for (unsigned lane = 0; lane < LANES; lane++)
        CHECK(BN_mod_mul(numbers[lane], numbers[lane], r_inverse[lane], moduli[lane], ctx));
}

static void test_products(BIGNUM *const a[LANES], BIGNUM *const b[LANES], BIGNUM *const wanted[LANES])
{
    static __m512i va[DIGITS_MAX], vb[DIGITS_MAX], out[2 * DIGITS_MAX];

    put(va, digits, a);
    put(vb, digits, b);
    for (unsigned lane = 0; lane < LANES; lane++)
        CHECK(BN_mul(wanted[lane], a[lane], b[lane], ctx));
    montgomery_product(&mont, out, va, vb);
    montgomery_carry(out, 2 * digits);
    check("product", out, 2 * digits, wanted);
    divide_by_r(wanted);
    montgomery_reduce(&mont, out, out);
    check_residue("reduced product", out, wanted);
    montgomery_multiply(&mont, out, va, vb);
    check_residue("multiply", out, wanted);
    montgomery_multiply(&mont, vb, va, vb);
    check_residue("multiply in place", vb, wanted);

    for (unsigned lane = 0; lane < LANES; lane++)
        CHECK(BN_sqr(wanted[lane], a[lane], ctx));
    divide_by_r(wanted);
    montgomery_square(&mont, out, va);
    check_residue("square", out, wanted);
    for (unsigned lane = 0; lane < LANES; lane++)
        CHECK(BN_copy(wanted[lane], a[lane]) != NULL);
    divide_by_r(wanted);
    montgomery_convert_back(&mont, out, va);
    check("leave", out, digits, wanted);
}

/* A quotient, below R. */
static void choose_quotient(BIGNUM *out, unsigned edge)
{
    BN_zero(out);
    if (edge == ONE)
        CHECK(BN_one(out));
    else if (edge == ONES)
        CHECK(BN_sub(out, r, BN_value_one()));
    else if (edge == EVEN_BLOCKS || edge == ODD_BLOCKS || edge == SOME_BLOCKS)
        full_blocks(out, DIGIT_BITS * digits, edge);
    else if (edge != ZERO)
        random_number(out, DIGIT_BITS * digits);
}

/* Reduce what has a given quotient: high * R - quotient * m, in the lower digits modulo R. */
static void test_quotients(unsigned round, BIGNUM *const high[LANES], BIGNUM *const wanted[LANES])
{
    static __m512i wide[2 * DIGITS_MAX], out[DIGITS_MAX];
    BIGNUM *numbers[LANES];

    for (unsigned lane = 0; lane < LANES; lane++) {
        BIGNUM *quotient = BN_new(), *product = BN_new(), *number = numbers[lane] = BN_new();

        choose_quotient(quotient, (3 * lane + round) % EDGES);
        CHECK(BN_mul(product, quotient, moduli[lane], ctx));
        CHECK(BN_copy(number, product) != NULL);
        BN_set_negative(number, 1);
        CHECK(BN_nnmod(number, number, r, ctx));
        CHECK(BN_nnmod(wanted[lane], high[lane], moduli[lane], ctx)); /* so that it is below m * R */
        CHECK(BN_lshift(wanted[lane], wanted[lane], (int)(DIGIT_BITS * digits)));
        CHECK(BN_add(number, number, wanted[lane]));
        CHECK(BN_add(wanted[lane], number, product));
        CHECK(BN_rshift(wanted[lane], wanted[lane], (int)(DIGIT_BITS * digits)));
        BN_free(quotient);
        BN_free(product);
    }
    put(wide, 2 * digits, numbers);
    montgomery_reduce(&mont, out, wide);
    check("reduced with a quotient", out, digits, wanted);
    for (unsigned lane = 0; lane < LANES; lane++)
        BN_free(numbers[lane]);
}

/* wanted = a^exponent, all in Montgomery's form. */
static void want_power(BIGNUM *wanted, const BIGNUM *a, const BIGNUM *exponent, unsigned lane)
{
    CHECK(BN_mod_mul(wanted, a, r_inverse[lane], moduli[lane], ctx));
    CHECK(BN_mod_exp(wanted, wanted, exponent, moduli[lane], ctx));
    CHECK(BN_mod_mul(wanted, wanted, r, moduli[lane], ctx));
}

static void put_one(__m512i *one)
{
    BIGNUM *numbers[LANES];

    for (unsigned lane = 0; lane < LANES; lane++) {
        numbers[lane] = BN_new();
        CHECK(BN_nnmod(numbers[lane], r, moduli[lane], ctx));
    }
    put(one, digits, numbers);
    for (unsigned lane = 0; lane < LANES; lane++)
        BN_free(numbers[lane]);
}

static void test_power(BIGNUM *const a[LANES], BIGNUM *const wanted[LANES])
{
    static uint8_t bytes[LANES][DIGITS_MAX * 7];
    static __m512i va[DIGITS_MAX], one[DIGITS_MAX], out[DIGITS_MAX], table[TABLE_DIGITS];
    const uint8_t *exponents[LANES];
    unsigned bits = any() % 3 == 0 ? DIGIT_BITS * digits - 2 : 1 + any() % 150;
    BIGNUM *exponent;

    if (digits > DIGITS_MAX / 2)
        return;
    exponent = BN_new();
    for (unsigned lane = 0; lane < LANES; lane++) {
        random_number(exponent, bits);
        if (lane == 6)
            BN_zero(exponent);
        if (lane == 7)
            CHECK(BN_one(exponent) && BN_lshift(exponent, exponent, (int)bits) && BN_sub_word(exponent, 1));
        CHECK(BN_bn2lebinpad(exponent, bytes[lane], sizeof(bytes[lane])) > 0);
        exponents[lane] = bytes[lane];
        want_power(wanted[lane], a[lane], exponent, lane);
    }
    put(va, digits, a);
    put_one(one);
    montgomery_power(&mont, out, va, one, exponents, bits, table);
    check_residue("power", out, wanted);
    BN_free(exponent);
}

static void test_public_power(BIGNUM *const a[LANES], BIGNUM *const wanted[LANES], bool alike)
{
    static const uint64_t some[LANES] = {65537, 3, 17, 1, UINT64_MAX, 2, 0x8000000000000000, 0x10001000100};
    static __m512i va[DIGITS_MAX], one[DIGITS_MAX], out[DIGITS_MAX];
    uint64_t exponents[LANES];
    BIGNUM *exponent = BN_new();

    for (unsigned lane = 0; lane < LANES; lane++) {
        exponents[lane] = alike ? 65537 : some[lane];
        CHECK(BN_set_word(exponent, exponents[lane]));
        want_power(wanted[lane], a[lane], exponent, lane);
    }
    put(va, digits, a);
    put_one(one);
    montgomery_public_power(&mont, out, va, one, exponents);
    check_residue("public power", out, wanted);
    BN_free(exponent);
}

static void test_shape(struct shape shape)
{
    BIGNUM *a[LANES], *b[LANES], *wanted[LANES];

    mont.shape = shape;
    digits = shape_digits(shape);
    BN_zero(r);
    CHECK(BN_set_bit(r, (int)(DIGIT_BITS * digits)));
    for (unsigned lane = 0; lane < LANES; lane++) {
        a[lane] = BN_new();
        b[lane] = BN_new();
        wanted[lane] = BN_new();
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        choose_moduli();
        set_moduli(shape);
        for (unsigned lane = 0; lane < LANES; lane++) {
            value(a[lane], (lane + round) % EDGES, moduli[lane]);
            value(b[lane], any() % EDGES, moduli[lane]);
        }
        test_products(a, b, wanted);
        test_quotients(round, b, wanted);
        test_power(a, wanted);
        test_public_power(a, wanted, round % 2 == 0);
    }
    for (unsigned lane = 0; lane < LANES; lane++) {
        BN_free(a[lane]);
        BN_free(b[lane]);
        BN_free(wanted[lane]);
    }
}

/* Each length has a shape in which it is below R / 4; the common ones without a digit to spare. */
static void test_shapes(void)
{
    static const unsigned common[][2] = {{512, 10}, {1024, 20}, {1536, 30}, {2048, 40}, {3072, 60}};

    for (unsigned i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        struct shape shape;

        CHECK(shape_for(common[i][0], &shape));
        CHECK_EQ(shape_digits(shape), common[i][1]);
    }
    for (unsigned bits = 1; bits <= DIGIT_BITS * DIGITS_MAX; bits++) {
        struct shape shape;
        bool fits = bits + 2 <= DIGIT_BITS * DIGITS_MAX;

        CHECK_EQ(shape_for(bits, &shape), fits);
        if (!fits)
            continue;
        CHECK(shape.block >= BLOCK_MIN && shape.block <= BLOCK_MAX && shape.blocks >= 1);
        CHECK(shape_digits(shape) * DIGIT_BITS >= bits + 2);
        CHECK(shape_digits(shape) <= DIGITS_MAX);
    }
}

int main(void)
{
    test_begin(300);
    if (!__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512dq"))
        SKIP("this processor has no AVX-512 IFMA");
    ctx = BN_CTX_new();
    r = BN_new();
    for (unsigned lane = 0; lane < LANES; lane++) {
        moduli[lane] = BN_new();
        r_inverse[lane] = BN_new();
    }
    test_shapes();
    for (unsigned block = BLOCK_MIN; block <= BLOCK_MAX; block++)
        for (unsigned blocks = 1; block * blocks <= DIGITS_MAX; blocks++)
            test_shape((struct shape){block, blocks});
    for (unsigned lane = 0; lane < LANES; lane++) {
        BN_free(moduli[lane]);
        BN_free(r_inverse[lane]);
    }
    BN_free(r);
    BN_CTX_free(ctx);
    return 0;
}
