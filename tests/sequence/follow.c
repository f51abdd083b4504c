/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a context after a call of a sequence. */
#include "inside.h"

#include <string.h>

static void follow_init(struct context *c)
{
    /* A message that goes on with another key: libcrypto takes the IV for the key from where the last but one
     * may lie. */
    if (c->stage != NO_IV && call.key != NULL && c->keyed)
        c->stage = MURKY;
    c->turned = turns_without_key(c) || (c->turned && call.key == NULL);
    if (call.number >= 0)
        c->encrypting = call.number;
    c->keyed |= call.key != NULL;
    c->has_iv |= call.iv != NULL;
    c->held = 0;
    if (call.iv != NULL) {
        c->stage = FRESH;
        c->unclear = c->unclear || (c->generates && call.key != NULL);
        c->generates = c->iv_whole = false;
    }
}

static void follow_gcm_message(struct context *c)
{
    bool done = results[CARD].done;

    if (twin == PROVIDER && done && call.kind == CALL_UPDATE && c->stage == NO_IV)
        c->stage = FRESH;           /* providers generate an IV where there is none */
    if (!done && c->stage != NO_IV) /* the engine ends the message, libcrypto lets it go on */
        c->stage = MURKY;
    if (done && c->stage == FRESH && call.len > 0)
        c->stage = ACTIVE;
    if (done && call.kind == CALL_UPDATE && call.in != NULL && call.len == 0)
        c->stage = c->stage == NO_IV ? NO_IV : MURKY; /* the older one ends the associated data there */
    if (done && is_end()) {
        c->tag_known = c->stage != MURKY && (c->tag_known || c->encrypting);
        c->stage = NO_IV;
    }
}

static void follow_gcm_command(struct context *c)
{
    switch (call.number) {
    case EVP_CTRL_AEAD_SET_IVLEN:
        if (takes_memory_for_iv(c)) {
            c->iv_on_heap = true;
            c->iv_room = call.len;
        }
        if (call.len != c->iv_len && c->stage != NO_IV) /* an IV of the old length; the engine forgets it */
            c->stage = MURKY;
        if (call.len != c->iv_len) { /* libcrypto takes new memory for it */
            c->unclear |= c->generates;
            c->iv_whole = false;
        }
        c->iv_len = call.len;
        break;
    case EVP_CTRL_AEAD_SET_IV_FIXED:
        c->generates = true;
        c->unclear = false;
        c->iv_whole = c->encrypting || call.len < 0;
        c->iv_fixed = call.len;
        if (c->stage != NO_IV) /* the engine ends the message */
            c->stage = MURKY;
        break;
    case EVP_CTRL_GCM_IV_GEN:
        c->stage = c->iv_whole ? FRESH : MURKY;
        break;
    case EVP_CTRL_GCM_SET_IV_INV: /* the peer's part; of a shorter one something stays open */
        c->stage = c->iv_whole || call.len >= c->iv_len - c->iv_fixed ? FRESH : MURKY;
        break;
    }
}

static void follow_gcm(struct context *c)
{
    c->tag_is_old = !is_end() && (c->tag_is_old || call.kind == CALL_INIT || call.kind == CALL_UPDATE ||
                                     call.kind == CALL_RECORD || call.kind == CALL_COMMAND);
    if (call.kind == CALL_UPDATE || call.kind == CALL_FINAL)
        follow_gcm_message(c);
    if (call.kind == CALL_COMMAND && results[CARD].done)
        follow_gcm_command(c);
    if (call.kind == CALL_RECORD) {
        c->stage = NO_IV;
        c->tag_known = false; /* libcrypto keeps the associated data where it keeps the tag */
    }
    if (is_end() &&
        !results[CARD].done)         /* for want of a tag: the provider has used up the IV by then, and a */
        c->agrees[PROVIDER] = false; /* new key gets none */
}

/* False: libcrypto's two go ways of their own from here. */
static bool follow_ccm(struct context *c)
{
    bool sets_length =
        is_command(EVP_CTRL_AEAD_SET_IVLEN) || (is_command(EVP_CTRL_AEAD_SET_TAG) && call.len != CCM_TAG);

    if (!results[CARD].done) /* of another length than was said: libcrypto has lost that */
        return !c->has_length || call.kind != CALL_UPDATE || call.in == NULL || call.out == NULL;
    /* Turned around without a key, libcrypto computes as before, and its tags are wrong. */
    if (call.kind == CALL_INIT && call.number >= 0 && call.key == NULL)
        return false;
    if (call.kind == CALL_RECORD) /* libcrypto takes every call from then on for another record */
        return false;
    if (c->has_length && call.iv != NULL)
        return false;
    if (c->keyed && sets_length) /* libcrypto goes on with those it had when the key was set */
        return false;
    if (!c->tag_waits && (call.kind == CALL_FINAL || (is_end() && call.out != NULL)))
        return false; /* the end of an empty text, of which early versions of 3.0 give no tag */
    c->has_length |= call.kind == CALL_UPDATE && (call.in == NULL) == (call.out == NULL);
    c->tag_waits |= call.kind == CALL_UPDATE && call.in != NULL && call.out != NULL;
    c->tag_waits &= !is_command(EVP_CTRL_AEAD_GET_TAG);
    return true;
}

static void follow_start(struct context *c)
{
    c->started = true;
    c->cipher = call_cipher;
    c->mode = EVP_CIPHER_get_mode(cipher_of(call_cipher));
    c->encrypting = call.number;
    c->keyed = call.key != NULL;
    c->has_iv = call.iv != NULL;
    c->held = 0;
    c->stage = call.iv != NULL ? FRESH : NO_IV;
    c->iv_len = EVP_CIPHER_get_iv_length(cipher_of(call_cipher));
    c->iv_room = EVP_MAX_IV_LENGTH;
    c->iv_fixed = 0;
    c->iv_on_heap = c->turned = c->generates = c->unclear = c->iv_whole = c->tag_known = c->tag_is_old =
        c->tag_waits = c->has_length = false;
}

static void follow_copy(const struct context *c)
{
    struct context *to = &contexts[call_to];

    if (to != c) {
        EVP_CIPHER_CTX *of[ACTORS];

        memcpy(of, to->of, sizeof(of));
        for (enum actor who = CARD; who < ACTORS; who++)
            EVP_CIPHER_CTX_free(to->before[who]);
        *to = *c;
        memcpy(to->of, of, sizeof(of));
        memset(to->before, 0, sizeof(to->before));
    }
    if (to->iv_on_heap)
        to->iv_room = to->iv_len;
}

enum verdict follow(struct context *c)
{
    if (call.kind == CALL_START) {
        if (!results[CARD].done)
            return START_AGAIN;
        follow_start(c);
        return GOES_ON;
    }
    if ((call.kind == CALL_INIT || call.kind == CALL_RECORD) && !results[CARD].done)
        return START_AGAIN; /* libcrypto may have taken part of it, or wait for the record still */
    if (call_shift > 0 && results[CARD].done)
        c->agrees[PROVIDER] = false;
    else if (call_shift > 0)
        return GOES_ON;
    if (twin == PROVIDER && !results[CARD].done && call.kind != CALL_COMMAND)
        return START_AGAIN; /* of a failure each implementation makes what it likes */
    if (call.kind == CALL_COPY && results[CARD].done)
        follow_copy(c);
    if (is_ccm(c) && !follow_ccm(c))
        return START_AGAIN;
    if (is_gcm(c))
        follow_gcm(c);
    if (call.kind == CALL_UPDATE && c->held >= 0)
        c->held += call.len;
    else if (call.kind == CALL_FINAL)
        c->held = -1;
    if (call.kind == CALL_INIT)
        follow_init(c);
    return GOES_ON;
}
