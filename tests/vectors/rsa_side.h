/* SPDX-License-Identifier: Apache-2.0 */
/* One side of the comparison of RSA through the card with libcrypto's own: its key, and what its calls
 * gave. */
#ifndef ERSATZ_TESTS_RSA_SIDE_H
#define ERSATZ_TESTS_RSA_SIDE_H

#include <openssl/engine.h>
#include <openssl/rsa.h>

#include "transcript.h"
#include "ways.h"

#define SIZE_MAX_BYTES 2048
#define RANDOM_SEED 71

enum work { FULL, SHORT, SHORTEST }; /* of what takes long there is less */

/* One of the two that are compared. */
struct side {
    EVP_PKEY *key;
    ENGINE *engine;    /* for EVP_PKEY_CTX_new() */
    struct card *card; /* the provider, where it is asked for by name */
    RSA *rsa;          /* for the low route */
    const BIGNUM *n;
    enum work work;
    bool tls; /* the route knows the padding of TLS */
    bool low;
    struct transcript transcript;
    long private_done, public_done;
};

/* Write down what a call returned and gave out, and why it was refused. */
void rsa_note(struct side *side, const char *what, long result, const unsigned char *out, size_t len);

/* The same of a private or a public operation, which is counted. */
void rsa_note_private(struct side *side, const char *what, long result, const unsigned char *out, size_t len);
void rsa_note_public(struct side *side, const char *what, long result, const unsigned char *out, size_t len);

size_t rsa_side_size(const struct side *side);

/* number + n, as large as it is: an input that must be refused. False: it is too long to be one. */
bool rsa_add_modulus(const struct side *side, unsigned char *number);

void rsa_put_modulus(const struct side *side, unsigned char *number);

/* Through EVP_PKEY. */
void rsa_signatures(struct side *side);
void rsa_encryption(struct side *side);

/* Through the RSA_...() functions. */
void rsa_low_level(struct side *side);

#endif
