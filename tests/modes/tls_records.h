/* SPDX-License-Identifier: Apache-2.0 */
/* TLS records for AES-CBC-HMAC contexts, sealed and opened as libssl does it. */
#ifndef ERSATZ_TESTS_TLS_RECORDS_H
#define ERSATZ_TESTS_TLS_RECORDS_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "all_ways.h"

#define RECORD_TEXT_MAX 16384u
#define RECORD_MAX (RECORD_TEXT_MAX + 512u)
#define RECORD_IV 16u

struct record_keys {
    const EVP_CIPHER *cipher;
    unsigned char key[32], iv[16], mac_key[80];
    int mac_key_len;
};

struct record {
    unsigned version; /* 0x0301 to 0x0303 */
    unsigned char sequence[8];
    unsigned len; /* of the text */
    unsigned char text[RECORD_TEXT_MAX];
    unsigned char iv[RECORD_IV]; /* explicit, from TLS 1.1 on */
    unsigned char sealed[RECORD_MAX];
    unsigned sealed_len;
};

void record_keys_make_up(struct record_keys *keys, const EVP_CIPHER *cipher, struct numbers *numbers);
void record_make_up(struct record *record, unsigned version, struct numbers *numbers);

/* A context with the keys. impl: the card; NULL: whatever is the default. */
EVP_CIPHER_CTX *record_context(const struct record_keys *keys, struct card *impl, bool encrypt);

/* Before records are sealed or opened on ctx: give it the associated data of one more; sealing, sealed_len is
 * set and the text put in place. */
void record_announce(EVP_CIPHER_CTX *ctx, struct record *record);

/* The record announced is sealed in place. */
bool record_seal(EVP_CIPHER_CTX *ctx, struct record *record);

/* The record announced is opened into out, RECORD_MAX bytes; in place there, or not. */
bool record_open(EVP_CIPHER_CTX *ctx, const struct record *record, unsigned char *out, bool in_place);

/* Whether out has the record's text where it belongs. */
bool record_is_open(const struct record *record, const unsigned char *out);

#endif
