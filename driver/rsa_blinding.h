/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blinding of private RSA operations (Kocher 1996): the input is multiplied by a random number to the power
 * of the public exponent, and the card's result by the inverse of that number. So the time of the card, and
 * of the conversion of its result to a number, does not depend on the real input or result. The last
 * multiplication is libcrypto's, whose time does not even depend on the result's length.
 *
 * libcrypto keeps the random number in the key during an operation. A second job on the same thread would
 * change it while the first is paused; here each operation keeps the inverse that it needs.
 */
#ifndef ERSATZ_DRIVER_RSA_BLINDING_H
#define ERSATZ_DRIVER_RSA_BLINDING_H

#include <openssl/bn.h>
#include <stdbool.h>

/* For one modulus and exponent. Any number of threads may use it, and signal handlers. */
struct rsa_blinding;

/* Copies both numbers. NULL: out of memory, or libcrypto cannot use them; errors are on the queue. */
struct rsa_blinding *rsa_blinding_new(const BIGNUM *modulus, const BIGNUM *exponent);
void rsa_blinding_free(struct rsa_blinding *blinding); /* NULL is allowed */

/* Blind a number below the modulus in place. *unblind is set to what rsa_blinding_remove() needs; it is the
 * caller's, and a secret. False: no random numbers, or no memory; errors are on the queue. */
bool rsa_blinding_apply(struct rsa_blinding *blinding, BIGNUM *number, BIGNUM *unblind, BN_CTX *ctx);

/* Unblind a result below the modulus in place, without a branch or an address that depends on it. It is
 * flagged BN_FLG_CONSTTIME, so that libcrypto goes on in this way. */
bool rsa_blinding_remove(struct rsa_blinding *blinding, BIGNUM *result, const BIGNUM *unblind, BN_CTX *ctx);

#endif
