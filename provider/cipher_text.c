/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC, ECB, CTR, CFB128, OFB and XTS for a provider. In CBC and ECB this file gathers whole blocks and
 * pads, as EVP_EncryptUpdate(3) and EVP_DecryptUpdate(3) promise; the other modes take texts as they come.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <string.h>

#include "cipher.h"
#include "driver/aes_common.h"
#include "driver/aes_text.h"
#include "tls_record.h"

struct text {
    const struct cipher *cipher;
    struct pipeline *pipeline;
    struct aes_text aes;
    uint8_t iv[AES_BLOCK];       /* the next operation's; aes.iv */
    uint8_t first_iv[AES_BLOCK]; /* as it was set */
    bool encrypts, iv_set;
    bool pads;                  /* CBC, ECB */
    uint8_t partial[AES_BLOCK]; /* CBC, ECB: a block that is not whole; in decryption perhaps the last, held
                                   back */
    size_t partial_len;
    struct tls_record tls; /* CBC: records of TLS up to 1.2; tls.version is 0 where there are none */
};

static bool in_blocks(const struct text *text)
{
    return text->cipher->mode == ERSATZ_CBC || text->cipher->mode == ERSATZ_ECB;
}

static size_t iv_len(const struct text *text)
{
    return text->cipher->mode == ERSATZ_ECB ? 0 : AES_BLOCK;
}

static void begin(void *arg)
{
    struct text *text = arg;

    text->pads = true;
    aes_text_init(&text->aes, text->cipher->mode, text->cipher->key_len, text->iv);
}

static void cleanup(void *arg)
{
    struct text *text = arg;

    aes_text_cleanup(&text->aes);
}

static bool dup(const void *from, void *to)
{
    const struct text *original = from;
    struct text *copy = to;

    copy->aes.iv = copy->iv;
    return aes_text_dup(&original->aes, &copy->aes);
}

static int set_key_len(const struct text *text, const OSSL_PARAM *p)
{
    size_t len;

    if (!OSSL_PARAM_get_size_t(p, &len))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    return len == text->cipher->key_len || REFUSE(PROV_R_INVALID_KEY_LENGTH);
}

static int set_padding(struct text *text, const OSSL_PARAM *p)
{
    unsigned pads;

    if (text->cipher->mode == ERSATZ_XTS)
        return 1;
    if (!param_unsigned(p, &pads))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    text->pads = pads != 0;
    return 1;
}

static int set_number(struct text *text, const OSSL_PARAM *p)
{
    unsigned number;

    if (!param_unsigned(p, &number))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    text->aes.num = number;
    return 1;
}

/* One parameter of EVP's own; others are ignored. As in libcrypto, XTS looks at the key's length alone, the
 * other modes never do. */
static int set_param(struct text *text, const OSSL_PARAM *p)
{
    if (text->cipher->mode == ERSATZ_XTS)
        return !param_is(p, OSSL_CIPHER_PARAM_KEYLEN) || set_key_len(text, p);
    if (param_is(p, OSSL_CIPHER_PARAM_PADDING))
        return set_padding(text, p);
    return !param_is(p, OSSL_CIPHER_PARAM_NUM) || set_number(text, p);
}

static int set_params(void *arg, const OSSL_PARAM params[]);

/* Not inlined, so that the common case needs few registers: clang would save the others' in any case. */
static __attribute__((noinline)) int set_all(struct text *text, const OSSL_PARAM params[])
{
    bool has_tls = false;

    for (const OSSL_PARAM *p = params; p->key != NULL; p++) {
        has_tls |= p->key[0] == 't';
        if (!set_param(text, p))
            return 0;
    }
    if (has_tls && !tls_record_set_params(&text->tls, params))
        return REFUSE(PROV_R_FAILED_TO_GET_PARAMETER);
    return text->pipeline == NULL || pipeline_set_params(text->pipeline, params, set_params);
}

/* EVP sets "padding" anew for each text without. */
static int set_params(void *arg, const OSSL_PARAM params[])
{
    struct text *text = arg;

    if (params == NULL)
        return 1;
    if (param_is_alone(params, OSSL_CIPHER_PARAM_PADDING) && text->pipeline == NULL)
        return set_padding(text, params); /* the common case */
    return set_all(text, params);
}

static int get_params(void *arg, OSSL_PARAM params[])
{
    const struct text *text = arg;

    return (answer_size(params, OSSL_CIPHER_PARAM_IVLEN, iv_len(text)) &&
               answer_size(params, OSSL_CIPHER_PARAM_KEYLEN, text->cipher->key_len) &&
               answer_unsigned(params, OSSL_CIPHER_PARAM_PADDING, text->pads) &&
               answer_unsigned(params, OSSL_CIPHER_PARAM_NUM, text->aes.num) &&
               answer_bytes(params, OSSL_CIPHER_PARAM_IV, text->first_iv, iv_len(text)) &&
               answer_bytes(params, OSSL_CIPHER_PARAM_UPDATED_IV, text->iv, iv_len(text)) &&
               tls_record_get_params(&text->tls, params)) ||
           REFUSE(PROV_R_FAILED_TO_SET_PARAMETER);
}

/* Of XTS, which the driver refuses then, except to decrypt. */
static bool halves_are_equal(const struct text *text, const unsigned char *key)
{
    size_t half = text->cipher->key_len / 2;

    return text->cipher->mode == ERSATZ_XTS && key != NULL && CRYPTO_memcmp(key, key + half, half) == 0;
}

static int init(void *arg, const unsigned char *key, size_t key_len, const unsigned char *iv,
    size_t len_of_iv, const OSSL_PARAM params[], bool encrypts)
{
    struct text *text = arg;
    enum ersatz_mode mode = text->cipher->mode;

    text->encrypts = encrypts;
    text->partial_len = 0;
    text->aes.num = 0;
    if (iv != NULL && mode != ERSATZ_ECB) {
        if (len_of_iv != AES_BLOCK)
            return REFUSE(PROV_R_INVALID_IV_LENGTH);
        memcpy(text->first_iv, iv, AES_BLOCK);
        text->iv_set = true;
        aes_text_set_iv(&text->aes, iv);
    } else if (text->iv_set && (mode == ERSATZ_CBC || mode == ERSATZ_CFB || mode == ERSATZ_OFB)) {
        aes_text_set_iv(&text->aes, text->first_iv); /* a new text without a new IV begins with the old one */
    }
    if (key != NULL && key_len != text->cipher->key_len)
        return REFUSE(PROV_R_INVALID_KEY_LENGTH);
    if ((key != NULL || (text->aes.state != NULL && !aes_text_keeps_key(&text->aes, encrypts))) &&
        !aes_text_set_key(&text->aes, key, encrypts))
        return halves_are_equal(text, key) ? REFUSE(PROV_R_XTS_DUPLICATED_KEYS) : 0;
    return params == NULL || set_params(text, params);
}

/* ---------------------------------------------------------------------------------------------- blocks */

/* A record of TLS: whole, in place, padded by us, and where it is decrypted, without its padding and MAC. */
static int update_record(
    struct text *text, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    if (in != out || size < len || !text->pads)
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    if (text->encrypts && !tls_record_pad(out, &len, size))
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (len % AES_BLOCK != 0 || !aes_text_update(&text->aes, out, in, len))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    *out_len = len;
    if (!text->encrypts && !tls_record_open(&text->tls, out, out_len))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    return 1;
}

/* Whether the block that is gathered must wait, since it may be the last one, with padding to take off. */
static bool may_be_last(const struct text *text, size_t left)
{
    return !text->encrypts && text->pads && left == 0;
}

/* What is left of a piece of text. */
struct piece {
    unsigned char *out;
    size_t size; /* room there */
    const unsigned char *in;
    size_t len;
};

/* Complete the block that is gathered. *whole: how many bytes of the rest of the piece are whole blocks to
 * compute now. */
static int complete_block(struct text *text, struct piece *piece, size_t *whole)
{
    if (text->partial_len != 0) {
        size_t take = AES_BLOCK - text->partial_len;

        take = take < piece->len ? take : piece->len;
        if (take != 0)
            memcpy(text->partial + text->partial_len, piece->in, take);
        text->partial_len += take;
        piece->in += take;
        piece->len -= take;
    }
    if (text->partial_len == AES_BLOCK && !may_be_last(text, piece->len)) {
        if (piece->size < AES_BLOCK)
            return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
        if (!aes_text_update(&text->aes, piece->out, text->partial, AES_BLOCK))
            return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
        text->partial_len = 0;
        piece->out += AES_BLOCK;
        piece->size -= AES_BLOCK;
    }
    *whole = text->partial_len == 0 ? piece->len - piece->len % AES_BLOCK : 0;
    if (*whole != 0 && may_be_last(text, piece->len - *whole))
        *whole -= AES_BLOCK;
    return *whole <= piece->size || REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
}

/* Gather what comes after the whole blocks. */
static void keep_rest(struct text *text, const struct piece *piece, size_t whole)
{
    size_t rest = piece->len - whole;

    if (rest == 0)
        return;
    memcpy(text->partial + text->partial_len, piece->in + whole, rest);
    text->partial_len += rest;
}

static int update_blocks(
    struct text *text, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct piece piece = {out, size, in, len};
    size_t whole;

    if (text->partial_len == 0 && len % AES_BLOCK == 0 && len <= size && len > 0 && !may_be_last(text, 0)) {
        *out_len = len;
        return aes_text_update_blocks(&text->aes, out, in, len) || REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    }
    if (!complete_block(text, &piece, &whole))
        return 0;
    if (whole != 0 && !aes_text_update(&text->aes, piece.out, piece.in, whole))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    keep_rest(text, &piece, whole);
    *out_len = size - piece.size + whole;
    return 1;
}

static int finish_encryption(struct text *text, unsigned char *out, size_t *out_len, size_t size)
{
    if (text->pads) {
        size_t padding = AES_BLOCK - text->partial_len;

        memset(text->partial + text->partial_len, (int)padding, padding);
    } else if (text->partial_len == 0) {
        *out_len = 0;
        return 1;
    } else if (text->partial_len != AES_BLOCK) {
        return REFUSE(PROV_R_WRONG_FINAL_BLOCK_LENGTH);
    }
    if (size < AES_BLOCK)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!aes_text_update(&text->aes, out, text->partial, AES_BLOCK))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    text->partial_len = 0;
    *out_len = AES_BLOCK;
    return 1;
}

/* How many bytes of a decrypted last block are text; 0 to 15. 16: its padding is wrong. */
static size_t text_in_last_block(const uint8_t *block)
{
    unsigned padding = block[AES_BLOCK - 1], wrong = padding == 0 || padding > AES_BLOCK;

    for (unsigned i = 0; i < AES_BLOCK; i++)
        wrong |= (i < padding) & (block[AES_BLOCK - 1 - i] != padding);
    return wrong ? AES_BLOCK : AES_BLOCK - padding;
}

static int finish_decryption(struct text *text, unsigned char *out, size_t *out_len, size_t size)
{
    uint8_t block[AES_BLOCK];
    size_t len = AES_BLOCK;
    int ok = 0;

    if (text->partial_len == 0 && !text->pads) {
        *out_len = 0;
        return 1;
    }
    if (text->partial_len != AES_BLOCK)
        return REFUSE(PROV_R_WRONG_FINAL_BLOCK_LENGTH);
    if (!aes_text_update(&text->aes, block, text->partial, AES_BLOCK)) {
        ERR_raise(ERR_LIB_PROV, PROV_R_CIPHER_OPERATION_FAILED);
    } else if (text->pads && (len = text_in_last_block(block)) == AES_BLOCK) {
        ERR_raise(ERR_LIB_PROV, PROV_R_BAD_DECRYPT);
    } else if (size < len) {
        ERR_raise(ERR_LIB_PROV, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    } else {
        memcpy(out, block, len);
        *out_len = len;
        text->partial_len = 0;
        ok = 1;
    }
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

/* ------------------------------------------------------------------------------------------ operations */

static int crypt(
    struct text *text, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    if (len == 0 && text->cipher->mode != ERSATZ_XTS) { /* there it is a data unit that is too short */
        *out_len = 0;
        return 1;
    }
    if (size < len)
        return REFUSE(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    if (!aes_text_update(&text->aes, out, in, len))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    *out_len = len;
    return 1;
}

static int update(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct text *text = arg;

    if (text->aes.state == NULL)
        return REFUSE(PROV_R_NO_KEY_SET);
    if (!aes_takes_length(len)) /* EVP makes a huge one of a negative one */
        return 0;
    if (text->tls.version != 0 && text->cipher->mode == ERSATZ_CBC)
        return update_record(text, out, out_len, size, in, len);
    return in_blocks(text) ? update_blocks(text, out, out_len, size, in, len)
                           : crypt(text, out, out_len, size, in, len);
}

static int final(void *arg, unsigned char *out, size_t *out_len, size_t size)
{
    struct text *text = arg;

    if (text->aes.state == NULL && text->cipher->mode != ERSATZ_XTS) /* which libcrypto lets end so */
        return REFUSE(PROV_R_NO_KEY_SET);
    if (!in_blocks(text)) {
        *out_len = 0;
        return 1;
    }
    if (text->tls.version != 0)
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED); /* a record is whole */
    return text->encrypts ? finish_encryption(text, out, out_len, size)
                          : finish_decryption(text, out, out_len, size);
}

/* Of CBC. The whole blocks of all texts go to the card together; the block at the end of each does not. */
static int update_all(const struct pipeline *pipeline, unsigned char *const *outs, size_t *out_lens,
    const size_t *sizes, const unsigned char *const *ins, const size_t *lens)
{
    struct aes_text *texts[AES_PIPES_MAX];
    struct piece pieces[AES_PIPES_MAX];
    uint8_t *to[AES_PIPES_MAX];
    const uint8_t *from[AES_PIPES_MAX];
    size_t whole[AES_PIPES_MAX];

    if (outs == NULL)
        return REFUSE(PROV_R_INVALID_DATA);
    for (size_t i = 0; i < pipeline->count; i++) {
        struct text *text = pipeline->contexts[i];
        size_t size = sizes == NULL ? SIZE_MAX : sizes[i];

        if (text->aes.state == NULL)
            return REFUSE(PROV_R_NO_KEY_SET);
        if (ins == NULL) {
            if (!final(text, outs[i], &out_lens[i], size))
                return 0;
            continue;
        }
        if (!aes_takes_length(lens[i]))
            return 0;
        pieces[i] = (struct piece){outs[i], size, ins[i], lens[i]};
        if (!complete_block(text, &pieces[i], &whole[i]))
            return 0;
        out_lens[i] = size - pieces[i].size + whole[i];
        texts[i] = &text->aes;
        to[i] = pieces[i].out;
        from[i] = pieces[i].in;
    }
    if (ins == NULL)
        return 1;
    if (!aes_text_update_all(texts, (unsigned)pipeline->count, to, from, whole))
        return REFUSE(PROV_R_CIPHER_OPERATION_FAILED);
    for (size_t i = 0; i < pipeline->count; i++)
        keep_rest(pipeline->contexts[i], &pieces[i], whole[i]);
    return 1;
}

/* EVP_Cipher(3): no gathering, no padding. */
static int one_shot(
    void *arg, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct text *text = arg;

    if (text->aes.state == NULL)
        return REFUSE(PROV_R_NO_KEY_SET);
    return aes_takes_length(len) && crypt(text, out, out_len, size, in, len);
}

const struct cipher_family family_text = {.context_size = sizeof(struct text),
    .begin = begin,
    .cleanup = cleanup,
    .dup = dup,
    .init = init,
    .update = update,
    .final = final,
    .one_shot = one_shot,
    .get_params = get_params,
    .set_params = set_params,
    .update_all = update_all};
