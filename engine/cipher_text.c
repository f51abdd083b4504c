/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC, ECB, CTR, CFB, OFB and XTS as EVP_CIPHERs: an adaptor to driver/aes_text.h. EVP pads, and keeps IV
 * and number, which applications may look at and change.
 */
#include "driver/aes_text.h"

#include "cipher.h"

static struct aes_text *text_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static enum ersatz_mode mode_of(const EVP_CIPHER_CTX *ctx)
{
    switch (EVP_CIPHER_CTX_get_mode(ctx)) {
    case EVP_CIPH_CBC_MODE:
        return ERSATZ_CBC;
    case EVP_CIPH_CTR_MODE:
        return ERSATZ_CTR;
    case EVP_CIPH_ECB_MODE:
        return ERSATZ_ECB;
    case EVP_CIPH_CFB_MODE:
        return ERSATZ_CFB;
    case EVP_CIPH_OFB_MODE:
        return ERSATZ_OFB;
    default:
        return ERSATZ_XTS;
    }
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    struct aes_text *text = text_of(ctx);

    if (iv != NULL && text->mode == ERSATZ_XTS) /* EVP sets that of the other modes */
        aes_text_set_iv(text, iv);
    return (key == NULL && aes_text_keeps_key(text, encrypt)) || aes_text_set_key(text, key, encrypt);
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct aes_text *text = text_of(ctx);

    if (text != NULL)
        aes_text_cleanup(text);
    return cipher_cleaned_up(ctx);
}

static int copy(const struct aes_text *from, EVP_CIPHER_CTX *ctx)
{
    struct aes_text *to = text_of(ctx);

    to->iv = EVP_CIPHER_CTX_iv_noconst(ctx);
    return aes_text_dup(from, to);
}

static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct aes_text *text = text_of(ctx);

    (void)arg;
    switch (type) {
    case EVP_CTRL_INIT:
        aes_text_cleanup(text); /* an application may ask for this again */
        aes_text_init(text, mode_of(ctx), (size_t)cipher_key_length(ctx), EVP_CIPHER_CTX_iv_noconst(ctx));
        return 1;
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_COPY:
        return ptr != NULL && copy(text, ptr);
    default:
        return -1; /* not a command of these modes */
    }
}

static int update_blocks(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct aes_text *text = text_of(ctx);

    if (len % AES_BLOCK == 0)
        return aes_text_update_blocks(text, out, in, len);
    return aes_text_update(text, out, in, len);
}

/* For modes that may stop inside a block: how far that was used is the context's number. */
static __attribute__((noinline)) int update_number_in_block(
    EVP_CIPHER_CTX *ctx, struct aes_text *text, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned before = text->num;
    int done = aes_text_update(text, out, in, len);

    if (text->num != before)
        EVP_CIPHER_CTX_set_num(ctx, (int)text->num);
    return done;
}

/* CFB and OFB are custom ciphers: EVP then takes fewer instructions to decrypt, and asks for the end of the
 * text with length 0; and some versions hand a negative length on. So this returns the length, or -1. */
static int update_feedback(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned number = (unsigned)EVP_CIPHER_CTX_get_num(ctx);
    struct aes_text *text = text_of(ctx);
    int done;

    text->num = number;
    if ((number | len % AES_BLOCK) == 0 && len - 1 < INT_MAX)
        done = aes_text_update_blocks(text, out, in, len); /* the number stays */
    else
        done = len == 0 || (aes_takes_length(len) && update_number_in_block(ctx, text, out, in, len));
    return done ? (int)len : -1;
}

/* XTS is a custom cipher, too. */
static int update_xts(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct aes_text *text = text_of(ctx);
    int done;

    if (len % AES_BLOCK == 0 && len - 1 < INT_MAX)
        done = aes_text_update_blocks(text, out, in, len);
    else
        done = len == 0 || (aes_takes_length(len) && aes_text_update(text, out, in, len));
    return done ? (int)len : -1;
}

static __attribute__((noinline)) int update_ctr_in_block(
    EVP_CIPHER_CTX *ctx, struct aes_text *text, unsigned char *out, const unsigned char *in, size_t len)
{
    if (text->num != 0)
        text->num = (unsigned)EVP_CIPHER_CTX_get_num(ctx);
    return update_number_in_block(ctx, text, out, in, len);
}

/* Without a started block the context's number is not looked at: that would take as long as a short text. */
static int update_ctr(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct aes_text *text = text_of(ctx);

    if ((text->num | len % AES_BLOCK) == 0)
        return aes_text_update_blocks(text, out, in, len);
    return update_ctr_in_block(ctx, text, out, in, len);
}

int cipher_text_define(EVP_CIPHER *cipher, enum ersatz_mode mode)
{
    static const struct {
        unsigned long flags;
        int (*update)(EVP_CIPHER_CTX *, unsigned char *, const unsigned char *, size_t);
    } own[ERSATZ_MODES] = {
        /* Where the direction matters, init() is called for it without a key, too. */
        [ERSATZ_CBC] = {EVP_CIPH_CBC_MODE | EVP_CIPH_ALWAYS_CALL_INIT, update_blocks},
        [ERSATZ_CTR] = {EVP_CIPH_CTR_MODE, update_ctr},
        [ERSATZ_ECB] = {EVP_CIPH_ECB_MODE | EVP_CIPH_ALWAYS_CALL_INIT, update_blocks},
        [ERSATZ_CFB] = {EVP_CIPH_CFB_MODE | EVP_CIPH_ALWAYS_CALL_INIT | EVP_CIPH_FLAG_CUSTOM_CIPHER,
            update_feedback},
        [ERSATZ_OFB] = {EVP_CIPH_OFB_MODE | EVP_CIPH_FLAG_CUSTOM_CIPHER, update_feedback},
        [ERSATZ_XTS] = {EVP_CIPH_XTS_MODE | EVP_CIPH_CUSTOM_IV | EVP_CIPH_ALWAYS_CALL_INIT |
                            EVP_CIPH_FLAG_CUSTOM_CIPHER,
            update_xts},
    };

    return EVP_CIPHER_meth_set_flags(cipher, own[mode].flags | EVP_CIPH_FLAG_DEFAULT_ASN1 |
                                                 EVP_CIPH_CTRL_INIT | EVP_CIPH_CUSTOM_COPY |
                                                 EVP_CIPH_RAND_KEY) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct aes_text)) &&
           EVP_CIPHER_meth_set_init(cipher, init) &&
           EVP_CIPHER_meth_set_do_cipher(cipher, own[mode].update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
