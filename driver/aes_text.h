/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC, ECB, CTR, CFB (with 128 bits of feedback), OFB and XTS: modes without a tag. Each call is an
 * operation of its own on the device; the context carries the IV, and the key stream of a started block, from
 * one call to the next. See aes_common.h for what all modes promise.
 */
#ifndef ERSATZ_DRIVER_AES_TEXT_H
#define ERSATZ_DRIVER_AES_TEXT_H

#include <string.h>

#include "aes_common.h"
#include "ersatz/device.h"
#include "thresholds.h"

#define AES_BLOCK 16u

struct aes_text {
    struct ersatz_cipher *state; /* NULL until a key was set */
    /* 16 bytes of the caller's, who may change them between calls: the next IV or counter block. In CFB and
     * OFB with num > 0 it holds, from byte num on, the rest of the block's key stream, and before that what
     * the block has fed back so far, as in libcrypto. */
    uint8_t *iv;
    int (*update)(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len);
    struct ersatz_stats *stats; /* card_stats(); kept, since its call takes too long for a short text */
    enum ersatz_mode mode;
    const _Atomic int *threshold; /* see threshold_keeps_some() */
    const _Atomic int *ready;     /* the same, but thresholds_none before key (and IV, for XTS) are set */
    size_t key_len;
    bool encrypt;      /* the direction that was asked for last */
    bool keyed;        /* a key was set that serves this direction */
    bool key_encrypts; /* the direction that the key was set for */
    bool iv_set;       /* XTS: an IV was set, which may be all zeros */
    unsigned num;      /* CTR, CFB, OFB: used bytes of the block's key stream; the caller may set it */
    uint8_t stream[AES_BLOCK]; /* CTR with num > 0: the block's key stream */
};

/* Begin. key_len: in bytes, of both keys for XTS. iv: see above; it must last as long as the context. */
void aes_text_init(struct aes_text *text, enum ersatz_mode mode, size_t key_len, uint8_t *iv);

/* Free the state and cleanse the context. It may be all zeros. */
void aes_text_cleanup(struct aes_text *text);

/* Set key (of the length given to aes_text_init()) and direction. With key NULL the key stays. In CBC, ECB
 * and XTS a key serves only the direction that it was set for; until the context is turned back or gets a
 * key, updates fail. */
bool aes_text_set_key(struct aes_text *text, const uint8_t *key, bool encrypt);

/* Whether aes_text_set_key() would change nothing without a key: so it is not called for each text. */
static inline bool aes_text_keeps_key(const struct aes_text *text, bool encrypt)
{
    return text->keyed && text->encrypt == encrypt && text->key_encrypts == encrypt;
}

/* Begin a text with this IV, 16 bytes. */
static inline void aes_text_set_iv(struct aes_text *text, const uint8_t *iv)
{
    memcpy(text->iv, iv, AES_BLOCK);
    text->iv_set = true;
    text->num = 0;
    if (text->keyed)
        text->ready = text->threshold;
}

/* Encrypt or decrypt len bytes. CBC, ECB: a multiple of 16. XTS: a data unit, 16 bytes to 16 MiB. in and out
 * are the same, or do not overlap. Returns 1, or 0 if it failed: an int as EVP's functions return it, so that
 * a call at the end of such a function compiles to a jump. */
static inline int aes_text_update(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return text->update(text, out, in, len);
}

/* The same, for whole blocks, with num 0. A short text takes no longer than a few calls: so this makes one,
 * whose parameters are where its own were, for what stays here. */
static inline int aes_text_update_blocks(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    if (threshold_keeps_some(text->ready, len))
        return ersatz_update_text(text->state, out, in, len, text->iv, text->stats);
    return text->update(text, out, in, len);
}

/* CBC alone: aes_text_update() of several texts, 1 to AES_PIPES_MAX, which go to the card together. A text
 * may be empty. Returns 0 if it failed: then some of them may be computed, and no text may be continued. */
int aes_text_update_all(struct aes_text *const *texts, unsigned count, uint8_t *const *outs,
    const uint8_t *const *ins, const size_t *lens);

/* *to is a copy of *from byte by byte, with to->iv changed to its own: give it a state of its own. On failure
 * it has none. */
bool aes_text_dup(const struct aes_text *from, struct aes_text *to);

#endif
