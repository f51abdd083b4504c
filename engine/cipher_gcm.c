/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM. A message comes in pieces: an IV (set, generated, or fixed part and invocation part as TLS 1.2
 * does), associated data, text, tag. What the pieces share lives in the device's cipher state; a TLS record
 * is one operation with everything in it.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "cipher.h"
#include "cipher_tls.h"
#include "driver/aes_common.h"
#include "driver/error.h"
#include "driver/offload.h"
#include "driver/thresholds.h"

#define IV_DEFAULT 12
#define IV_MAX 128 /* what the device takes */
#define IV_INVOCATION 8
#define TAG_MAX 16

struct data {
    struct ersatz_cipher *state; /* NULL until a key was set */
    int iv_len;
    unsigned char iv[IV_MAX];         /* as set, or the generator's next */
    unsigned char message_iv[IV_MAX]; /* of the message under way */
    bool iv_set;                      /* a message may begin or go on */
    bool iv_generated;                /* iv has a fixed and an invocation part */
    bool begun;                       /* the state has the message's IV */
    unsigned char tag[TAG_MAX];
    int tag_len; /* -1: no tag yet */
    unsigned char tls_aad[EVP_AEAD_TLS1_AAD_LEN];
    bool tls_record; /* tls_aad belongs to the next call, which is a whole record */
    uint64_t tls_records_sealed;
};

static struct data *data_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static void begin_message(struct data *data)
{
    memcpy(data->message_iv, data->iv, (size_t)data->iv_len);
    data->iv_set = true;
    data->begun = false;
}

static void end_message(struct data *data)
{
    data->iv_set = false; /* an IV is used once */
    data->begun = false;
    data->tls_record = false;
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    struct data *data = data_of(ctx);

    if (!aes_set_key(&data->state, ERSATZ_GCM, key, (size_t)cipher_key_length(ctx), encrypt))
        return 0;
    if (key != NULL) {
        data->tls_records_sealed = 0;
        if (data->begun || data->iv_generated) /* but an IV that was set holds for the key after it */
            end_message(data);
    }
    if (iv != NULL) {
        memcpy(data->iv, iv, (size_t)data->iv_len);
        data->iv_generated = false;
        begin_message(data);
    }
    return 1;
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct data *data = data_of(ctx);

    if (data != NULL) {
        ersatz_cipher_free(data->state);
        OPENSSL_cleanse(data, sizeof(*data));
    }
    return cipher_cleaned_up(ctx);
}

/* ------------------------------------------------------------------------------------------------ commands
 */

static int set_iv_len(struct data *data, int len)
{
    if (len < 1 || len > IV_MAX) {
        error_raise(REASON_INPUT, "an IV of %d bytes for AES-GCM; expected 1 to %d", len, IV_MAX);
        return 0;
    }
    if (len != data->iv_len) { /* an IV of the old length is none any more, nor a part of one */
        end_message(data);
        data->iv_generated = false;
        data->iv_len = len;
    }
    return 1;
}

static int set_tag(EVP_CIPHER_CTX *ctx, struct data *data, const void *tag, int len)
{
    if (len < 1 || len > TAG_MAX || tag == NULL || EVP_CIPHER_CTX_is_encrypting(ctx))
        return 0;
    memcpy(data->tag, tag, (size_t)len);
    data->tag_len = len;
    return 1;
}

static int get_tag(EVP_CIPHER_CTX *ctx, const struct data *data, void *tag, int len)
{
    if (len < 1 || len > TAG_MAX || tag == NULL || !EVP_CIPHER_CTX_is_encrypting(ctx) || data->tag_len < 0)
        return 0;
    memcpy(tag, data->tag, (size_t)len);
    return 1;
}

/* NIST SP 800-38D, 8.2.1: a fixed field of at least 4 bytes, an invocation field of at least 8. */
static int set_fixed_iv(EVP_CIPHER_CTX *ctx, struct data *data, const unsigned char *fixed, int len)
{
    if (fixed == NULL)
        return 0;
    if (len == -1) { /* the whole IV is given back */
        len = data->iv_len;
    } else if (len < 4 || data->iv_len - len < IV_INVOCATION) {
        return 0;
    } else if (EVP_CIPHER_CTX_is_encrypting(ctx) && !aes_random(data->iv + len, data->iv_len - len, false)) {
        return 0;
    }
    memcpy(data->iv, fixed, (size_t)len);
    data->iv_generated = true;
    /* Whether a message that has its IV goes on with that or begins anew with this one, libcrypto's
     * implementations disagree. */
    end_message(data);
    return 1;
}

/* The next IV of the generator becomes the message's; its last len bytes go to out. */
static int generate_iv(struct data *data, unsigned char *out, int len)
{
    int counts = data->iv_len < IV_INVOCATION ? data->iv_len : IV_INVOCATION; /* a whole IV may be shorter */
    unsigned char *invocation = data->iv + data->iv_len - counts;

    if (!data->iv_generated || data->state == NULL || out == NULL)
        return 0;
    if (len <= 0 || len > data->iv_len)
        len = data->iv_len;
    memcpy(out, data->iv + data->iv_len - len, (size_t)len);
    begin_message(data);
    for (int i = counts - 1; i >= 0 && ++invocation[i] == 0; i--)
        ;
    return 1;
}

/* The peer's invocation field completes the IV. */
static int set_invocation(EVP_CIPHER_CTX *ctx, struct data *data, const unsigned char *field, int len)
{
    if (!data->iv_generated || data->state == NULL || EVP_CIPHER_CTX_is_encrypting(ctx) || field == NULL ||
        len < 1 || len > data->iv_len)
        return 0;
    memcpy(data->iv + data->iv_len - len, field, (size_t)len);
    begin_message(data);
    return 1;
}

static int set_tls_aad(EVP_CIPHER_CTX *ctx, struct data *data, const unsigned char *aad, int len)
{
    unsigned around = EVP_GCM_TLS_EXPLICIT_IV_LEN;

    if (len != EVP_AEAD_TLS1_AAD_LEN || aad == NULL)
        return 0;
    if (!EVP_CIPHER_CTX_is_encrypting(ctx))
        around += EVP_GCM_TLS_TAG_LEN;
    memcpy(data->tls_aad, aad, EVP_AEAD_TLS1_AAD_LEN);
    data->tls_record = cipher_tls_aad_of_text(data->tls_aad, around);
    return data->tls_record ? EVP_GCM_TLS_TAG_LEN : 0; /* what a record grows by at its end */
}

static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct data *data = data_of(ctx);

    switch (type) {
    case EVP_CTRL_INIT:
        ersatz_cipher_free(data->state); /* there is one if it is an application that asks for this */
        memset(data, 0, sizeof(*data));
        data->iv_len = IV_DEFAULT;
        data->tag_len = -1;
        return 1;
    case EVP_CTRL_GET_IVLEN:
        return cipher_tell(ptr, data->iv_len);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_AEAD_SET_IVLEN:
        return set_iv_len(data, arg);
    case EVP_CTRL_AEAD_SET_TAG:
        return set_tag(ctx, data, ptr, arg);
    case EVP_CTRL_AEAD_GET_TAG:
        return get_tag(ctx, data, ptr, arg);
    case EVP_CTRL_GCM_SET_IV_FIXED:
        return set_fixed_iv(ctx, data, ptr, arg);
    case EVP_CTRL_GCM_IV_GEN:
        return generate_iv(data, ptr, arg);
    case EVP_CTRL_GCM_SET_IV_INV:
        return set_invocation(ctx, data, ptr, arg);
    case EVP_CTRL_AEAD_TLS1_AAD:
        return set_tls_aad(ctx, data, ptr, arg);
    case EVP_CTRL_COPY:
        return ptr != NULL && aes_dup_state(data->state, &data_of(ptr)->state);
    default:
        return -1; /* not a command of GCM */
    }
}

/* --------------------------------------------------------------------------------------------------- pieces
 */

/* Run a piece of the message under way; a failure ends the message. */
static enum ersatz_result run(EVP_CIPHER_CTX *ctx, struct data *data, struct ersatz_op *op)
{
    unsigned bits = (unsigned)cipher_key_length(ctx) * 8;
    size_t size = op->u.cipher.len + op->u.cipher.aad_len;
    enum ersatz_result result;

    op->kind = ERSATZ_CIPHER;
    op->u.cipher.cipher = data->state;
    if (!data->begun) {
        op->u.cipher.long_iv = data->message_iv;
        op->u.cipher.iv_len = (size_t)data->iv_len;
    }
    result = offload(op, threshold_keeps(ERSATZ_GCM, threshold_size(bits), size));
    data->begun = true;
    if (result != ERSATZ_OK)
        end_message(data);
    return result;
}

/* A record of TLS 1.2 as one operation, in place: explicit IV, text, tag. */
static struct ersatz_op record_op(struct data *data, unsigned char *record, size_t len)
{
    unsigned char *text = record + EVP_GCM_TLS_EXPLICIT_IV_LEN;
    size_t text_len = len - EVP_GCM_TLS_EXPLICIT_IV_LEN - EVP_GCM_TLS_TAG_LEN;
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};

    op.u.cipher.aad = data->tls_aad;
    op.u.cipher.aad_len = EVP_AEAD_TLS1_AAD_LEN;
    op.u.cipher.in = text;
    op.u.cipher.out = text;
    op.u.cipher.len = text_len;
    op.u.cipher.tag = text + text_len;
    op.u.cipher.tag_len = EVP_GCM_TLS_TAG_LEN;
    return op;
}

static int seal_record(EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *record, size_t len)
{
    struct ersatz_op op = record_op(data, record, len);

    if (++data->tls_records_sealed == 0) {
        error_raise(REASON_INPUT, "2^64 records were sealed with this key; it must not be used any more");
        return -1;
    }
    if (!generate_iv(data, record, EVP_GCM_TLS_EXPLICIT_IV_LEN) || run(ctx, data, &op) != ERSATZ_OK)
        return -1;
    return (int)len;
}

static int open_record(EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *record, size_t len)
{
    struct ersatz_op op = record_op(data, record, len);
    enum ersatz_result result;

    if (!set_invocation(ctx, data, record, EVP_GCM_TLS_EXPLICIT_IV_LEN))
        return -1;
    result = run(ctx, data, &op);
    if (result == ERSATZ_BAD_TAG) /* on the card, the refused text never left its memory */
        OPENSSL_cleanse(op.u.cipher.out, op.u.cipher.len);
    return result == ERSATZ_OK ? (int)op.u.cipher.len : -1;
}

static int tls_record(
    EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *out, const unsigned char *in, size_t len)
{
    int done = -1;

    if (out == in && len >= EVP_GCM_TLS_EXPLICIT_IV_LEN + EVP_GCM_TLS_TAG_LEN)
        done = EVP_CIPHER_CTX_is_encrypting(ctx) ? seal_record(ctx, data, out, len)
                                                 : open_record(ctx, data, out, len);
    end_message(data);
    return done;
}

static int final(EVP_CIPHER_CTX *ctx, struct data *data)
{
    bool encrypting = EVP_CIPHER_CTX_is_encrypting(ctx);
    struct ersatz_op op = {.u.cipher = {.tag = data->tag, .tag_len = TAG_MAX}};

    if (!encrypting) {
        if (data->tag_len < 0)
            return -1; /* nothing to compare with */
        op.u.cipher.tag_len = (size_t)data->tag_len;
    }
    if (run(ctx, data, &op) != ERSATZ_OK)
        return -1;
    if (encrypting)
        data->tag_len = TAG_MAX;
    end_message(data);
    return 0;
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct data *data = data_of(ctx);
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};

    if (!aes_takes_length(len))
        return -1;
    if (data->state == NULL) {
        error_raise(REASON_INPUT, "no key was set");
        return -1;
    }
    if (data->tls_record)
        return tls_record(ctx, data, out, in, len);
    if (!data->iv_set) {
        error_raise(REASON_INPUT, "no IV was set for this message; an IV is used once");
        return -1;
    }
    if (in == NULL)
        return final(ctx, data);
    if (len == 0)
        return 0;
    if (out == NULL) {
        op.u.cipher.aad = in;
        op.u.cipher.aad_len = len;
    } else {
        op.u.cipher.in = in;
        op.u.cipher.out = out;
        op.u.cipher.len = len;
    }
    return run(ctx, data, &op) == ERSATZ_OK ? (int)len : -1;
}

int cipher_gcm_define(EVP_CIPHER *cipher)
{
    return EVP_CIPHER_meth_set_flags(cipher, EVP_CIPH_GCM_MODE | CIPHER_AEAD_FLAGS) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct data)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
