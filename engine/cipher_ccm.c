/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CCM. EVP's pieces (nonce, length of the text, associated data, text, tag) are gathered here, since the
 * card takes a message whole; the text brings the operation about. A TLS 1.2 record has everything in it.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "cipher.h"
#include "cipher_tls.h"
#include "driver/aes_common.h"
#include "driver/error.h"
#include "driver/offload.h"
#include "driver/thresholds.h"

#define NONCE_AND_LENGTH 15 /* bytes that nonce and length field share: RFC 3610, 2.1 */
#define NONCE_MIN 7
#define NONCE_MAX 13
#define LENGTH_DEFAULT 8 /* as in libcrypto */
#define TAG_DEFAULT 12
#define TAG_MAX 16

enum stage {
    NO_NONCE, /* a message may not begin */
    READY,    /* it may, and the text was not there yet */
    DONE,     /* the text was there */
    FAILED,   /* the tag was wrong, or the card failed */
};

struct data {
    struct ersatz_cipher *state; /* NULL until a key was set */
    int length_field;            /* how many bytes tell the text's length; the rest of 15 is the nonce */
    unsigned char nonce[NONCE_AND_LENGTH];
    enum stage stage;
    bool text_len_set;
    size_t text_len;
    unsigned char *aad; /* of the message; ours */
    size_t aad_len;
    unsigned char tag[TAG_MAX]; /* computed, or to compare with */
    int tag_len;
    bool tag_set;
    unsigned char tls_aad[EVP_AEAD_TLS1_AAD_LEN];
    bool tls_record; /* tls_aad belongs to the next call, which is a whole record */
};

static struct data *data_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static void drop_aad(struct data *data)
{
    OPENSSL_clear_free(data->aad, data->aad_len);
    data->aad = NULL;
    data->aad_len = 0;
}

static void end_message(struct data *data, enum stage stage)
{
    data->stage = stage;
    data->text_len_set = false;
    drop_aad(data);
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *nonce, int encrypt)
{
    struct data *data = data_of(ctx);

    if (!aes_set_key(&data->state, ERSATZ_CCM, key, (size_t)cipher_key_length(ctx), encrypt))
        return 0;
    if (nonce != NULL) {
        memcpy(data->nonce, nonce, (size_t)(NONCE_AND_LENGTH - data->length_field));
        end_message(data, READY);
        if (encrypt)
            data->tag_set = false; /* to decrypt, the tag may come first */
    }
    return 1;
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct data *data = data_of(ctx);

    if (data != NULL) {
        ersatz_cipher_free(data->state);
        drop_aad(data);
        OPENSSL_cleanse(data, sizeof(*data));
    }
    return cipher_cleaned_up(ctx);
}

/* ------------------------------------------------------------------------------------------------ commands
 */

static int set_nonce_len(struct data *data, int len)
{
    if (len < NONCE_MIN || len > NONCE_MAX) {
        error_raise(REASON_INPUT, "a nonce of %d bytes for AES-CCM; expected 7 to 13", len);
        return 0;
    }
    if (data->length_field != NONCE_AND_LENGTH - len) {
        data->length_field = NONCE_AND_LENGTH - len;
        end_message(data, NO_NONCE);
    }
    return 1;
}

static int set_length_field(struct data *data, int len)
{
    if (len < NONCE_AND_LENGTH - NONCE_MAX || len > NONCE_AND_LENGTH - NONCE_MIN) {
        error_raise(REASON_INPUT, "a length field of %d bytes for AES-CCM; expected 2 to 8", len);
        return 0;
    }
    return set_nonce_len(data, NONCE_AND_LENGTH - len);
}

/* With tag NULL, how long tags are. */
static int set_tag(EVP_CIPHER_CTX *ctx, struct data *data, const void *tag, int len)
{
    if (len < 4 || len > TAG_MAX || len % 2 != 0) {
        error_raise(REASON_INPUT, "a tag of %d bytes for AES-CCM; expected 4 to 16, and even", len);
        return 0;
    }
    if (tag != NULL) {
        if (EVP_CIPHER_CTX_is_encrypting(ctx))
            return 0;
        memcpy(data->tag, tag, (size_t)len);
        data->tag_set = true;
    }
    data->tag_len = len;
    return 1;
}

static int get_tag(EVP_CIPHER_CTX *ctx, struct data *data, void *tag, int len)
{
    if (!EVP_CIPHER_CTX_is_encrypting(ctx) || !data->tag_set || len != data->tag_len || tag == NULL)
        return 0;
    memcpy(tag, data->tag, (size_t)len);
    data->tag_set = false;
    end_message(data, NO_NONCE);
    return 1;
}

static int set_tls_aad(EVP_CIPHER_CTX *ctx, struct data *data, const unsigned char *aad, int len)
{
    unsigned around = EVP_CCM_TLS_EXPLICIT_IV_LEN;

    if (len != EVP_AEAD_TLS1_AAD_LEN || aad == NULL)
        return 0;
    if (!EVP_CIPHER_CTX_is_encrypting(ctx))
        around += (unsigned)data->tag_len;
    memcpy(data->tls_aad, aad, EVP_AEAD_TLS1_AAD_LEN);
    data->tls_record = cipher_tls_aad_of_text(data->tls_aad, around);
    return data->tls_record ? data->tag_len : 0; /* what a record grows by at its end */
}

/* The copy has the same associated data, in memory of its own. */
static int copy(const struct data *from, struct data *to)
{
    to->aad = NULL;
    to->aad_len = 0;
    if (!aes_dup_state(from->state, &to->state))
        return 0;
    if (from->aad != NULL) {
        to->aad = OPENSSL_memdup(from->aad, from->aad_len);
        if (to->aad == NULL)
            return 0;
        to->aad_len = from->aad_len;
    }
    return 1;
}

static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct data *data = data_of(ctx);

    switch (type) {
    case EVP_CTRL_INIT:
        ersatz_cipher_free(data->state); /* there is one if it is an application that asks for this */
        drop_aad(data);
        memset(data, 0, sizeof(*data));
        data->length_field = LENGTH_DEFAULT;
        data->tag_len = TAG_DEFAULT;
        return 1;
    case EVP_CTRL_GET_IVLEN:
        return cipher_tell(ptr, NONCE_AND_LENGTH - data->length_field);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_AEAD_SET_IVLEN:
        return set_nonce_len(data, arg);
    case EVP_CTRL_CCM_SET_L:
        return set_length_field(data, arg);
    case EVP_CTRL_AEAD_SET_TAG:
        return set_tag(ctx, data, ptr, arg);
    case EVP_CTRL_AEAD_GET_TAG:
        return get_tag(ctx, data, ptr, arg);
    case EVP_CTRL_CCM_SET_IV_FIXED:
        if (arg != EVP_CCM_TLS_FIXED_IV_LEN || ptr == NULL)
            return 0;
        memcpy(data->nonce, ptr, EVP_CCM_TLS_FIXED_IV_LEN);
        end_message(data, NO_NONCE);
        return 1;
    case EVP_CTRL_AEAD_TLS1_AAD:
        return set_tls_aad(ctx, data, ptr, arg);
    case EVP_CTRL_COPY:
        return ptr != NULL && copy(data, data_of(ptr));
    default:
        return -1; /* not a command of CCM */
    }
}

/* -------------------------------------------------------------------------------------------------- message
 */

/* op has associated data, text and tag. */
static enum ersatz_result run(EVP_CIPHER_CTX *ctx, struct data *data, struct ersatz_op *op)
{
    unsigned bits = (unsigned)cipher_key_length(ctx) * 8;
    size_t size = op->u.cipher.len + op->u.cipher.aad_len;

    op->kind = ERSATZ_CIPHER;
    op->u.cipher.cipher = data->state;
    op->u.cipher.long_iv = data->nonce;
    op->u.cipher.iv_len = (size_t)(NONCE_AND_LENGTH - data->length_field);
    op->u.cipher.tag_len = (size_t)data->tag_len;
    return offload(op, threshold_keeps(ERSATZ_CCM, threshold_size(bits), size));
}

static int tls_record(EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *record, size_t len)
{
    unsigned char *text = record + EVP_CCM_TLS_EXPLICIT_IV_LEN;
    size_t text_len = len - EVP_CCM_TLS_EXPLICIT_IV_LEN - (size_t)data->tag_len;
    bool sealing = EVP_CIPHER_CTX_is_encrypting(ctx);
    enum ersatz_result result;
    struct ersatz_op op = {.u.cipher = {
                               .aad = data->tls_aad,
                               .aad_len = EVP_AEAD_TLS1_AAD_LEN,
                               .in = text,
                               .out = text,
                               .len = text_len,
                               .tag = text + text_len,
                           }};

    if (data->length_field != NONCE_AND_LENGTH - EVP_CCM_TLS_FIXED_IV_LEN - EVP_CCM_TLS_EXPLICIT_IV_LEN)
        return -1;
    if (sealing) /* the sequence number, with which the associated data begin, is never twice the same */
        memcpy(record, data->tls_aad, EVP_CCM_TLS_EXPLICIT_IV_LEN);
    memcpy(data->nonce + EVP_CCM_TLS_FIXED_IV_LEN, record, EVP_CCM_TLS_EXPLICIT_IV_LEN);
    result = run(ctx, data, &op);
    if (result == ERSATZ_BAD_TAG) /* on the card, the refused text never left its memory */
        OPENSSL_cleanse(text, text_len);
    if (result != ERSATZ_OK)
        return -1;
    return (int)(sealing ? len : text_len);
}

static int refuse(const char *why)
{
    error_raise(REASON_INPUT, "AES-CCM: %s", why);
    return -1;
}

static int text(
    EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *out, const unsigned char *in, size_t len)
{
    bool encrypting = EVP_CIPHER_CTX_is_encrypting(ctx);
    enum ersatz_result result;
    struct ersatz_op op = {.u.cipher = {
                               .aad = data->aad,
                               .aad_len = data->aad_len,
                               .in = in,
                               .out = out,
                               .len = len,
                               .tag = data->tag,
                           }};

    if (data->stage != READY) {
        data->tag_set &= !encrypting; /* as in libcrypto, the tag of the text before is lost then */
        return refuse("no nonce was set for this text; a nonce is used once, and the text comes in one call");
    }
    if (data->text_len_set && data->text_len != len)
        return refuse("the text is not as long as was said");
    if (!encrypting && !data->tag_set)
        return refuse("the tag to compare with must be set before the text");
    result = run(ctx, data, &op);
    data->tag_set = encrypting && result == ERSATZ_OK;
    end_message(data, result == ERSATZ_OK ? DONE : FAILED);
    if (result == ERSATZ_BAD_TAG && len > 0)
        OPENSSL_cleanse(out, len);
    return result == ERSATZ_OK ? (int)len : -1;
}

static int associated_data(struct data *data, const unsigned char *in, size_t len)
{
    if (data->stage == READY && len == 0)
        return 0;
    if (data->stage != READY || !data->text_len_set)
        return refuse("associated data come after the nonce and the length of the text");
    if (data->aad != NULL)
        return refuse("associated data come in one call");
    data->aad = OPENSSL_memdup(in, len);
    if (data->aad == NULL)
        return -1;
    data->aad_len = len;
    return (int)len;
}

static int set_text_len(struct data *data, size_t len)
{
    if (data->stage != READY)
        return refuse("no nonce was set");
    data->text_len = len;
    data->text_len_set = true;
    return (int)len;
}

/* A message whose text has no bytes may do without a call for it. */
static int final(EVP_CIPHER_CTX *ctx, struct data *data)
{
    if (data->stage == READY)
        return text(ctx, data, NULL, NULL, 0);
    return data->stage == FAILED ? -1 : 0;
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct data *data = data_of(ctx);
    bool is_record = data->tls_record;

    if (!aes_takes_length(len))
        return -1;
    if (data->state == NULL)
        return refuse("no key was set");
    data->tls_record = false;
    if (is_record) {
        bool whole = out == in && len >= EVP_CCM_TLS_EXPLICIT_IV_LEN + (size_t)data->tag_len;

        end_message(data, NO_NONCE); /* the record puts its own part into the nonce */
        return whole ? tls_record(ctx, data, out, len) : -1;
    }
    if (in == NULL && (out != NULL || (len == 0 && (data->stage == DONE || data->stage == FAILED))))
        return final(ctx, data);
    if (in == NULL)
        return set_text_len(data, len);
    if (out == NULL)
        return associated_data(data, in, len);
    return text(ctx, data, out, in, len);
}

int cipher_ccm_define(EVP_CIPHER *cipher)
{
    return EVP_CIPHER_meth_set_flags(cipher, EVP_CIPH_CCM_MODE | CIPHER_AEAD_FLAGS) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct data)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
