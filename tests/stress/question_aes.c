/* SPDX-License-Identifier: Apache-2.0 */
/* AES through EVP: any mode, any size, in pieces, into another buffer or in place, copied in mid-stream. */
#include "check.h"
#include "question.h"

static const EVP_CIPHER *pick_cipher(enum mode mode, unsigned size)
{
    static const EVP_CIPHER *(*const list[MODES][3])(void) = {
        [CBC] = {EVP_aes_128_cbc, EVP_aes_192_cbc, EVP_aes_256_cbc},
        [CTR] = {EVP_aes_128_ctr, EVP_aes_192_ctr, EVP_aes_256_ctr},
        [GCM] = {EVP_aes_128_gcm, EVP_aes_192_gcm, EVP_aes_256_gcm},
        [XTS] = {EVP_aes_128_xts, EVP_aes_256_xts, EVP_aes_256_xts},
        [ECB] = {EVP_aes_128_ecb, EVP_aes_192_ecb, EVP_aes_256_ecb},
        [CFB] = {EVP_aes_128_cfb128, EVP_aes_192_cfb128, EVP_aes_256_cfb128},
        [OFB] = {EVP_aes_128_ofb, EVP_aes_192_ofb, EVP_aes_256_ofb},
        [CCM] = {EVP_aes_128_ccm, EVP_aes_192_ccm, EVP_aes_256_ccm},
    };

    return list[mode][size]();
}

static bool is_block_mode(const struct question *question)
{
    return question->aes.mode == CBC || question->aes.mode == ECB;
}

static bool has_tag(const struct question *question)
{
    return question->aes.mode == GCM || question->aes.mode == CCM;
}

static bool in_one_piece(const struct question *question)
{
    return question->aes.mode == XTS || question->aes.mode == CCM;
}

/* The lengths that the modes take. */
static void draw_lengths(struct question *question, struct random *random, size_t largest)
{
    question->in_len = random_size(random, largest);
    question->aes.iv_len = 16;
    if (is_block_mode(question)) {
        question->aes.padding = random_percent(random, 50);
        if (!question->aes.padding)
            question->in_len = (question->in_len + 15) / 16 * 16;
    }
    if (question->aes.mode == XTS && question->in_len < 16)
        question->in_len = 16;
    if (has_tag(question)) {
        question->aes.iv_len = question->aes.mode == GCM ? 12 : 7 + (int)random_below(random, 7);
        if (question->aes.mode == CCM && question->aes.iv_len == 13 && question->in_len > 65535)
            question->in_len = 65535;
        question->aes.aad_len = (int)random_below(random, sizeof(question->aes.aad) + 1);
        question->aes.tag_len = question->aes.mode == GCM ? 16 : 4 + 2 * (int)random_below(random, 7);
    }
}

/* Every call that comes before the text. */
static bool set_up(struct attempt *attempt, bool encrypt)
{
    const struct question *question = attempt->question;
    EVP_CIPHER_CTX *ctx = attempt->ctx;
    int len;

    if (!EVP_CipherInit_ex(ctx, question->aes.cipher, attempt->engine, NULL, NULL, encrypt))
        return false;
    if (has_tag(question)) {
        if (!EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, question->aes.iv_len, NULL))
            return false;
        if ((!encrypt || question->aes.mode == CCM) &&
            !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, question->aes.tag_len,
                encrypt ? NULL : (void *)question->aes.tag))
            return false;
    }
    if (!EVP_CipherInit_ex(ctx, NULL, NULL, question->aes.key, question->aes.iv, encrypt))
        return false;
    if (is_block_mode(question))
        EVP_CIPHER_CTX_set_padding(ctx, question->aes.padding);
    if (question->aes.mode == CCM && question->aes.aad_len > 0 &&
        !EVP_CipherUpdate(ctx, NULL, &len, NULL, (int)question->in_len))
        return false;
    return question->aes.aad_len == 0 ||
           EVP_CipherUpdate(ctx, NULL, &len, question->aes.aad, question->aes.aad_len);
}

/* Go on with a copy of the state, as far as it has come. */
static bool move_to_copy(struct attempt *attempt)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

    if (copy == NULL || !EVP_CIPHER_CTX_copy(copy, attempt->ctx)) {
        EVP_CIPHER_CTX_free(copy);
        return false;
    }
    EVP_CIPHER_CTX_free(attempt->ctx);
    attempt->ctx = copy;
    return true;
}

static bool run_pieces(struct attempt *attempt)
{
    const struct question *question = attempt->question;
    bool whole = in_one_piece(question) || random_percent(&attempt->random, 40);
    size_t at = 0;

    while (at < question->in_len) {
        size_t piece = whole ? question->in_len : random_size(&attempt->random, question->in_len - at);
        int len;

        /* Not one of a few bytes each time, with 64 KiB to go. */
        if (piece < (question->in_len - at) / 8)
            piece = (question->in_len - at) / 8;
        if (!EVP_CipherUpdate(
                attempt->ctx, attempt->out + attempt->out_len, &len, attempt->in + at, (int)piece))
            return false;
        at += piece;
        attempt->out_len += (size_t)len;
        if (!whole && random_percent(&attempt->random, 10) && !move_to_copy(attempt))
            return false;
    }
    return true;
}

static bool run_encryption(struct attempt *attempt, bool encrypt)
{
    int len = 0;

    attempt->out_len = 0;
    if (!set_up(attempt, encrypt) || !run_pieces(attempt))
        return false;
    if (attempt->question->aes.mode != CCM &&
        !EVP_CipherFinal_ex(attempt->ctx, attempt->out + attempt->out_len, &len))
        return false;
    attempt->out_len += (size_t)len;
    /* The tag follows the text: it is part of the answer. */
    if (has_tag(attempt->question) && encrypt) {
        int tag_len = attempt->question->aes.tag_len;

        if (!EVP_CIPHER_CTX_ctrl(
                attempt->ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, attempt->out + attempt->out_len))
            return false;
        attempt->out_len += (size_t)tag_len;
    }
    return true;
}

void attempt_aes(struct attempt *attempt)
{
    attempt->refused = !run_encryption(attempt, attempt->question->aes.encrypt);
}

/* Libcrypto alone encrypts what random says; the question is the one side, the answer the other. */
void question_make_aes(struct question *question, struct random *random, size_t largest)
{
    struct attempt attempt = {.question = question, .ctx = EVP_CIPHER_CTX_new()};
    size_t plain_len;
    unsigned char *text;

    *question = (struct question){.aes.mode = (enum mode)random_below(random, MODES)};
    question->aes.cipher = pick_cipher(question->aes.mode, (unsigned)random_below(random, 3));
    random_fill(random, question->aes.key, sizeof(question->aes.key));
    random_fill(random, question->aes.iv, sizeof(question->aes.iv));
    random_fill(random, question->aes.aad, sizeof(question->aes.aad));
    draw_lengths(question, random, largest);
    plain_len = question->in_len;
    text = malloc(plain_len);
    question->answer = malloc(plain_len + 32);
    CHECK(attempt.ctx != NULL && text != NULL && question->answer != NULL);
    random_fill(random, text, plain_len);
    attempt.random = *random;
    attempt.in = question->in = text;
    attempt.out = question->answer;
    CHECK(run_encryption(&attempt, true));
    question->answer_len = attempt.out_len;
    EVP_CIPHER_CTX_free(attempt.ctx);

    question->aes.encrypt = random_percent(random, 50);
    if (question->aes.encrypt)
        return;
    question->in = question->answer;
    question->answer = text;
    question->in_len = question->answer_len;
    question->answer_len = plain_len;
    if (has_tag(question)) {
        question->in_len -= (size_t)question->aes.tag_len;
        memcpy(question->aes.tag, question->in + question->in_len, (size_t)question->aes.tag_len);
        question->aes.spoiled = random_percent(random, 10);
        question->aes.tag[0] ^= question->aes.spoiled;
    }
}

bool answer_is_right(const struct attempt *attempt)
{
    const struct question *question = attempt->question;

    if (question->is_rsa)
        return answer_rsa_is_right(attempt);
    if (question->aes.spoiled)
        return attempt->refused;
    return !attempt->refused && attempt->out_len == question->answer_len &&
           memcmp(attempt->out, question->answer, question->answer_len) == 0;
}

void question_clear(struct question *question)
{
    free(question->in);
    free(question->answer);
}
