/* SPDX-License-Identifier: Apache-2.0 */
/* A message in AES-GCM. */
#include "aes_gcm.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "aes_common.h"
#include "card.h"
#include "error.h"
#include "ersatz/assertion.h"
#include "offload.h"
#include "thresholds.h"

#define IV_DEFAULT 12u
#define IV_FIXED_MIN 4u
#define IV_INVOCATION 8u

/* Functions of their own, so that a short message's way, which ends with a call of the next function, saves
 * few registers. */
#define APART __attribute__((noinline))

/* The usual length by words, so that the compiler copies without a call, and what reads the copy next finds
 * it as it was written. Of two calls of memcpy(), one with a constant, clang makes one. */
static void copy_iv(uint8_t *to, const uint8_t *from, size_t len)
{
    uint64_t first;
    uint32_t last;

    if (len != IV_DEFAULT) {
        memcpy(to, from, len);
        return;
    }
    memcpy(&first, from, sizeof(first));
    memcpy(&last, from + sizeof(first), sizeof(last));
    memcpy(to, &first, sizeof(first));
    memcpy(to + sizeof(first), &last, sizeof(last));
}

static void begin_message(struct aes_gcm *gcm)
{
    ASSERT(gcm->iv_len >= 1 && gcm->iv_len <= AES_GCM_IV_MAX);
    copy_iv(gcm->message_iv, gcm->iv, gcm->iv_len);
    gcm->stage = AES_GCM_GATHER;
    gcm->aad_len = 0;
}

static void end_message(struct aes_gcm *gcm)
{
    gcm->stage = AES_GCM_NO_IV;
    gcm->is_record = false;
}

void aes_gcm_init(struct aes_gcm *gcm, size_t key_len)
{
    *gcm = (struct aes_gcm){.stats = card_stats(),
        .key_size = threshold_size((unsigned)key_len * 8),
        .key_len = key_len,
        .iv_len = IV_DEFAULT};
}

void aes_gcm_cleanup(struct aes_gcm *gcm)
{
    ersatz_cipher_free(gcm->state);
    OPENSSL_cleanse(gcm, sizeof(*gcm));
}

bool aes_gcm_dup(const struct aes_gcm *from, struct aes_gcm *to)
{
    return aes_dup_state(from->state, &to->state);
}

bool aes_gcm_set_key(struct aes_gcm *gcm, const uint8_t *key, bool encrypt)
{
    bool begun = gcm->stage > AES_GCM_GATHER || gcm->aad_len > 0;

    if (key == NULL && gcm->encrypt == encrypt)
        return true;
    if (!aes_set_key(&gcm->state, ERSATZ_GCM, key, gcm->key_len, encrypt))
        return false;
    gcm->encrypt = encrypt;
    if (key != NULL) {
        gcm->records_sealed = 0;
        if (begun || gcm->iv_generated)
            end_message(gcm);
    }
    return true;
}

/* --------------------------------------------------------------------------------------------- IV and tag */

bool aes_gcm_set_iv_len(struct aes_gcm *gcm, size_t len)
{
    if (len < 1 || len > AES_GCM_IV_MAX) {
        error_raise(
            REASON_INPUT, "the AES-GCM IV has %zd bytes; expected 1 to %u", (ssize_t)len, AES_GCM_IV_MAX);
        return false;
    }
    if (len != gcm->iv_len) { /* what was set with the old length is neither an IV any more nor part of one */
        end_message(gcm);
        gcm->iv_generated = false;
        gcm->iv_len = len;
    }
    return true;
}

void aes_gcm_set_iv(struct aes_gcm *gcm, const uint8_t *iv)
{
    copy_iv(gcm->iv, iv, gcm->iv_len);
    gcm->iv_generated = false;
    begin_message(gcm);
}

/* Whether a message that already has its IV goes on with that, or begins again with the new one, libcrypto's
 * implementations disagree. Here it ends. */
static void generate_from_now_on(struct aes_gcm *gcm)
{
    gcm->iv_generated = true;
    end_message(gcm);
}

bool aes_gcm_set_fixed_iv(struct aes_gcm *gcm, const uint8_t *fixed, size_t len)
{
    if (len < IV_FIXED_MIN || len > gcm->iv_len || gcm->iv_len - len < IV_INVOCATION)
        return false;
    if (gcm->encrypt && !aes_random(gcm->iv + len, gcm->iv_len - len, false))
        return false;
    memcpy(gcm->iv, fixed, len);
    generate_from_now_on(gcm);
    return true;
}

void aes_gcm_set_first_iv(struct aes_gcm *gcm, const uint8_t *iv)
{
    memcpy(gcm->iv, iv, gcm->iv_len);
    generate_from_now_on(gcm);
}

bool aes_gcm_generate_iv(struct aes_gcm *gcm, uint8_t *out, size_t len)
{
    size_t counts = gcm->iv_len < IV_INVOCATION ? gcm->iv_len : IV_INVOCATION; /* a whole IV may be shorter */
    uint8_t *invocation = gcm->iv + gcm->iv_len - counts;

    if (!gcm->iv_generated || gcm->state == NULL)
        return false;
    if (len == 0 || len > gcm->iv_len)
        len = gcm->iv_len;
    memcpy(out, gcm->iv + gcm->iv_len - len, len);
    begin_message(gcm);
    for (size_t i = counts; i > 0 && ++invocation[i - 1] == 0; i--)
        ;
    return true;
}

bool aes_gcm_set_invocation(struct aes_gcm *gcm, const uint8_t *field, size_t len)
{
    if (!gcm->iv_generated || gcm->state == NULL || gcm->encrypt || len < 1 || len > gcm->iv_len)
        return false;
    memcpy(gcm->iv + gcm->iv_len - len, field, len);
    begin_message(gcm);
    return true;
}

/* The usual length as one vector, as in copy_iv(). */
static void copy_tag(uint8_t *to, const uint8_t *from, size_t len)
{
    typedef uint64_t whole_tag __attribute__((vector_size(AES_GCM_TAG_MAX)));
    whole_tag tag;

    if (len != AES_GCM_TAG_MAX) {
        memcpy(to, from, len);
        return;
    }
    memcpy(&tag, from, sizeof(tag));
    memcpy(to, &tag, sizeof(tag));
}

bool aes_gcm_set_tag(struct aes_gcm *gcm, const uint8_t *tag, size_t len)
{
    if (len < 1 || len > AES_GCM_TAG_MAX || gcm->encrypt)
        return false;
    copy_tag(gcm->tag, tag, len);
    gcm->tag_len = len;
    return true;
}

bool aes_gcm_get_tag(const struct aes_gcm *gcm, uint8_t *tag, size_t len)
{
    if (len < 1 || len > AES_GCM_TAG_MAX || !gcm->encrypt || gcm->tag_len == 0)
        return false;
    copy_tag(tag, gcm->tag, len);
    return true;
}

size_t aes_gcm_set_record_aad(struct aes_gcm *gcm, const uint8_t *aad, size_t len)
{
    gcm->is_record = aes_record_set_aad(gcm->record_aad, aad, len, gcm->encrypt, AES_GCM_TAG_MAX);
    return gcm->is_record ? AES_GCM_TAG_MAX : 0;
}

/* ------------------------------------------------------------------------------------------------- pieces */

/* Make *op an operation on the message. The first one brings the IV, and the gathered associated data if it
 * has none of its own. */
static void prepare(const struct aes_gcm *gcm, struct ersatz_op *op)
{
    ASSERT(gcm->stage != AES_GCM_NO_IV && gcm->aad_len <= sizeof(gcm->aad));
    op->kind = ERSATZ_CIPHER;
    op->u.cipher.cipher = gcm->state;
    if (gcm->stage == AES_GCM_GATHER) {
        op->u.cipher.long_iv = gcm->message_iv;
        op->u.cipher.iv_len = gcm->iv_len;
        if (op->u.cipher.aad == NULL && gcm->aad_len > 0) {
            op->u.cipher.aad = gcm->aad;
            op->u.cipher.aad_len = gcm->aad_len;
        }
    }
}

/* Whether so many bytes stay on the calling core, whatever else is set. */
static inline bool is_small(const struct aes_gcm *gcm, size_t len)
{
    return threshold_keeps(ERSATZ_GCM, gcm->key_size, len);
}

/* Run a piece of the message; then the message is at stage next. A failure ends the message. */
static enum ersatz_result run(struct aes_gcm *gcm, struct ersatz_op *op, enum aes_gcm_stage next)
{
    enum ersatz_result result;

    ASSERT(next >= gcm->stage);
    prepare(gcm, op);
    result = offload(op, 1, is_small(gcm, op->u.cipher.len + op->u.cipher.aad_len));
    gcm->stage = next;
    if (result != ERSATZ_OK)
        end_message(gcm);
    return result;
}

static bool seal_record(struct aes_gcm *gcm, uint8_t *record, size_t len)
{
    struct ersatz_op op = aes_record_op(gcm->record_aad, record, len, AES_GCM_TAG_MAX);

    if (++gcm->records_sealed == 0) {
        error_raise(REASON_INPUT, "2^64 records were encrypted with this key; use another key");
        return false;
    }
    return aes_gcm_generate_iv(gcm, record, AES_RECORD_EXPLICIT_IV) &&
           run(gcm, &op, AES_GCM_TEXT) == ERSATZ_OK;
}

static bool open_record(struct aes_gcm *gcm, uint8_t *record, size_t len)
{
    struct ersatz_op op = aes_record_op(gcm->record_aad, record, len, AES_GCM_TAG_MAX);
    enum ersatz_result result;

    if (!aes_gcm_set_invocation(gcm, record, AES_RECORD_EXPLICIT_IV))
        return false;
    result = run(gcm, &op, AES_GCM_TEXT);
    if (result == ERSATZ_BAD_TAG) /* on the card, the refused text never left the card's memory */
        OPENSSL_cleanse(op.u.cipher.out, op.u.cipher.len);
    return result == ERSATZ_OK;
}

static bool run_record(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, size_t *done)
{
    bool ok = false;

    if (aes_record_is_whole(out, in, len, AES_GCM_TAG_MAX)) {
        ok = gcm->encrypt ? seal_record(gcm, out, len) : open_record(gcm, out, len);
        *done = gcm->encrypt ? len : len - AES_RECORD_EXPLICIT_IV - AES_GCM_TAG_MAX;
    }
    end_message(gcm);
    return ok;
}

/* The operation that makes the tag or compares it. Its tag_len is 0, and an error says so, if there is
 * nothing to compare with. */
static struct ersatz_op last_op(struct aes_gcm *gcm)
{
    if (!gcm->encrypt && gcm->tag_len == 0)
        error_raise(REASON_INPUT, "AES-GCM: no tag was set to compare with");
    return (struct ersatz_op){
        .u.cipher = {.tag = gcm->tag, .tag_len = gcm->encrypt ? AES_GCM_TAG_MAX : gcm->tag_len}};
}

/* The end of a message, of which this is the result. */
static inline bool note_end(struct aes_gcm *gcm, enum ersatz_result result)
{
    if (result != ERSATZ_OK)
        error_raise_result(result);
    else if (gcm->encrypt)
        gcm->tag_len = AES_GCM_TAG_MAX;
    end_message(gcm);
    return result == ERSATZ_OK;
}

/* Whether the message has text, which the calling core may have computed, and all that its end needs. */
static inline bool may_end_here(const struct aes_gcm *gcm)
{
    return gcm->stage == AES_GCM_TEXT && (gcm->encrypt || gcm->tag_len != 0);
}

static inline bool end_here(struct aes_gcm *gcm)
{
    size_t tag_len = gcm->encrypt ? AES_GCM_TAG_MAX : gcm->tag_len;

    return note_end(gcm, ersatz_compute_gcm_end(gcm->state, gcm->tag, tag_len, gcm->stats));
}

static APART bool finish_otherwise(struct aes_gcm *gcm)
{
    struct ersatz_op op;

    if (may_end_here(gcm) && offload_is_for_speed())
        return end_here(gcm);
    op = last_op(gcm);
    return op.u.cipher.tag_len != 0 && run(gcm, &op, AES_GCM_TEXT) == ERSATZ_OK && note_end(gcm, ERSATZ_OK);
}

static APART bool finish(struct aes_gcm *gcm)
{
    return may_end_here(gcm) && is_small(gcm, 0) ? end_here(gcm) : finish_otherwise(gcm);
}

/* Give the IV and the gathered associated data to the device, without text. */
static bool give_gathered(struct aes_gcm *gcm)
{
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};

    return run(gcm, &op, AES_GCM_LONG_AAD) == ERSATZ_OK;
}

static bool give_aad(struct aes_gcm *gcm, const uint8_t *in, size_t len)
{
    struct ersatz_op op = {.u.cipher = {.aad = in, .aad_len = len}};

    if (gcm->stage == AES_GCM_GATHER && gcm->aad_len > 0 && !give_gathered(gcm))
        return false;
    return run(gcm, &op, AES_GCM_LONG_AAD) == ERSATZ_OK;
}

static APART bool add_aad_otherwise(struct aes_gcm *gcm, const uint8_t *in, size_t len)
{
    if (gcm->stage != AES_GCM_TEXT)
        return give_aad(gcm, in, len);
    error_raise(REASON_INPUT, "AES-GCM: associated data must come before the text");
    end_message(gcm);
    return false;
}

/* Gathered as long as there is room, since most kernels take all associated data at once. What is longer goes
 * to the device in pieces. */
static APART bool add_aad(struct aes_gcm *gcm, const uint8_t *in, size_t len)
{
    if (gcm->stage != AES_GCM_GATHER || len > sizeof(gcm->aad) - gcm->aad_len)
        return add_aad_otherwise(gcm, in, len);
    memcpy(gcm->aad + gcm->aad_len, in, len);
    gcm->aad_len += len;
    return true;
}

static APART bool text_failed(struct aes_gcm *gcm, enum ersatz_result result)
{
    error_raise_result(result);
    end_message(gcm);
    return false;
}

/* The result of text that the calling core computed. */
static inline bool note_text(struct aes_gcm *gcm, enum ersatz_result result)
{
    gcm->stage = AES_GCM_TEXT;
    return result == ERSATZ_OK || text_failed(gcm, result);
}

static inline bool begin_here(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len)
{
    struct ersatz_gcm_piece piece = {gcm->message_iv, gcm->iv_len, gcm->aad, gcm->aad_len, in, out, len};

    return note_text(gcm, ersatz_compute_gcm_text(gcm->state, &piece, gcm->stats));
}

static inline bool add_here(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len)
{
    return note_text(gcm, ersatz_compute_gcm_more(gcm->state, out, in, len, gcm->stats));
}

static APART bool add_long_text(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len)
{
    struct ersatz_op op = {.u.cipher = {.in = in, .out = out, .len = len}};

    if (!offload_is_for_speed())
        return run(gcm, &op, AES_GCM_TEXT) == ERSATZ_OK;
    return gcm->stage == AES_GCM_GATHER ? begin_here(gcm, out, in, len) : add_here(gcm, out, in, len);
}

/* What stays on the calling core does so without offload(): a short text takes no longer than a few calls. */
static APART bool begin_text(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len)
{
    return is_small(gcm, len + gcm->aad_len) ? begin_here(gcm, out, in, len)
                                             : add_long_text(gcm, out, in, len);
}

static inline bool add_text(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len)
{
    return is_small(gcm, len) ? add_here(gcm, out, in, len) : add_long_text(gcm, out, in, len);
}

static bool has_key(const struct aes_gcm *gcm)
{
    if (gcm->state == NULL)
        error_raise(REASON_INPUT, "no key was set");
    return gcm->state != NULL;
}

static bool has_message(const struct aes_gcm *gcm)
{
    if (gcm->stage == AES_GCM_NO_IV)
        error_raise(REASON_INPUT, "no IV was set for this message; each message needs its own IV");
    return gcm->stage != AES_GCM_NO_IV;
}

static APART bool update_otherwise(
    struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, size_t *done)
{
    *done = 0;
    if (!aes_takes_length(len) || !has_key(gcm))
        return false;
    return gcm->is_record ? run_record(gcm, out, in, len, done) : has_message(gcm);
}

static APART bool update(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, size_t *done)
{
    if (gcm->state == NULL || gcm->is_record || gcm->stage == AES_GCM_NO_IV || len > INT_MAX)
        return update_otherwise(gcm, out, in, len, done);
    if (in == NULL) {
        *done = 0;
        return finish(gcm);
    }
    *done = len;
    if (len == 0)
        return true;
    if (out == NULL)
        return add_aad(gcm, in, len);
    return gcm->stage == AES_GCM_GATHER ? begin_text(gcm, out, in, len) : add_text(gcm, out, in, len);
}

/* More text of a message, after some, takes few instructions here, as whole blocks do in aes_text.c. */
bool aes_gcm_update(struct aes_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, size_t *done)
{
    if (gcm->state == NULL || gcm->stage != AES_GCM_TEXT || gcm->is_record || in == NULL || out == NULL ||
        len == 0 || len > INT_MAX || !is_small(gcm, len))
        return update(gcm, out, in, len, done);
    *done = len;
    return add_here(gcm, out, in, len);
}

bool aes_gcm_update_all(struct aes_gcm *const *messages, unsigned count, uint8_t *const *outs,
    const uint8_t *const *ins, const size_t *lens)
{
    struct ersatz_op ops[AES_PIPES_MAX];
    unsigned used = 0;
    size_t bytes = 0;
    bool ok = true;

    ASSERT(count >= 1 && count <= AES_PIPES_MAX);
    for (unsigned i = 0; i < count && ok; i++) {
        struct aes_gcm *gcm = messages[i];

        ok = has_key(gcm) && has_message(gcm) && (ins == NULL || aes_takes_length(lens[i]));
        if (!ok || (ins != NULL && lens[i] == 0))
            continue;
        ops[used] = ins == NULL
                        ? last_op(gcm)
                        : (struct ersatz_op){.u.cipher = {.in = ins[i], .out = outs[i], .len = lens[i]}};
        ok = ins != NULL || ops[used].u.cipher.tag_len != 0;
        prepare(gcm, &ops[used]);
        bytes += ops[used].u.cipher.len + ops[used].u.cipher.aad_len;
        used++;
    }
    ok = ok && (used == 0 || offload(ops, used, threshold_keeps(ERSATZ_GCM, messages[0]->key_size, bytes)) ==
                                 ERSATZ_OK);
    for (unsigned i = 0; i < count; i++) {
        if (ok && ins == NULL && messages[i]->encrypt)
            messages[i]->tag_len = AES_GCM_TAG_MAX;
        if (!ok || ins == NULL)
            end_message(messages[i]);
        else if (lens[i] != 0)
            messages[i]->stage = AES_GCM_TEXT;
    }
    return ok;
}
