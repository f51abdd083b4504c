/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM: a message may come in pieces; in between, its state stays with the kernel it began with. The
 * x86 kernel takes all associated data at once, with the first text or with the tag. A message that begins
 * otherwise is libcrypto's.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#include "aes_state.h"
#include "base/stats.h"

#define GCM_IV_MAX 128u /* what OpenSSL's provider takes */
#define TAG_MAX CIPHER_TAG_MAX

/* ---------------------------------------------------------------------------------------------- libcrypto */

static enum ersatz_result end_portable(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_len),
        OSSL_PARAM_construct_end()};

    if (!cipher->encrypt) {
        if (cipher->functions->set_ctx_params(cipher->context, params) != 1)
            return ERSATZ_BAD_INPUT;
        return cipher_checked_piece(cipher, NULL, NULL, 0) ? ERSATZ_OK : ERSATZ_BAD_TAG;
    }
    if (!cipher_piece(cipher, NULL, NULL, 0) ||
        cipher->functions->get_ctx_params(cipher->context, params) != 1)
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

static enum ersatz_result go_on_portable(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    if (op->u.cipher.aad_len > 0 && !cipher_piece(cipher, NULL, op->u.cipher.aad, op->u.cipher.aad_len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.len > 0 && !cipher_piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    return op->u.cipher.tag != NULL ? end_portable(cipher, op->u.cipher.tag, op->u.cipher.tag_len)
                                    : ERSATZ_OK;
}

/* ---------------------------------------------------------------------------------------------------- x86 */

static enum ersatz_result end_x86(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    uint8_t whole[TAG_MAX];

    if (tag_len < 1 || tag_len > TAG_MAX)
        return cipher->encrypt ? ERSATZ_COMPUTE_FAILED : ERSATZ_BAD_INPUT; /* as libcrypto has it */
    if (cipher->encrypt && tag_len == TAG_MAX) {
        x86_gcm_end(cipher->x86, tag);
        return ERSATZ_OK;
    }
    x86_gcm_end(cipher->x86, whole);
    if (cipher->encrypt) {
        memcpy(tag, whole, tag_len);
        OPENSSL_cleanse(whole, sizeof(whole)); /* only a part was asked for */
        return ERSATZ_OK;
    }
    return cipher_compare_tags(whole, tag, tag_len);
}

static enum ersatz_result go_on_x86(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    if (op->u.cipher.aad_len > 0 && op->u.cipher.long_iv == NULL)
        return ERSATZ_COMPUTE_FAILED; /* it comes before the text */
    if (op->u.cipher.len > 0 &&
        !x86_gcm_text(cipher->x86, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len, cipher->encrypt))
        return ERSATZ_COMPUTE_FAILED;
    return op->u.cipher.tag != NULL ? end_x86(cipher, op->u.cipher.tag, op->u.cipher.tag_len) : ERSATZ_OK;
}

/* --------------------------------------------------------------------------------------------------- both */

/* op brings an IV. */
static enum ersatz_result begin(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    const uint8_t *iv = op->u.cipher.long_iv;
    size_t iv_len = op->u.cipher.iv_len;
    bool has_all_aad = op->u.cipher.len > 0 || op->u.cipher.tag != NULL;

    if (iv_len < 1 || iv_len > GCM_IV_MAX)
        return ERSATZ_BAD_INPUT;
    cipher->message =
        has_all_aad && cipher_has_x86(cipher, op->u.cipher.len) ? MESSAGE_X86 : MESSAGE_PORTABLE;
    if (cipher->message == MESSAGE_X86) {
        x86_gcm_begin(cipher->x86, iv, iv_len, op->u.cipher.aad, op->u.cipher.aad_len);
    } else if (!cipher_init(cipher, NULL, iv, iv_len)) {
        cipher->message = MESSAGE_NONE;
        return cipher_init_error(cipher, ERSATZ_COMPUTE_FAILED);
    }
    return ERSATZ_OK;
}

enum ersatz_result cipher_gcm(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result = ERSATZ_OK;

    if (op->u.cipher.long_iv != NULL)
        result = begin(cipher, op);
    if (result != ERSATZ_OK)
        return result;
    if (cipher->message == MESSAGE_LOST)
        return ERSATZ_LOST;
    if (cipher->message == MESSAGE_NONE)
        return ERSATZ_COMPUTE_FAILED; /* libcrypto would make up an IV and tell nobody */
    result = cipher->message == MESSAGE_X86 ? go_on_x86(cipher, op) : go_on_portable(cipher, op);
    *kernel = cipher->message == MESSAGE_X86 ? cipher->kernel : ERSATZ_KERNEL_PORTABLE;
    if (op->u.cipher.tag != NULL && result != ERSATZ_BAD_INPUT)
        cipher->message = MESSAGE_NONE;
    /* What this operation deciphered must not be used; earlier pieces of a message are the caller's
     * already. */
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result;
}

/* --------------------------------------------------------------------- on the calling core, without an op */

/* What ersatz_compute() does, where the x86 kernel has the message or can begin it, without all of its
 * questions, and without claiming a state that nobody else uses meanwhile. */

/* Whether the thread may compute with the state at once; then the operation is counted. */
static inline bool may_compute(const struct ersatz_cipher *cipher, struct ersatz_stats *stats)
{
    return cipher_is_idle(cipher) && stats_count_own(stats, cipher->kernel);
}

static __attribute__((noinline)) enum ersatz_result compute_piece(
    struct ersatz_cipher *cipher, const struct ersatz_gcm_piece *piece, struct ersatz_stats *stats)
{
    struct ersatz_op op = {.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = cipher,
            .long_iv = piece->iv,
            .iv_len = piece->iv_len,
            .aad = piece->aad,
            .aad_len = piece->aad_len,
            .in = piece->in,
            .out = piece->out,
            .len = piece->len}};

    return ersatz_compute(&op, stats);
}

static inline enum ersatz_result compute_x86(
    struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
    return x86_gcm_text(cipher->x86, out, in, len, cipher->encrypt) ? ERSATZ_OK : ERSATZ_COMPUTE_FAILED;
}

enum ersatz_result ersatz_compute_gcm_text(
    struct ersatz_cipher *cipher, const struct ersatz_gcm_piece *piece, struct ersatz_stats *stats)
{
    bool is_x86 = cipher->keyed && cipher_has_x86(cipher, piece->len) && piece->iv_len >= 1 &&
                  piece->iv_len <= GCM_IV_MAX;

    if (!is_x86 || !may_compute(cipher, stats))
        return compute_piece(cipher, piece, stats);
    cipher->message = MESSAGE_X86;
    x86_gcm_begin(cipher->x86, piece->iv, piece->iv_len, piece->aad, piece->aad_len);
    return compute_x86(cipher, piece->out, piece->in, piece->len);
}

enum ersatz_result ersatz_compute_gcm_more(
    struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len, struct ersatz_stats *stats)
{
    if (cipher->message != MESSAGE_X86 || !may_compute(cipher, stats))
        return compute_piece(cipher, &(struct ersatz_gcm_piece){.in = in, .out = out, .len = len}, stats);
    return compute_x86(cipher, out, in, len);
}

static __attribute__((noinline)) enum ersatz_result compute_end(
    struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len, struct ersatz_stats *stats)
{
    struct ersatz_op op = {
        .kind = ERSATZ_CIPHER, .u.cipher = {.cipher = cipher, .tag = tag, .tag_len = tag_len}};

    return ersatz_compute(&op, stats);
}

enum ersatz_result ersatz_compute_gcm_end(
    struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len, struct ersatz_stats *stats)
{
    if (cipher->message != MESSAGE_X86 || tag_len < 1 || tag_len > TAG_MAX || !may_compute(cipher, stats))
        return compute_end(cipher, tag, tag_len, stats);
    cipher->message = MESSAGE_NONE;
    return end_x86(cipher, tag, tag_len);
}
