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

static bool run_message(struct attempt *attempt, bool encrypt, struct source *source)
{
    const struct question *question = attempt->question;
    unsigned char tag[16];
    struct message message = {.mode = EVP_CIPHER_get_mode(question->aes.cipher),
        .encrypt = encrypt,
        .padding = question->aes.padding,
        .key = question->aes.key,
        .iv = question->aes.iv,
        .iv_len = question->aes.iv_len,
        .aad = question->aes.aad,
        .aad_len = question->aes.aad_len,
        .in = attempt->in,
        .in_len = (int)question->in_len,
        .out = attempt->out,
        .tag = tag,
        .tag_len = question->aes.tag_len};
    bool done;

    memcpy(tag, question->aes.tag, sizeof(tag));
    if (attempt->aes.whose.fetched == NULL)
        attempt->aes.whose =
            (struct implementation){.cipher = question->aes.cipher, .engine = attempt->engine};
    done = message_run(&message, source, message_make_once, &attempt->aes);
    attempt->out_len = (size_t)message.out_len;
    /* The tag follows the text: it is part of the answer. */
    if (done && encrypt && has_tag(question)) {
        memcpy(attempt->out + attempt->out_len, tag, (size_t)message.tag_len);
        attempt->out_len += (size_t)message.tag_len;
    }
    return done;
}

void attempt_aes(struct attempt *attempt)
{
    struct source source = source_of_seed(random_next(&attempt->random));
    bool whole = random_percent(&attempt->random, 40);

    attempt->refused = !run_message(attempt, attempt->question->aes.encrypt, whole ? NULL : &source);
}

/* Libcrypto alone encrypts what random says; the question is the one side, the answer the other. */
void question_make_aes(struct question *question, struct random *random, size_t largest)
{
    struct attempt attempt = {.question = question, .aes.ctx = EVP_CIPHER_CTX_new()};
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
    CHECK(attempt.aes.ctx != NULL && text != NULL && question->answer != NULL);
    random_fill(random, text, plain_len);
    attempt.in = question->in = text;
    attempt.out = question->answer;
    CHECK(run_message(&attempt, true, NULL));
    question->answer_len = attempt.out_len;
    EVP_CIPHER_CTX_free(attempt.aes.ctx);

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
