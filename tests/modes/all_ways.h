/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways an operation can take: on this thread without a job, in a job that is told by descriptor, in a job
 * that is told by callback; with the card given explicitly or as the default. And repeatable numbers, to
 * make up inputs from.
 */
#ifndef ERSATZ_TESTS_ALL_WAYS_H
#define ERSATZ_TESTS_ALL_WAYS_H

#include "check.h"
#include "support/card.h"

/* The card, with every size of every cipher going to it, whatever `more` (commands, or NULL) says. No cipher
 * of it is the default. */
struct card *ways_card(const char *more);

/* From how many bytes on text goes to the card, with every cipher. */
void ways_set_thresholds(struct card *card, unsigned bytes);

/* The card's ciphers become the default of this thread, or are no longer it. */
void ways_set_default(struct card *card, bool is_default);

/* EVP_CipherInit_ex() with the card's cipher of this kind, or, if card is NULL, the one that EVP finds. */
int ways_cipher_init(struct card *card, EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
    const unsigned char *key, const unsigned char *iv, int encrypt);

/* Whether the card has the cipher on this processor. */
bool ways_have_cipher(struct card *card, const EVP_CIPHER *cipher);

enum way { WAY_PLAIN, WAY_FD, WAY_CALLBACK, WAYS };

/* function(arg), which returns a truth value. */
bool way_run(enum way way, int (*function)(void *), void *arg);

struct numbers {
    uint64_t state; /* the seed; not 0 */
};
uint32_t number_below(struct numbers *numbers, uint32_t limit);
void number_fill(struct numbers *numbers, void *out, size_t len);

#endif
