/* SPDX-License-Identifier: Apache-2.0 */
/* One cipher on both sides: the provider's own, and libcrypto's of the same name. */
#ifndef ERSATZ_PROVIDER_SIDES_H
#define ERSATZ_PROVIDER_SIDES_H

#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdint.h>

#define TEXT_MAX 6000
#define SIDES 2 /* ours, libcrypto's */

struct side {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context;
    unsigned char out[TEXT_MAX + 64];
    int result, len;
};

extern struct side sides[SIDES];

/* Load the provider, and fetch this cipher on both sides; the random numbers begin with this state. */
void sides_begin(const char *cipher, const char *state);
void sides_end(void);

/* Random numbers, from a state that is printed before each round with CALLS in the environment. */
extern uint64_t sides_state;
uint32_t lot(uint32_t below);
void fill(unsigned char *bytes, size_t len);
void say_state(void); /* before each round */

/* Both lists have the same parameters. */
void same_list(const OSSL_PARAM *ours, const OSSL_PARAM *theirs);

/* All parameters of the ciphers, and those of their contexts at this moment, have the same values. */
void same_cipher_answers(void);
void same_context_answers(void);

/* Both calls have had the same result, and written the same. what: for people. */
void same(const char *what);

#define BOTH(what, call)                                                                                     \
    do {                                                                                                     \
        for (struct side *s = sides; s < sides + SIDES; s++) {                                               \
            s->len = -1;                                                                                     \
            s->result = (call);                                                                              \
        }                                                                                                    \
        same(what);                                                                                          \
    } while (0)

/* New contexts for both, and copies in the place of both. */
void renew(void);
void copy_both(void);

/* A random message in GCM or CCM: calls in any order; then one that is sealed, opened, and forged. */
void aead_round(bool is_ccm);
void sealed_and_opened(bool is_ccm);

#endif
