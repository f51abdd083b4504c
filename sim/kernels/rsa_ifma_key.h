/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of an RSA key as the batch kernel wants them. */
#ifndef ERSATZ_SIM_KERNELS_RSA_IFMA_KEY_H
#define ERSATZ_SIM_KERNELS_RSA_IFMA_KEY_H

#include <openssl/bn.h>

#include "ersatz/device.h"
#include "ifma_digits.h"

/* A prime has at most half the digits of the longest modulus. */
#define HALF_DIGITS_MAX (DIGITS_MAX / 2)

/* The exponent is read in words of 8 bytes, at any byte. */
#define EXPONENT_BYTES (HALF_DIGITS_MAX * DIGIT_BITS / 8 + 8)

/* R is 2^(52 * digits), with the digits of the half or of the modulus in question. */
struct rsa_ifma_half {
    uint64_t prime[HALF_DIGITS_MAX];
    uint64_t r_cubed[HALF_DIGITS_MAX]; /* R^3 modulo the prime */
    uint64_t k0;                       /* -1/prime modulo 2^52 */
    uint8_t exponent[EXPONENT_BYTES];  /* least significant byte first, no longer than the prime */
};

/* Made once, then constant: any number of threads may read it. */
struct rsa_ifma_key {
    size_t size; /* of the modulus, bytes */
    struct shape shape;
    uint64_t modulus[DIGITS_MAX];
    uint64_t one[DIGITS_MAX];    /* R modulo the modulus */
    uint64_t r_to_e[DIGITS_MAX]; /* R^e modulo the modulus */
    uint64_t k0;
    uint64_t e;

    bool is_private; /* the rest is there */
    struct shape half_shape;
    unsigned half_bits;                    /* of the longer prime */
    struct rsa_ifma_half halves[2];        /* p, dmp1; q, dmq1 */
    uint64_t coefficient[HALF_DIGITS_MAX]; /* iqmp * R^2 modulo p */
};

/* *key stays NULL if the kernel does not support this key: its length, its public exponent or its form, or
 * numbers that do not fit together. If only the private numbers are not supported, the key is public. Returns
 * false only if memory ran out. */
bool rsa_ifma_key_new(const struct ersatz_rsa_numbers *numbers, struct rsa_ifma_key **key);

/* A copy in which that bit (0 to 63) of the first exponent is turned. NULL: out of memory. */
struct rsa_ifma_key *rsa_ifma_key_with_wrong_half(const struct rsa_ifma_key *key, unsigned bit);

/* Cleanses it. NULL is allowed. */
void rsa_ifma_key_free(struct rsa_ifma_key *key);

#endif
