/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC with HMAC-SHA1 or HMAC-SHA256: TLS 1.0 to 1.2 records without encrypt-then-MAC (MAC, then pad, then
 * encrypt), and plain CBC. Several records may come at once, as a pipeline: each is an operation on a state
 * of its own, and the device has them all before the job pauses. See aes_common.h for what all modes promise.
 */
#ifndef ERSATZ_DRIVER_AES_CBC_HMAC_H
#define ERSATZ_DRIVER_AES_CBC_HMAC_H

#include "aes_common.h"
#include "aes_record.h"

struct aes_cbc_hmac {
    /* The first has the keys; it is NULL until they were set. The others are copies of it, made on first
     * use. */
    struct ersatz_cipher *states[AES_PIPES_MAX];
    uint8_t *iv; /* 16 bytes of the caller's, who may change them between calls: the next IV */
    enum ersatz_mode mode;
    unsigned key_size; /* as thresholds.h counts key sizes */
    size_t key_len;
    bool encrypt;      /* the direction that was asked for last */
    bool keyed;        /* a key was set for this direction */
    bool key_encrypts; /* the direction that the key was set for */
    unsigned aads;     /* how many records of the next update were announced; 0: it is plain CBC */
    uint8_t aad[AES_PIPES_MAX][AES_RECORD_AAD];
    unsigned pipes; /* how many records the pipeline has; 0: the next update has one, in its arguments */
    uint8_t **outs, **ins; /* of the pipeline; the caller's, as lens is, until the update */
    const size_t *lens;
};

/* Begin. mode: ERSATZ_CBC_HMAC_SHA1 or _SHA256. key_len: 16 or 32. iv: see above; it must last as long as the
 * context. */
void aes_cbc_hmac_init(struct aes_cbc_hmac *hmac, enum ersatz_mode mode, size_t key_len, uint8_t *iv);

/* Free the states and cleanse the context. It may be all zeros. */
void aes_cbc_hmac_cleanup(struct aes_cbc_hmac *hmac);

/* *to is a copy of *from byte by byte, with to->iv changed to its own: give it a state of its own. On failure
 * it has none. */
bool aes_cbc_hmac_dup(const struct aes_cbc_hmac *from, struct aes_cbc_hmac *to);

/* Set key and direction. With key NULL the key stays, which serves only the direction that it was set for. A
 * pipeline that was begun is dropped; so is, with a key, a record that was announced. */
bool aes_cbc_hmac_set_key(struct aes_cbc_hmac *hmac, const uint8_t *key, bool encrypt);

/* Set the key of the HMAC, of any length, after the key of the cipher. */
bool aes_cbc_hmac_set_mac_key(struct aes_cbc_hmac *hmac, const uint8_t *key, size_t len);

/* Announce one more record of the next update by its AES_RECORD_AAD bytes of associated data (RFC 5246,
 * 6.2.3.1, with the record's length as libssl gives it). *growth: what MAC and padding add to the record;
 * decrypting, the length of the MAC; 0: it is too short. False without an error: aad is NULL, len is another,
 * or there are as many records as there can be. */
bool aes_cbc_hmac_add_record_aad(struct aes_cbc_hmac *hmac, const uint8_t *aad, size_t len, unsigned *growth);

/* The three parts of a pipeline, in any order, each with its number of records, 1 to AES_PIPES_MAX.
 * False, without an error: another number; nothing has changed. */
bool aes_cbc_hmac_set_outs(struct aes_cbc_hmac *hmac, uint8_t **outs, size_t pipes);
bool aes_cbc_hmac_set_ins(struct aes_cbc_hmac *hmac, uint8_t **ins, size_t pipes);
bool aes_cbc_hmac_set_lens(struct aes_cbc_hmac *hmac, const size_t *lens, size_t pipes);

/* The record that was announced, or plain CBC, both a multiple of 16 bytes; or, without a look at the
 * arguments, all records of the pipeline. in and out are the same, or do not overlap. False: refused, without
 * an error where MAC or padding are wrong. A pipeline that lacks something still waits for it; otherwise what
 * was announced is over. */
bool aes_cbc_hmac_update(struct aes_cbc_hmac *hmac, uint8_t *out, const uint8_t *in, size_t len);

#endif
