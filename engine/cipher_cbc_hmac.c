/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC with HMAC, for TLS records without encrypt-then-MAC. libssl may hand over several records at once,
 * a pipeline: each is an operation on a state of its own, and the card has them all before the job pauses.
 *
 * The records of a pipeline begin with the same IV of the context, where libcrypto's would be chained. To the
 * other side both look alike: it is for TLS 1.1 and later, where a record begins with a block of random
 * numbers, which, enciphered, is the IV of the rest.
 */
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/tls1.h>
#include <string.h>

#include "cipher.h"
#include "driver/aes_common.h"
#include "driver/error.h"
#include "driver/offload.h"
#include "driver/thresholds.h"

#define BLOCK 16u
#define PIPES_MAX 32u /* SSL_MAX_PIPELINES */

struct data {
    /* The first has the keys (NULL until they were set); the others are copies of it, made on first use. */
    struct ersatz_cipher *states[PIPES_MAX];
    bool keyed;        /* they were, for the direction that the context has now */
    bool key_encrypts; /* the direction they were set for */
    unsigned aads;     /* that were set for the next call, one for each record of it; 0: plain CBC */
    unsigned char aad[PIPES_MAX][EVP_AEAD_TLS1_AAD_LEN];
    unsigned pipes; /* 0: the next call has its one record in its arguments */
    unsigned char **outs, **ins;
    const size_t *lens;
};

static struct data *data_of(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_CTX_get_cipher_data(ctx);
}

static enum ersatz_mode mode_of(const EVP_CIPHER_CTX *ctx)
{
    switch (EVP_CIPHER_CTX_get_nid(ctx)) {
    case NID_aes_128_cbc_hmac_sha1:
    case NID_aes_256_cbc_hmac_sha1:
        return ERSATZ_CBC_HMAC_SHA1;
    default:
        return ERSATZ_CBC_HMAC_SHA256;
    }
}

static unsigned mac_size(const EVP_CIPHER_CTX *ctx)
{
    return mode_of(ctx) == ERSATZ_CBC_HMAC_SHA1 ? 20 : 32;
}

/* The copies have keys of the past. */
static void drop_copies(struct data *data)
{
    for (unsigned i = 1; i < PIPES_MAX; i++) {
        ersatz_cipher_free(data->states[i]);
        data->states[i] = NULL;
    }
}

static void drop_pipeline(struct data *data)
{
    data->aads = data->pipes = 0;
    data->outs = data->ins = NULL;
    data->lens = NULL;
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    struct data *data = data_of(ctx);

    (void)iv; /* EVP keeps it */
    if (key != NULL || data->pipes > 0)
        drop_pipeline(data); /* the way out of one that was refused; a record that was announced stays */
    if (key == NULL) {
        data->keyed = data->states[0] != NULL && data->key_encrypts == (encrypt != 0);
        return 1;
    }
    drop_copies(data);
    data->key_encrypts = encrypt != 0;
    data->keyed = aes_set_key(&data->states[0], mode_of(ctx), key, (size_t)cipher_key_length(ctx), encrypt);
    return data->keyed;
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct data *data = data_of(ctx);

    if (data != NULL) {
        drop_copies(data);
        ersatz_cipher_free(data->states[0]);
        data->states[0] = NULL;
    }
    return cipher_cleaned_up(ctx);
}

/* ------------------------------------------------------------------------------------------------ commands
 */

static int set_mac_key(struct data *data, const unsigned char *key, int len)
{
    enum ersatz_result result;

    if (data->states[0] == NULL) {
        error_raise(REASON_INPUT, "the MAC key comes after the cipher's key");
        return 0;
    }
    if (len < 0 || (len > 0 && key == NULL)) {
        error_raise(REASON_INPUT, "a MAC key of %d bytes at %p", len, (const void *)key);
        return 0;
    }
    drop_copies(data);
    result = ersatz_cipher_set_mac_key(data->states[0], key, (size_t)len);
    error_raise_result(result);
    return result == ERSATZ_OK;
}

/* What MAC and padding add to a record of this length; opening, what the MAC takes from it. 0: it is too
 * short. */
static int growth(const EVP_CIPHER_CTX *ctx, const unsigned char *aad)
{
    unsigned version = (unsigned)aad[9] << 8 | aad[10];
    unsigned len = (unsigned)aad[11] << 8 | aad[12];

    if (!EVP_CIPHER_CTX_is_encrypting(ctx))
        return (int)mac_size(ctx);
    if (version >= TLS1_1_VERSION && len < BLOCK)
        return 0; /* the explicit IV: one block, which makes no difference to the padding */
    return (int)(((len + mac_size(ctx) + BLOCK) & ~(BLOCK - 1)) - len);
}

static int add_tls_aad(EVP_CIPHER_CTX *ctx, struct data *data, const unsigned char *aad, int len)
{
    if (len != EVP_AEAD_TLS1_AAD_LEN || aad == NULL || data->aads == PIPES_MAX)
        return -1;
    memcpy(data->aad[data->aads++], aad, EVP_AEAD_TLS1_AAD_LEN);
    return growth(ctx, aad);
}

/* One of the three calls that make a pipeline. One that is refused changes nothing. */
static int set_pipes(struct data *data, int type, int pipes, void *what)
{
    if (pipes < 1 || (unsigned)pipes > PIPES_MAX)
        return 0;
    if (type == EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS)
        data->outs = what;
    else if (type == EVP_CTRL_SET_PIPELINE_INPUT_BUFS)
        data->ins = what;
    else
        data->lens = what;
    data->pipes = (unsigned)pipes;
    return 1;
}

static int copy(const struct data *from, struct data *to)
{
    for (unsigned i = 1; i < PIPES_MAX; i++)
        to->states[i] = NULL;
    return aes_dup_state(from->states[0], &to->states[0]);
}

static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct data *data = data_of(ctx);

    switch (type) {
    case EVP_CTRL_AEAD_SET_MAC_KEY:
        return set_mac_key(data, ptr, arg);
    case EVP_CTRL_AEAD_TLS1_AAD:
        return add_tls_aad(ctx, data, ptr, arg);
    case EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS:
    case EVP_CTRL_SET_PIPELINE_INPUT_BUFS:
    case EVP_CTRL_SET_PIPELINE_INPUT_LENS:
        return set_pipes(data, type, arg, ptr);
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_COPY:
        return ptr != NULL && copy(data, data_of(ptr));
    default:
        return -1; /* not a command of these */
    }
}

/* -------------------------------------------------------------------------------------------------- records
 */

static int refuse(const char *why)
{
    error_raise(REASON_INPUT, "AES-CBC-HMAC: %s", why);
    return 0;
}

static bool have_states(struct data *data, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (data->states[i] == NULL && !aes_dup_state(data->states[0], &data->states[i]))
            return false;
    }
    return true;
}

static enum ersatz_result run(EVP_CIPHER_CTX *ctx, const struct ersatz_op *ops, unsigned count)
{
    unsigned bits = (unsigned)cipher_key_length(ctx) * 8;
    enum ersatz_result result;
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += ops[i].u.cipher.len;
    result = offload_all(ops, count, threshold_keeps(mode_of(ctx), threshold_size(bits), size));
    /* On the card, refused text never left its memory; but the caller shall see the same either way. */
    for (unsigned i = 0; i < count && result == ERSATZ_BAD_TAG; i++)
        OPENSSL_cleanse(ops[i].u.cipher.out, ops[i].u.cipher.len);
    return result;
}

/* The context's IV is always the last block of what was enciphered. */
static int run_and_keep_iv(EVP_CIPHER_CTX *ctx, const struct ersatz_op *ops, unsigned count)
{
    const struct ersatz_op *last = &ops[count - 1];
    size_t at = last->u.cipher.len - BLOCK;
    unsigned char iv[BLOCK] = {0};

    if (!EVP_CIPHER_CTX_is_encrypting(ctx))
        memcpy(iv, last->u.cipher.in + at, BLOCK); /* in may be out */
    if (run(ctx, ops, count) != ERSATZ_OK)
        return 0;
    if (EVP_CIPHER_CTX_is_encrypting(ctx))
        memcpy(iv, last->u.cipher.out + at, BLOCK);
    memcpy(EVP_CIPHER_CTX_iv_noconst(ctx), iv, BLOCK);
    return 1;
}

static int run_records(EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *const *outs,
    unsigned char *const *ins, const size_t *lens, unsigned count)
{
    struct ersatz_op ops[PIPES_MAX];

    for (unsigned i = 0; i < count; i++) {
        if (!aes_takes_length(lens[i]))
            return 0;
        if (lens[i] == 0 || lens[i] % BLOCK != 0)
            return refuse("a record's length must be a multiple of 16");
        ops[i] = (struct ersatz_op){.kind = ERSATZ_CIPHER,
            .u.cipher = {
                .cipher = data->states[i],
                .aad = data->aads > 0 ? data->aad[i] : NULL,
                .aad_len = data->aads > 0 ? EVP_AEAD_TLS1_AAD_LEN : 0,
                .in = ins[i],
                .out = outs[i],
                .len = lens[i],
            }};
        memcpy(ops[i].u.cipher.iv, EVP_CIPHER_CTX_iv(ctx), BLOCK);
    }
    return run_and_keep_iv(ctx, ops, count);
}

static int do_all(
    EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned char *one_in = (unsigned char *)in; /* is only read */

    if (!data->keyed)
        return refuse("no key was set for this direction");
    if (data->pipes == 0) {
        if (data->aads > 1)
            return refuse("associated data of several records, and one record");
        return (data->aads == 0 && len == 0) || run_records(ctx, data, &out, &one_in, &len, 1);
    }
    return have_states(data, data->pipes) &&
           run_records(ctx, data, data->outs, data->ins, data->lens, data->pipes);
}

static bool lacks_something(const struct data *data)
{
    return data->pipes > 0 &&
           (data->aads != data->pipes || data->outs == NULL || data->ins == NULL || data->lens == NULL);
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct data *data = data_of(ctx);
    int done;

    if (lacks_something(data)) /* it may still come, as with QAT_Engine */
        return refuse("each record of a pipeline needs associated data, input, output and length");
    done = do_all(ctx, data, out, in, len);
    drop_pipeline(data);
    return done;
}

int cipher_cbc_hmac_define(EVP_CIPHER *cipher)
{
    unsigned long flags = EVP_CIPH_CBC_MODE | EVP_CIPH_FLAG_DEFAULT_ASN1 | EVP_CIPH_FLAG_AEAD_CIPHER |
                          EVP_CIPH_FLAG_PIPELINE | EVP_CIPH_CUSTOM_COPY | EVP_CIPH_RAND_KEY |
                          EVP_CIPH_ALWAYS_CALL_INIT;

    return EVP_CIPHER_meth_set_flags(cipher, flags) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct data)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, update) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}
