/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blinding of private RSA operations (Kocher 1996): what the card gets is the input times a random number to
 * the public exponent, and what it answers is multiplied by that number's inverse. So neither the card nor
 * the way from its bytes back to a number ever works on what the caller gave or gets; and the multiplication
 * at the end is libcrypto's, which keeps even the length of the result to itself.
 *
 * libcrypto would keep one such number in the key for the whole of an operation. A second job on the same
 * thread would change it while the first is paused; here each operation takes its own inverse along.
 */
#ifndef ERSATZ_DRIVER_RSA_BLINDING_H
#define ERSATZ_DRIVER_RSA_BLINDING_H

#include <openssl/bn.h>
#include <stdbool.h>

/* For one modulus and exponent. Any number of threads may use it. */
struct rsa_blinding;

/* Copies both numbers. NULL: out of memory, or libcrypto refuses them; errors are on the queue. */
struct rsa_blinding *rsa_blinding_new(const BIGNUM *modulus, const BIGNUM *exponent);
void rsa_blinding_free(struct rsa_blinding *blinding); /* NULL is allowed */

/* Blind a number below the modulus in place. *unblind is set to what rsa_blinding_remove() needs; it is the
 * caller's, and a secret. False: no random numbers, or no memory; errors are on the queue. */
bool rsa_blinding_apply(struct rsa_blinding *blinding, BIGNUM *number, BIGNUM *unblind, BN_CTX *ctx);

/* Unblind a result below the modulus in place, without a branch or an address that depends on it. It is
 * flagged BN_FLG_CONSTTIME, so that libcrypto goes on in this way. */
bool rsa_blinding_remove(struct rsa_blinding *blinding, BIGNUM *result, const BIGNUM *unblind, BN_CTX *ctx);

#endif
