/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message in AES-CCM. The device takes a message whole, since the length of the text goes into the first
 * block that is computed. So nonce, length, associated data and tag are gathered here, and the text, which
 * comes in one call, makes it one operation. A TLS 1.2 record has everything in it. See aes_common.h for what
 * all modes promise.
 */
#ifndef ERSATZ_DRIVER_AES_CCM_H
#define ERSATZ_DRIVER_AES_CCM_H

#include "aes_record.h"

#define AES_CCM_AAD_SHORT 64u
#define AES_CCM_TAG_MAX 16u
#define AES_CCM_FIXED_IV 4u /* of a TLS record's nonce; the explicit IV is the rest */
/* Bytes that nonce and length field share: RFC 3610, 2.1. */
#define AES_CCM_NONCE_AND_LENGTH 15u

enum aes_ccm_stage {
    AES_CCM_NO_NONCE, /* no message: a nonce is used once */
    AES_CCM_READY,    /* a nonce is set, and the text has not come */
    AES_CCM_DONE,     /* the text was computed */
    AES_CCM_FAILED,   /* the tag was wrong, or the device failed */
};

struct aes_ccm {
    struct ersatz_cipher *state; /* NULL until a key was set */
    unsigned key_size;           /* as thresholds.h counts key sizes */
    size_t key_len;
    bool encrypt; /* the direction that was asked for last */
    enum aes_ccm_stage stage;
    uint8_t nonce[AES_CCM_NONCE_AND_LENGTH];
    size_t nonce_len;
    size_t text_len; /* as announced */
    bool text_len_set;
    uint8_t *aad; /* of the message: short_aad, or memory of its own */
    size_t aad_len;
    uint8_t short_aad[AES_CCM_AAD_SHORT];
    uint8_t tag[AES_CCM_TAG_MAX]; /* computed, or to compare with */
    size_t tag_len;
    bool tag_set;
    uint8_t record_aad[AES_RECORD_AAD];
    bool is_record; /* the next update is a record, with record_aad */
};

/* Begin, with a nonce of 7 bytes and a tag of 12, as libcrypto does. key_len: 16, 24 or 32. */
void aes_ccm_init(struct aes_ccm *ccm, size_t key_len);

/* Free what the context has, and cleanse it. It may be all zeros. */
void aes_ccm_cleanup(struct aes_ccm *ccm);

/* *to is a copy of *from byte by byte: give it a state and associated data of its own. On failure it has
 * neither. */
bool aes_ccm_dup(const struct aes_ccm *from, struct aes_ccm *to);

/* Set key and direction. With key NULL the key stays. */
bool aes_ccm_set_key(struct aes_ccm *ccm, const uint8_t *key, bool encrypt);

/* 7 to 13. Another length than before ends the message. The length field has 15 bytes less the nonce's. */
bool aes_ccm_set_nonce_len(struct aes_ccm *ccm, size_t len);
bool aes_ccm_set_length_field(struct aes_ccm *ccm, size_t len);

/* Begin a message with this nonce. */
void aes_ccm_set_nonce(struct aes_ccm *ccm, const uint8_t *nonce);

/* For TLS records: the first AES_CCM_FIXED_IV bytes of their nonces. */
void aes_ccm_set_fixed_iv(struct aes_ccm *ccm, const uint8_t *fixed);

/* How long tags are: 4 to 16, and even. */
bool aes_ccm_set_tag_len(struct aes_ccm *ccm, size_t len);

/* Decrypting: the tag to compare with, which comes before the text, and its length. False without an error:
 * encrypting. */
bool aes_ccm_set_tag(struct aes_ccm *ccm, const uint8_t *tag, size_t len);

/* Encrypting: the tag of the text before, once. False without an error: there is none, or len is not the
 * length of tags. */
bool aes_ccm_get_tag(struct aes_ccm *ccm, uint8_t *tag, size_t len);

/* Announce a TLS 1.2 record with its associated data, as libssl gives them (aes_record.h). Returns what a
 * record grows by at its end, or 0: refused. */
size_t aes_ccm_set_record_aad(struct aes_ccm *ccm, const uint8_t *aad, size_t len);

/*
 * The next piece of the message, with libcrypto's conventions: in and out NULL: len is the length of the
 * text; out NULL: associated data, in one call, after that length; otherwise the text, or, with in NULL, the
 * end of the message. After aes_ccm_set_record_aad(): a whole record, in place. *done: how many bytes of in
 * were used, of an opened record how many are text; the length that was announced; 0 at the end. False:
 * refused, without an error where the tag is wrong.
 */
bool aes_ccm_update(struct aes_ccm *ccm, uint8_t *out, const uint8_t *in, size_t len, size_t *done);

#endif
