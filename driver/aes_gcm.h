/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message in AES-GCM: an IV (set, generated, or made of a fixed and an invocation part as in TLS 1.2),
 * associated data, text in pieces, tag. IV and associated data are gathered here and go to the device with
 * the first text, or with the tag; from then on the device's state carries the message. A TLS 1.2 record is
 * one operation. See aes_common.h for what all modes promise.
 */
#ifndef ERSATZ_DRIVER_AES_GCM_H
#define ERSATZ_DRIVER_AES_GCM_H

#include "aes_common.h"
#include "aes_record.h"

#define AES_GCM_IV_MAX 128u
#define AES_GCM_TAG_MAX 16u
#define AES_GCM_AAD_GATHERED 256u

enum aes_gcm_stage {
    AES_GCM_NO_IV,    /* no message: an IV is used once */
    AES_GCM_GATHER,   /* the message has an IV, and the device knows nothing of it */
    AES_GCM_LONG_AAD, /* the device has the IV and associated data, of which there is too much to gather */
    AES_GCM_TEXT,     /* the device has IV, associated data and some text */
};

struct aes_gcm {
    struct ersatz_cipher *state; /* NULL until a key was set */
    struct ersatz_stats *stats;
    unsigned key_size; /* as thresholds.h counts key sizes */
    size_t key_len;
    bool encrypt; /* the direction of the state, once there is one */
    enum aes_gcm_stage stage;
    size_t iv_len;
    uint8_t iv[AES_GCM_IV_MAX];         /* as set; the next one where IVs are generated */
    uint8_t message_iv[AES_GCM_IV_MAX]; /* of the message under way */
    bool iv_generated;                  /* iv has a fixed and an invocation part */
    uint8_t aad[AES_GCM_AAD_GATHERED];
    size_t aad_len;
    uint8_t tag[AES_GCM_TAG_MAX]; /* of the last message; decrypting, the one to compare with */
    size_t tag_len;               /* 0: there is no tag yet */
    uint8_t record_aad[AES_RECORD_AAD];
    bool is_record; /* the next update is a record, with record_aad */
    uint64_t records_sealed;
};

/* Begin, with an IV of 12 bytes. key_len: 16, 24 or 32. */
void aes_gcm_init(struct aes_gcm *gcm, size_t key_len);

/* Free the state and cleanse the context. It may be all zeros. */
void aes_gcm_cleanup(struct aes_gcm *gcm);

/* *to is a copy of *from byte by byte: give it a state of its own. On failure it has none. */
bool aes_gcm_dup(const struct aes_gcm *from, struct aes_gcm *to);

/* Set key and direction. With key NULL the key stays. A new key ends a message that has begun; an IV that was
 * set before the key holds. */
bool aes_gcm_set_key(struct aes_gcm *gcm, const uint8_t *key, bool encrypt);

/* 1 to AES_GCM_IV_MAX. Another length than before ends the message. */
bool aes_gcm_set_iv_len(struct aes_gcm *gcm, size_t len);

/* Begin a message with this IV. */
void aes_gcm_set_iv(struct aes_gcm *gcm, const uint8_t *iv);

/* Generated IVs, NIST SP 800-38D, 8.2.1: a fixed field of at least 4 bytes, and an invocation field of at
 * least 8, which counts and, encrypting, begins at random. False without an error: a length does not fit. */
bool aes_gcm_set_fixed_iv(struct aes_gcm *gcm, const uint8_t *fixed, size_t len);

/* Generate IVs from this whole one on. */
void aes_gcm_set_first_iv(struct aes_gcm *gcm, const uint8_t *iv);

/* Begin a message with the next generated IV, and write its last len bytes to out; all of it where len is 0
 * or more than there is. False without an error: none is generated, or there is no key. */
bool aes_gcm_generate_iv(struct aes_gcm *gcm, uint8_t *out, size_t len);

/* Decrypting: begin a message with the fixed field and this invocation field of the peer's. False without an
 * error: as above, or a length that does not fit. */
bool aes_gcm_set_invocation(struct aes_gcm *gcm, const uint8_t *field, size_t len);

/* Decrypting: the tag to compare with, 1 to 16 bytes. Encrypting: the last message's. False without an error:
 * the other direction, a length that does not fit, or no tag. */
bool aes_gcm_set_tag(struct aes_gcm *gcm, const uint8_t *tag, size_t len);
bool aes_gcm_get_tag(const struct aes_gcm *gcm, uint8_t *tag, size_t len);

/* Announce a TLS 1.2 record with its associated data, as libssl gives them (aes_record.h). Returns what a
 * record grows by at its end, or 0: refused. */
size_t aes_gcm_set_record_aad(struct aes_gcm *gcm, const uint8_t *aad, size_t len);

/*
 * The next piece of the message: text; out NULL: associated data; in NULL: its end, which makes the tag or
 * compares it. After aes_gcm_set_record_aad(): a whole record, in place, with IVs from
 * aes_gcm_set_fixed_iv(). *done: how many bytes of in were used, of an opened record how many are text; 0 at
 * the end. False: refused, without an error where a tag is wrong or missing; the message has ended.
 */
bool aes_gcm_update(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, size_t *done);

/* Text for each of several messages, 1 to AES_PIPES_MAX, which goes to the card together; ins NULL:
 * the end of each. None of them is a record. False: as aes_gcm_update(); all messages have ended. */
bool aes_gcm_update_all(struct aes_gcm *const *messages, unsigned count, uint8_t *const *outs,
    const uint8_t *const *ins, const size_t *lens);

#endif
