/* SPDX-License-Identifier: Apache-2.0 */
/* A message in AES-CCM. */
#include "aes_ccm.h"

#include <openssl/crypto.h>
#include <string.h>

#include "aes_common.h"
#include "error.h"
#include "ersatz/assertion.h"
#include "offload.h"
#include "thresholds.h"

#define NONCE_MIN 7u
#define NONCE_MAX 13u
#define TAG_MIN 4u
#define TAG_DEFAULT 12u

static void drop_aad(struct aes_ccm *ccm)
{
    if (ccm->aad != ccm->short_aad)
        OPENSSL_clear_free(ccm->aad, ccm->aad_len);
    ccm->aad = NULL;
    ccm->aad_len = 0;
}

static bool keep_aad(struct aes_ccm *ccm, const uint8_t *aad, size_t len)
{
    if (len <= sizeof(ccm->short_aad)) {
        memcpy(ccm->short_aad, aad, len);
        ccm->aad = ccm->short_aad;
    } else if ((ccm->aad = OPENSSL_memdup(aad, len)) == NULL) {
        return false;
    }
    ccm->aad_len = len;
    return true;
}

static void end_message(struct aes_ccm *ccm, enum aes_ccm_stage stage)
{
    ccm->stage = stage;
    ccm->text_len_set = false;
    drop_aad(ccm);
}

void aes_ccm_init(struct aes_ccm *ccm, size_t key_len)
{
    *ccm = (struct aes_ccm){
        .key_size = threshold_size((unsigned)key_len * 8),
        .key_len = key_len,
        .nonce_len = NONCE_MIN,
        .tag_len = TAG_DEFAULT,
    };
}

void aes_ccm_cleanup(struct aes_ccm *ccm)
{
    ersatz_cipher_free(ccm->state);
    drop_aad(ccm);
    OPENSSL_cleanse(ccm, sizeof(*ccm));
}

bool aes_ccm_dup(const struct aes_ccm *from, struct aes_ccm *to)
{
    to->aad = NULL;
    to->aad_len = 0;
    if (!aes_dup_state(from->state, &to->state))
        return false;
    if (from->aad == NULL)
        return true;
    if (keep_aad(to, from->aad, from->aad_len))
        return true;
    ersatz_cipher_free(to->state);
    to->state = NULL;
    return false;
}

bool aes_ccm_set_key(struct aes_ccm *ccm, const uint8_t *key, bool encrypt)
{
    if (ccm->stage != AES_CCM_READY) /* the message before is over, and so is its end */
        ccm->stage = AES_CCM_NO_NONCE;
    if (key == NULL && ccm->encrypt == encrypt)
        return true;
    if (!aes_set_key(&ccm->state, ERSATZ_CCM, key, ccm->key_len, encrypt))
        return false;
    ccm->encrypt = encrypt;
    return true;
}

/* ------------------------------------------------------------------------------------------ nonce and tag */

bool aes_ccm_set_nonce_len(struct aes_ccm *ccm, size_t len)
{
    if (len < NONCE_MIN || len > NONCE_MAX) {
        error_raise(REASON_INPUT, "the AES-CCM nonce has %zd bytes; expected 7 to 13", (ssize_t)len);
        return false;
    }
    if (ccm->nonce_len != len) {
        ccm->nonce_len = len;
        end_message(ccm, AES_CCM_NO_NONCE);
    }
    return true;
}

bool aes_ccm_set_length_field(struct aes_ccm *ccm, size_t len)
{
    if (len < AES_CCM_NONCE_AND_LENGTH - NONCE_MAX || len > AES_CCM_NONCE_AND_LENGTH - NONCE_MIN) {
        error_raise(REASON_INPUT, "the AES-CCM length field has %zd bytes; expected 2 to 8", (ssize_t)len);
        return false;
    }
    return aes_ccm_set_nonce_len(ccm, AES_CCM_NONCE_AND_LENGTH - len);
}

void aes_ccm_set_nonce(struct aes_ccm *ccm, const uint8_t *nonce)
{
    memcpy(ccm->nonce, nonce, ccm->nonce_len);
    end_message(ccm, AES_CCM_READY);
    if (ccm->encrypt)
        ccm->tag_set = false; /* decrypting, the tag may have come already */
}

void aes_ccm_set_fixed_iv(struct aes_ccm *ccm, const uint8_t *fixed)
{
    memcpy(ccm->nonce, fixed, AES_CCM_FIXED_IV);
    end_message(ccm, AES_CCM_NO_NONCE);
}

static bool tag_len_fits(size_t len)
{
    if (len >= TAG_MIN && len <= AES_CCM_TAG_MAX && len % 2 == 0)
        return true;
    error_raise(
        REASON_INPUT, "the AES-CCM tag has %zd bytes; expected an even number from 4 to 16", (ssize_t)len);
    return false;
}

bool aes_ccm_set_tag_len(struct aes_ccm *ccm, size_t len)
{
    if (!tag_len_fits(len))
        return false;
    ccm->tag_len = len;
    return true;
}

bool aes_ccm_set_tag(struct aes_ccm *ccm, const uint8_t *tag, size_t len)
{
    if (!tag_len_fits(len) || ccm->encrypt)
        return false;
    memcpy(ccm->tag, tag, len);
    ccm->tag_len = len;
    ccm->tag_set = true;
    return true;
}

bool aes_ccm_get_tag(struct aes_ccm *ccm, uint8_t *tag, size_t len)
{
    if (!ccm->encrypt || !ccm->tag_set || len != ccm->tag_len)
        return false;
    memcpy(tag, ccm->tag, len);
    ccm->tag_set = false;
    end_message(ccm, AES_CCM_NO_NONCE);
    return true;
}

size_t aes_ccm_set_record_aad(struct aes_ccm *ccm, const uint8_t *aad, size_t len)
{
    ccm->is_record = aes_record_set_aad(ccm->record_aad, aad, len, ccm->encrypt, ccm->tag_len);
    return ccm->is_record ? ccm->tag_len : 0;
}

/* ------------------------------------------------------------------------------------------------ message */

/* op has associated data, text and tag. What it deciphered under a wrong tag is cleansed; on the card, it
 * never left the card's memory. */
static bool run(struct aes_ccm *ccm, struct ersatz_op *op)
{
    size_t size = op->u.cipher.len + op->u.cipher.aad_len;
    enum ersatz_result result;

    ASSERT(op->u.cipher.tag != NULL && ccm->nonce_len <= NONCE_MAX && ccm->tag_len <= AES_CCM_TAG_MAX);
    op->kind = ERSATZ_CIPHER;
    op->u.cipher.cipher = ccm->state;
    op->u.cipher.long_iv = ccm->nonce;
    op->u.cipher.iv_len = ccm->nonce_len;
    op->u.cipher.tag_len = ccm->tag_len;
    result = offload(op, 1, threshold_keeps(ERSATZ_CCM, ccm->key_size, size));
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result == ERSATZ_OK;
}

static bool run_record(struct aes_ccm *ccm, uint8_t *record, size_t len, size_t *done)
{
    struct ersatz_op op = aes_record_op(ccm->record_aad, record, len, ccm->tag_len);

    if (ccm->nonce_len != AES_CCM_FIXED_IV + AES_RECORD_EXPLICIT_IV)
        return false;
    if (ccm->encrypt) /* the sequence number, with which the associated data begin, never repeats */
        memcpy(record, ccm->record_aad, AES_RECORD_EXPLICIT_IV);
    memcpy(ccm->nonce + AES_CCM_FIXED_IV, record, AES_RECORD_EXPLICIT_IV);
    *done = ccm->encrypt ? len : op.u.cipher.len;
    return run(ccm, &op);
}

static bool refuse(const char *why)
{
    error_raise(REASON_INPUT, "AES-CCM: %s", why);
    return false;
}

static bool text(struct aes_ccm *ccm, uint8_t *out, const uint8_t *in, size_t len)
{
    struct ersatz_op op = {.u.cipher = {
                               .aad = ccm->aad,
                               .aad_len = ccm->aad_len,
                               .in = in,
                               .out = out,
                               .len = len,
                               .tag = ccm->tag,
                           }};
    bool ok;

    if (ccm->stage != AES_CCM_READY) {
        ccm->tag_set &= !ccm->encrypt; /* as in libcrypto, the tag of the text before is lost then */
        return refuse(
            "no nonce was set for this text; each text needs its own nonce, and must come in one call");
    }
    if (ccm->text_len_set && ccm->text_len != len)
        return refuse("the text does not have the length that was announced");
    if (!ccm->encrypt && !ccm->tag_set)
        return refuse("the tag to compare with must be set before the text");
    ok = run(ccm, &op);
    ccm->tag_set = ccm->encrypt && ok;
    end_message(ccm, ok ? AES_CCM_DONE : AES_CCM_FAILED);
    return ok;
}

static bool set_aad(struct aes_ccm *ccm, const uint8_t *in, size_t len)
{
    if (ccm->stage == AES_CCM_READY && len == 0)
        return true;
    if (ccm->stage != AES_CCM_READY || !ccm->text_len_set)
        return refuse("associated data must come after the nonce and the length of the text");
    if (ccm->aad != NULL)
        return refuse("associated data must come in one call");
    return keep_aad(ccm, in, len);
}

static bool set_text_len(struct aes_ccm *ccm, size_t len)
{
    if (ccm->stage != AES_CCM_READY)
        return refuse("no nonce was set");
    ccm->text_len = len;
    ccm->text_len_set = true;
    return true;
}

/* Without a call for the text, it is one of no bytes. The end of a message that never began is refused: the
 * caller would take it as authenticated. Some versions of libcrypto accept it. */
static bool finish(struct aes_ccm *ccm)
{
    if (ccm->stage == AES_CCM_READY)
        return text(ccm, NULL, NULL, 0);
    return ccm->stage == AES_CCM_NO_NONCE ? refuse("no nonce was set") : ccm->stage == AES_CCM_DONE;
}

bool aes_ccm_update(struct aes_ccm *ccm, uint8_t *out, const uint8_t *in, size_t len, size_t *done)
{
    bool is_record = ccm->is_record, is_over = ccm->stage == AES_CCM_DONE || ccm->stage == AES_CCM_FAILED;

    *done = len;
    if (!aes_takes_length(len))
        return false;
    if (ccm->state == NULL)
        return refuse("no key was set");
    ccm->is_record = false;
    if (is_record) {
        end_message(ccm, AES_CCM_NO_NONCE); /* the record puts a part of its own into the nonce */
        return aes_record_is_whole(out, in, len, ccm->tag_len) && run_record(ccm, out, len, done);
    }
    if (in == NULL && (out != NULL || (len == 0 && is_over))) {
        *done = 0;
        return finish(ccm);
    }
    if (in == NULL)
        return set_text_len(ccm, len);
    return out == NULL ? set_aad(ccm, in, len) : text(ccm, out, in, len);
}
