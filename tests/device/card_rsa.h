/* SPDX-License-Identifier: Apache-2.0 */
/* An RSA key made on the spot, and the private operation with it. */
#ifndef ERSATZ_TESTS_CARD_RSA_H
#define ERSATZ_TESTS_CARD_RSA_H

#include "card.h"
#include "rsa_numbers.h"

#define RSA_BYTES 128

struct rsa {
    struct ersatz_op op;
    uint8_t in[RSA_BYTES], out[RSA_BYTES], wanted[RSA_BYTES]; /* wanted: by libcrypto */
};

static inline struct rsa *rsa_new(void)
{
    struct rsa *rsa = calloc(1, sizeof(*rsa));
    RSA *plain = RSA_new();
    BIGNUM *exponent = BN_new();
    struct ersatz_rsa_numbers numbers;

    CHECK(rsa != NULL);
    CHECK(BN_set_word(exponent, 65537) && RSA_generate_key_ex(plain, RSA_BYTES * 8, exponent, NULL));
    numbers = rsa_numbers_without_primes(plain);
    rsa->op = (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE, .u.rsa = {.in = rsa->in, .out = rsa->out}};
    CHECK_EQ(ersatz_rsa_key_new(&numbers, &rsa->op.u.rsa.key), ERSATZ_OK);
    rsa_numbers_free(&numbers);
    rsa->in[RSA_BYTES - 1] = 42;
    CHECK_EQ(RSA_private_encrypt(RSA_BYTES, rsa->in, rsa->wanted, plain, RSA_NO_PADDING), RSA_BYTES);
    RSA_free(plain);
    BN_free(exponent);
    return rsa;
}

static inline bool rsa_is_right(const struct rsa *rsa)
{
    return memcmp(rsa->out, rsa->wanted, RSA_BYTES) == 0;
}

static inline void rsa_free(struct rsa *rsa)
{
    ersatz_rsa_key_free(rsa->op.u.rsa.key);
    free(rsa);
}

#endif
