/* SPDX-License-Identifier: Apache-2.0 */
/* Prepare a key for the batch kernel. Runs on any processor: libcrypto does the arithmetic, once a key. */
#include "rsa_ifma_key.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of the key while they are being prepared. */
struct numbers {
    BN_CTX *ctx;
    BIGNUM *n, *e, *p, *q, *dmp1, *dmq1, *iqmp;
};

static bool put(uint64_t *digits, unsigned count, const BIGNUM *number)
{
    uint8_t bytes[DIGITS_MAX * DIGIT_BITS / 8];
    int len = (int)((count * DIGIT_BITS + 7) / 8);

    if (BN_bn2binpad(number, bytes, len) != len)
        return false;
    digits_from_bytes(digits, count, bytes, (size_t)len);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return true;
}

/* Newton's iteration doubles the bits that are right; an odd number is its own inverse modulo 8. */
static uint64_t negative_inverse(uint64_t odd)
{
    uint64_t inverse = odd;

    for (unsigned bits = 3; bits < DIGIT_BITS; bits *= 2)
        inverse *= 2 - odd * inverse;
    return (0 - inverse) & DIGIT_MASK;
}

/* digits = factor * R^power modulo m */
static bool put_times_r(
    uint64_t *digits, struct shape shape, unsigned power, const BIGNUM *factor, const BIGNUM *m, BN_CTX *ctx)
{
    unsigned count = shape_digits(shape);
    BIGNUM *product;
    bool ok;

    BN_CTX_start(ctx);
    product = BN_CTX_get(ctx);
    ok = product != NULL && BN_lshift(product, factor, (int)(DIGIT_BITS * count * power)) &&
         BN_nnmod(product, product, m, ctx) && put(digits, count, product);
    BN_CTX_end(ctx);
    return ok;
}

/* digits = R^exponent modulo m */
static bool put_r_to(
    uint64_t *digits, struct shape shape, const BIGNUM *exponent, const BIGNUM *m, BN_CTX *ctx)
{
    unsigned count = shape_digits(shape);
    BIGNUM *power;
    bool ok;

    BN_CTX_start(ctx);
    power = BN_CTX_get(ctx);
    ok = power != NULL && BN_lshift(power, BN_value_one(), (int)(DIGIT_BITS * count)) &&
         BN_nnmod(power, power, m, ctx) && BN_mod_exp(power, power, exponent, m, ctx) &&
         put(digits, count, power);
    BN_CTX_end(ctx);
    return ok;
}

static bool prepare_public(struct rsa_ifma_key *key, const struct numbers *numbers)
{
    unsigned digits = shape_digits(key->shape);

    if (!put(key->modulus, digits, numbers->n) ||
        !put_times_r(key->one, key->shape, 1, BN_value_one(), numbers->n, numbers->ctx) ||
        !put_r_to(key->r_to_e, key->shape, numbers->e, numbers->n, numbers->ctx))
        return false;
    key->k0 = negative_inverse(key->modulus[0]);
    key->e = BN_get_word(numbers->e);
    return true;
}

static bool prepare_half(
    struct rsa_ifma_half *half, struct shape shape, const BIGNUM *prime, const BIGNUM *exponent, BN_CTX *ctx)
{
    if (!put(half->prime, shape_digits(shape), prime) ||
        !put_times_r(half->r_cubed, shape, 3, BN_value_one(), prime, ctx) ||
        BN_bn2lebinpad(exponent, half->exponent, sizeof(half->exponent)) < 0)
        return false;
    half->k0 = negative_inverse(half->prime[0]);
    return true;
}

static bool prepare_private(struct rsa_ifma_key *key, const struct numbers *numbers)
{
    return prepare_half(&key->halves[0], key->half_shape, numbers->p, numbers->dmp1, numbers->ctx) &&
           prepare_half(&key->halves[1], key->half_shape, numbers->q, numbers->dmq1, numbers->ctx) &&
           put_times_r(key->coefficient, key->half_shape, 2, numbers->iqmp, numbers->p, numbers->ctx);
}

static bool fits_public(struct rsa_ifma_key *key, const struct numbers *numbers)
{
    return BN_is_odd(numbers->n) && !BN_is_zero(numbers->e) && BN_num_bits(numbers->e) <= 64 &&
           shape_for((unsigned)BN_num_bits(numbers->n), &key->shape);
}

/* Two primes (for all that can be told: odd numbers) whose product is the modulus, and exponents no longer
 * than they are. Whether the numbers are right shows in each result, which is verified. */
static bool fits_private(struct rsa_ifma_key *key, const struct numbers *numbers)
{
    BIGNUM *product;
    int p_bits, q_bits;
    bool fits;

    if (numbers->p == NULL || numbers->q == NULL || numbers->dmp1 == NULL || numbers->dmq1 == NULL ||
        numbers->iqmp == NULL || !BN_is_odd(numbers->p) || !BN_is_odd(numbers->q))
        return false;
    p_bits = BN_num_bits(numbers->p);
    q_bits = BN_num_bits(numbers->q);
    key->half_bits = (unsigned)(p_bits > q_bits ? p_bits : q_bits);
    if (BN_num_bits(numbers->dmp1) > p_bits || BN_num_bits(numbers->dmq1) > q_bits ||
        !shape_for(key->half_bits, &key->half_shape) || shape_digits(key->half_shape) > HALF_DIGITS_MAX ||
        shape_digits(key->shape) > 2 * shape_digits(key->half_shape))
        return false;
    BN_CTX_start(numbers->ctx);
    product = BN_CTX_get(numbers->ctx);
    fits = product != NULL && BN_mul(product, numbers->p, numbers->q, numbers->ctx) &&
           BN_cmp(product, numbers->n) == 0;
    BN_CTX_end(numbers->ctx);
    return fits;
}

static BIGNUM *number(struct ersatz_bytes bytes, bool *bad)
{
    BIGNUM *bn;

    if (bytes.data == NULL)
        return NULL;
    bn = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
    *bad |= bn == NULL;
    if (bn != NULL)
        BN_set_flags(bn, BN_FLG_CONSTTIME);
    return bn;
}

static bool prepare(struct numbers *numbers, struct rsa_ifma_key **out)
{
    struct rsa_ifma_key *key;

    *out = NULL;
    if (numbers->n == NULL || numbers->e == NULL)
        return true;
    key = calloc(1, sizeof(*key));
    if (key == NULL)
        return false;
    key->size = (size_t)BN_num_bytes(numbers->n);
    if (!fits_public(key, numbers)) {
        free(key);
        return true;
    }
    key->is_private = fits_private(key, numbers);
    if (!prepare_public(key, numbers) || (key->is_private && !prepare_private(key, numbers))) {
        rsa_ifma_key_free(key);
        return false;
    }
    *out = key;
    return true;
}

bool rsa_ifma_key_new(const struct ersatz_rsa_numbers *given, struct rsa_ifma_key **key)
{
    bool bad = false, ok;
    struct ersatz_bytes none = {NULL, 0};
    struct numbers numbers = {BN_CTX_new(), number(given->n, &bad), number(given->e, &bad),
        number(given->extra_primes == 0 ? given->p : none, &bad), number(given->q, &bad),
        number(given->dmp1, &bad), number(given->dmq1, &bad), number(given->iqmp, &bad)};

    *key = NULL;
    ok = !bad && numbers.ctx != NULL && prepare(&numbers, key);
    BN_free(numbers.n);
    BN_free(numbers.e);
    BN_clear_free(numbers.p);
    BN_clear_free(numbers.q);
    BN_clear_free(numbers.dmp1);
    BN_clear_free(numbers.dmq1);
    BN_clear_free(numbers.iqmp);
    BN_CTX_free(numbers.ctx);
    return ok;
}

struct rsa_ifma_key *rsa_ifma_key_with_wrong_half(const struct rsa_ifma_key *key, unsigned bit)
{
    struct rsa_ifma_key *copy = malloc(sizeof(*copy));

    if (copy == NULL)
        return NULL;
    *copy = *key;
    copy->halves[0].exponent[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return copy;
}

void rsa_ifma_key_free(struct rsa_ifma_key *key)
{
    if (key == NULL)
        return;
    OPENSSL_cleanse(key, sizeof(*key));
    free(key);
}
