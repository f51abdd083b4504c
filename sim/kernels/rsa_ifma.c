/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA in batches. A private operation is two exponentiations, modulo p and modulo q: the halves. Eight halves
 * fill the lanes, whichever requests they belong to, so four requests are done in one pass and not in two.
 * The steps after it, combining the halves and verifying the result, are done with one request to a lane.
 */
#include "rsa_ifma.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compute.h"
#include "ifma_montgomery.h"
#include "residue.h"
#include "rsa_ifma_cost.h"
#include "rsa_ifma_key.h"
#include "rsa_key.h"

struct job {
    const struct rsa_ifma_key *key;
    const struct ersatz_op *op;
    unsigned index;             /* in the batch */
    uint64_t input[DIGITS_MAX]; /* below the modulus */
    uint64_t halves[2][HALF_DIGITS_MAX];
    uint64_t output[DIGITS_MAX];
};

struct rsa_ifma {
    struct montgomery mont;
    PLACED(__m512i, a, DIGITS_MAX, PLACE_OF_NUMBERS);
    PLACED(__m512i, b, DIGITS_MAX, PLACE_OF_NUMBERS);
    PLACED(__m512i, table, TABLE_DIGITS, PLACE_OF_TABLE);
    __m512i one[DIGITS_MAX], wide[2 * DIGITS_MAX];
    struct job jobs[COMPUTE_BATCH_MAX]; /* of one shape, the group being computed */
    unsigned count;
    struct rsa_ifma_costs costs;
};

struct rsa_ifma *rsa_ifma_new(void)
{
    struct rsa_ifma *ifma = aligned_alloc(_Alignof(struct rsa_ifma), sizeof(*ifma));

    if (ifma != NULL)
        memset(ifma, 0, sizeof(*ifma));
    return ifma;
}

void rsa_ifma_free(struct rsa_ifma *ifma)
{
    free(ifma); /* cleansed after each batch */
}

bool rsa_ifma_is_available(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512ifma");
}

/* Enough for the bytes of an input, which can be one digit more than the modulus has, and as many as the
 * reduction for the halves reads. */
static unsigned input_digits(const struct rsa_ifma_key *key)
{
    unsigned digits = shape_digits(key->shape) + 1;

    if (key->is_private && 2 * shape_digits(key->half_shape) > digits)
        digits = 2 * shape_digits(key->half_shape);
    return digits < DIGITS_MAX ? digits : DIGITS_MAX;
}

/* Only the part that was used: for public operations, cleansing all of it would take noticeable time. */
static void cleanse_job(struct job *job)
{
    const size_t size = input_digits(job->key) * sizeof(job->input[0]);

    OPENSSL_cleanse(job->input, size);
    OPENSSL_cleanse(job->output, size);
    if (job->op->kind == ERSATZ_RSA_PRIVATE)
        OPENSSL_cleanse(job->halves, sizeof(job->halves));
}

/* The input of a public operation may be secret too: a key that is encrypted. */
static void cleanse(struct rsa_ifma *ifma, bool private_half)
{
    const size_t size = shape_digits(ifma->jobs[0].key->shape) * sizeof(ifma->a[0]);

    for (unsigned i = 0; i < ifma->count; i++)
        cleanse_job(&ifma->jobs[i]);
    if (private_half) {
        OPENSSL_cleanse(&ifma->mont, sizeof(ifma->mont));
        OPENSSL_cleanse(ifma->a, sizeof(ifma->a));
        OPENSSL_cleanse(ifma->b, sizeof(ifma->b));
        OPENSSL_cleanse(ifma->one, sizeof(ifma->one));
        OPENSSL_cleanse(ifma->wide, sizeof(ifma->wide));
        OPENSSL_cleanse(
            ifma->table, shape_digits(ifma->jobs[0].key->half_shape) * POWERS * sizeof(ifma->table[0]));
    } else {
        montgomery_cleanse(&ifma->mont);
        OPENSSL_cleanse(ifma->a, size);
        OPENSSL_cleanse(ifma->b, size);
    }
    residue_clear();
}

/* -------------------------------------------------------------------------------------------------- lanes */

/* For each lane a number of a job's. Idle lanes repeat the first, and write the same result to the same
 * place. */
struct sources {
    const uint64_t *digits[LANES];
};

static struct job *job_in_lane(struct rsa_ifma *ifma, unsigned first, unsigned count, unsigned lane)
{
    return &ifma->jobs[first + (lane < count ? lane : 0)];
}

/* ------------------------------------------------------------------------------------------------- passes */

/* Halves first to first + count - 1, two to a job: input^exponent modulo the prime. */
static void exponentiate(struct rsa_ifma *ifma, unsigned first, unsigned count)
{
    struct montgomery *mont = &ifma->mont;
    const struct shape shape = ifma->jobs[0].key->half_shape;
    const unsigned digits = shape_digits(shape);
    struct sources primes, inputs, r_cubed;
    const uint8_t *exponents[LANES];
    uint64_t k0[LANES];
    uint64_t *results[LANES];
    unsigned bits = 0;

    for (unsigned lane = 0; lane < LANES; lane++) {
        unsigned which = first + (lane < count ? lane : 0);
        struct job *job = &ifma->jobs[which / 2];
        const struct rsa_ifma_half *half = &job->key->halves[which % 2];

        primes.digits[lane] = half->prime;
        inputs.digits[lane] = job->input;
        r_cubed.digits[lane] = half->r_cubed;
        exponents[lane] = half->exponent;
        k0[lane] = half->k0;
        results[lane] = job->halves[which % 2];
        bits = job->key->half_bits > bits ? job->key->half_bits : bits;
    }
    montgomery_set_moduli(mont, shape, primes.digits, k0);
    /* input / R, then * R^3 / R: in Montgomery's form. */
    montgomery_load(ifma->wide, inputs.digits, 2 * digits);
    montgomery_reduce(mont, ifma->a, ifma->wide);
    montgomery_load(ifma->b, r_cubed.digits, digits);
    montgomery_multiply(mont, ifma->a, ifma->a, ifma->b);
    /* R^3 / R / R: one in Montgomery's form. */
    montgomery_convert_back(mont, ifma->one, ifma->b);
    montgomery_convert_back(mont, ifma->one, ifma->one);
    montgomery_power(mont, ifma->b, ifma->a, ifma->one, exponents, bits, ifma->table);
    montgomery_convert_back(mont, ifma->b, ifma->b);
    montgomery_store(results, ifma->b, digits);
}

/* Garner's formula, RFC 8017, 5.1.2: output = m2 + q * ((m1 - m2) * iqmp modulo p). */
static void combine_halves(struct rsa_ifma *ifma, unsigned first, unsigned count)
{
    struct montgomery *mont = &ifma->mont;
    const struct shape shape = ifma->jobs[0].key->half_shape;
    const unsigned digits = shape_digits(shape);
    struct sources primes, others, m1, m2, coefficients;
    uint64_t k0[LANES];
    uint64_t *outputs[LANES];

    for (unsigned lane = 0; lane < LANES; lane++) {
        struct job *job = job_in_lane(ifma, first, count, lane);

        primes.digits[lane] = job->key->halves[0].prime;
        others.digits[lane] = job->key->halves[1].prime;
        m1.digits[lane] = job->halves[0];
        m2.digits[lane] = job->halves[1];
        coefficients.digits[lane] = job->key->coefficient;
        k0[lane] = job->key->halves[0].k0;
        outputs[lane] = job->output;
    }
    montgomery_set_moduli(mont, shape, primes.digits, k0);
    montgomery_load(ifma->a, m1.digits, digits);
    montgomery_convert_back(mont, ifma->a, ifma->a); /* m1 / R modulo p */
    montgomery_load(ifma->wide, m2.digits, digits);
    montgomery_convert_back(mont, ifma->b, ifma->wide); /* m2 / R modulo p: q may be longer than p */
    for (unsigned i = 0; i < digits; i++)
        ifma->a[i] = _mm512_add_epi64(_mm512_sub_epi64(ifma->a[i], ifma->b[i]), mont->m[i]);
    montgomery_carry(ifma->a, digits);
    montgomery_load(ifma->b, coefficients.digits, digits); /* iqmp * R^2 */
    montgomery_multiply(mont, ifma->a, ifma->a, ifma->b);
    montgomery_subtract_once(mont, ifma->a);
    montgomery_load(ifma->b, others.digits, digits);
    memcpy(ifma->one, ifma->wide, digits * sizeof(ifma->one[0])); /* m2 */
    montgomery_product(mont, ifma->wide, ifma->a, ifma->b);
    for (unsigned i = 0; i < digits; i++)
        ifma->wide[i] = _mm512_add_epi64(ifma->wide[i], ifma->one[i]);
    montgomery_carry(ifma->wide, 2 * digits);
    montgomery_store(outputs, ifma->wide, 2 * digits);
}

/*
 * ifma->a = base^e modulo the modulus. The base is not put into Montgomery's form: each product then divides
 * by R once too often, and one product with R^e makes up for all of them.
 */
static void exponentiate_public(struct rsa_ifma *ifma, unsigned first, unsigned count, bool of_output)
{
    struct montgomery *mont = &ifma->mont;
    const struct shape shape = ifma->jobs[0].key->shape;
    const unsigned digits = shape_digits(shape);
    struct sources moduli, bases, ones, r_to_e;
    uint64_t k0[LANES], exponents[LANES];
    bool same_exponents = true;

    for (unsigned lane = 0; lane < LANES; lane++) {
        struct job *job = job_in_lane(ifma, first, count, lane);

        moduli.digits[lane] = job->key->modulus;
        bases.digits[lane] = of_output ? job->output : job->input;
        ones.digits[lane] = job->key->one;
        r_to_e.digits[lane] = job->key->r_to_e;
        exponents[lane] = job->key->e;
        k0[lane] = job->key->k0;
        same_exponents &= exponents[lane] == exponents[0];
    }
    montgomery_set_moduli(mont, shape, moduli.digits, k0);
    montgomery_load(ifma->b, bases.digits, digits);
    if (!same_exponents)
        montgomery_load(ifma->one, ones.digits, digits);
    montgomery_public_power(mont, ifma->a, ifma->b, same_exponents ? NULL : ifma->one, exponents);
    montgomery_load(ifma->b, r_to_e.digits, digits);
    montgomery_multiply(mont, ifma->a, ifma->a, ifma->b);
    montgomery_subtract_once(mont, ifma->a);
}

/* The lanes in which the public exponent turns the output into the input again; a bit for each. */
static unsigned verify(struct rsa_ifma *ifma, unsigned first, unsigned count)
{
    const unsigned digits = shape_digits(ifma->jobs[0].key->shape);
    __m512i difference = _mm512_setzero_si512();
    struct sources inputs;

    exponentiate_public(ifma, first, count, true);
    for (unsigned lane = 0; lane < LANES; lane++)
        inputs.digits[lane] = job_in_lane(ifma, first, count, lane)->input;
    montgomery_load(ifma->b, inputs.digits, digits);
    for (unsigned i = 0; i < digits; i++)
        difference = _mm512_or_si512(difference, _mm512_xor_si512(ifma->a[i], ifma->b[i]));
    return _mm512_cmpeq_epi64_mask(difference, _mm512_setzero_si512());
}

/* ------------------------------------------------------------------------------------------------- groups */

/* Writes the outputs of the lanes in good. Returns the operations that were done. */
static uint32_t write_results(
    struct rsa_ifma *ifma, unsigned first, unsigned count, unsigned good, enum ersatz_result results[])
{
    uint32_t done = 0;

    for (unsigned lane = 0; lane < count; lane++) {
        struct job *job = &ifma->jobs[first + lane];

        if ((good & 1u << lane) == 0)
            continue;
        digits_to_bytes(job->op->u.rsa.out, job->key->size, job->output, shape_digits(job->key->shape));
        results[job->index] = ERSATZ_OK;
        done |= UINT32_C(1) << job->index;
    }
    return done;
}

static unsigned lanes_from(unsigned first, unsigned count)
{
    return count - first < LANES ? count - first : LANES;
}

static uint32_t compute_private(struct rsa_ifma *ifma, enum ersatz_result results[])
{
    uint32_t done = 0;

    for (unsigned first = 0; first < 2 * ifma->count; first += LANES)
        exponentiate(ifma, first, lanes_from(first, 2 * ifma->count));
    for (unsigned first = 0; first < ifma->count; first += LANES) {
        unsigned count = lanes_from(first, ifma->count);

        combine_halves(ifma, first, count);
        done |= write_results(ifma, first, count, verify(ifma, first, count), results);
    }
    return done;
}

static uint32_t compute_public(struct rsa_ifma *ifma, enum ersatz_result results[])
{
    uint32_t done = 0;

    for (unsigned first = 0; first < ifma->count; first += LANES) {
        unsigned count = lanes_from(first, ifma->count);
        uint64_t *outputs[LANES];

        exponentiate_public(ifma, first, count, false);
        for (unsigned lane = 0; lane < LANES; lane++)
            outputs[lane] = job_in_lane(ifma, first, count, lane)->output;
        montgomery_store(outputs, ifma->a, shape_digits(ifma->jobs[0].key->shape));
        done |= write_results(ifma, first, count, (1u << LANES) - 1, results);
    }
    return done;
}

static const struct rsa_ifma_key *key_for(const struct ersatz_op *op)
{
    const struct rsa_ifma_key *key;

    if (op->kind == ERSATZ_CIPHER)
        return NULL;
    key = rsa_key_ifma(op->u.rsa.key);
    return key != NULL && (op->kind == ERSATZ_RSA_PUBLIC || key->is_private) ? key : NULL;
}

/* Whether both can be computed in the same pass. */
static bool fit_together(const struct ersatz_op *a, const struct ersatz_op *b)
{
    const struct rsa_ifma_key *key_a = key_for(a), *key_b = key_for(b);

    return key_b != NULL && a->kind == b->kind && shape_equal(key_a->shape, key_b->shape) &&
           (a->kind == ERSATZ_RSA_PUBLIC || shape_equal(key_a->half_shape, key_b->half_shape));
}

static struct rsa_ifma_cost *cost_of(struct rsa_ifma *ifma, const struct ersatz_op *op)
{
    const struct rsa_ifma_key *key = key_for(op);

    if (op->kind == ERSATZ_RSA_PRIVATE)
        return &ifma->costs.private_half[shape_digits(key->half_shape)];
    return &ifma->costs.public_half[shape_digits(key->shape)];
}

/* Add an operation to the group, unless its input is not below the modulus: the portable kernel refuses
 * that. */
static void add_job(struct rsa_ifma *ifma, const struct ersatz_op *op, unsigned index)
{
    struct job *job = &ifma->jobs[ifma->count];
    unsigned digits;

    job->key = key_for(op);
    job->op = op;
    job->index = index;
    digits = input_digits(job->key);
    digits_from_bytes(job->input, digits, op->u.rsa.in, job->key->size);
    if (digits_below(job->input, job->key->modulus, digits) != 0)
        ifma->count++;
    else
        cleanse_job(job);
}

static uint32_t compute_group(struct rsa_ifma *ifma, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t group, bool with_others)
{
    const struct ersatz_op *like = ops[__builtin_ctz(group)];
    struct rsa_ifma_cost *cost = cost_of(ifma, like);
    const bool private_half = like->kind == ERSATZ_RSA_PRIVATE;
    const unsigned to_a_pass = private_half ? LANES / 2 : LANES;
    unsigned take = (unsigned)__builtin_popcount(group);
    uint64_t begin;
    uint32_t done;

    if (with_others)
        take = rsa_ifma_cost_choose(cost, take, to_a_pass);
    ifma->count = 0;
    for (; take > 0; take--, group &= group - 1) {
        unsigned index = (unsigned)__builtin_ctz(group);

        add_job(ifma, ops[index], index);
    }
    if (ifma->count == 0)
        return 0;
    begin = clock_thread_cpu();
    done = private_half ? compute_private(ifma, results) : compute_public(ifma, results);
    rsa_ifma_cost_pass_took(cost, (clock_thread_cpu() - begin) / ((ifma->count + to_a_pass - 1) / to_a_pass));
    cleanse(ifma, private_half);
    return done;
}

uint32_t rsa_ifma_compute(struct rsa_ifma *ifma, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t open, bool with_others)
{
    uint32_t done = 0;

    while (open != 0) {
        const struct ersatz_op *first = ops[__builtin_ctz(open)];
        uint32_t group = 0;

        if (key_for(first) == NULL) {
            open &= open - 1;
            continue;
        }
        for (uint32_t rest = open; rest != 0; rest &= rest - 1)
            if (fit_together(first, ops[__builtin_ctz(rest)]))
                group |= rest & (0 - rest);
        done |= compute_group(ifma, ops, results, group, with_others);
        open &= ~group;
    }
    return done;
}

void rsa_ifma_portable_took(struct rsa_ifma *ifma, const struct ersatz_op *op, uint64_t nanoseconds)
{
    if (key_for(op) != NULL)
        rsa_ifma_cost_portable_took(cost_of(ifma, op), nanoseconds);
}
