/* SPDX-License-Identifier: Apache-2.0 */
/* RSA: sign, decrypt, verify and encrypt, with every padding that fits. */
#include "check.h"
#include "question.h"
#include "support/card.h"

/* A number below any modulus, as long as it. */
static void fill_number(struct random *random, unsigned char *number, size_t len)
{
    random_fill(random, number, len);
    number[0] = 0;
}

static void make_text(struct question *question, struct random *random, size_t size)
{
    if (question->rsa.padding == RSA_NO_PADDING) {
        question->in_len = size;
        fill_number(random, question->in, size);
    } else {
        question->in_len = 1 + (size_t)random_below(random, 40);
        random_fill(random, question->in, question->in_len);
    }
}

/* One input and one answer: what libcrypto signs, or what it gives back of a signature or a ciphertext. */
static void ask(struct question *question, RSA *rsa)
{
    unsigned char first[QUESTION_RSA_BYTES_MAX];
    int len, padding = question->rsa.padding;
    bool encrypts = question->rsa.work == RSA_DECRYPT;

    len = (encrypts ? RSA_public_encrypt : RSA_private_encrypt)(
        (int)question->in_len, question->in, first, rsa, padding);
    CHECK(len > 0);
    if (question->rsa.work == RSA_SIGN) {
        memcpy(question->answer, first, (size_t)len);
        question->answer_len = (size_t)len;
        return;
    }
    memcpy(question->answer, question->in, question->in_len);
    question->answer_len = question->in_len;
    memcpy(question->in, first, (size_t)len);
    question->in_len = (size_t)len;
}

void question_make_rsa(struct question *question, struct random *random)
{
    static const int signs[] = {RSA_PKCS1_PADDING, RSA_X931_PADDING, RSA_NO_PADDING};
    static const int encrypts[] = {RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_NO_PADDING};
    RSA *rsa;
    size_t size;

    *question =
        (struct question){.is_rsa = true, .rsa = {.work = (enum rsa_work)random_below(random, RSA_WORKS)}};
    question->rsa.key = (unsigned)random_below(random, keys_count());
    rsa = keys_plain(question->rsa.key);
    size = (size_t)RSA_size(rsa);
    question->in = calloc(1, QUESTION_RSA_BYTES_MAX);
    question->answer = calloc(1, QUESTION_RSA_BYTES_MAX);
    CHECK(question->in != NULL && question->answer != NULL);
    switch (question->rsa.work) {
    case RSA_SIGN:
    case RSA_VERIFY:
        question->rsa.padding = signs[random_below(random, 3)];
        break;
    case RSA_DECRYPT:
    case RSA_ENCRYPT:
        question->rsa.padding = encrypts[random_below(random, 3)];
        break;
    default:
        question->rsa.padding = RSA_NO_PADDING;
    }
    /* X9.31 does not take every key, and from EVP_PKEY_sign() only digests. */
    if (question->rsa.padding == RSA_X931_PADDING && (RSA_bits(rsa) % 8 != 0 || card_is_provider()))
        question->rsa.padding = RSA_PKCS1_PADDING;
    make_text(question, random, size);
    if (question->rsa.work == RSA_REFUSED_INPUT)
        memset(question->in, 0xff, size);
    else if (question->rsa.work == RSA_SIGN_PSS)
        question->in_len = 32; /* a SHA-256 digest */
    else if (question->rsa.work != RSA_ENCRYPT)
        ask(question, rsa);
}

/* --------------------------------------------------------------------------------------------- a provider */

typedef int operation(
    EVP_PKEY_CTX *ctx, unsigned char *out, size_t *len, const unsigned char *in, size_t in_len);

static const struct {
    int (*init)(EVP_PKEY_CTX *ctx);
    operation *run;
} operations[RSA_WORKS] = {
    [RSA_SIGN] = {EVP_PKEY_sign_init, EVP_PKEY_sign},
    [RSA_DECRYPT] = {EVP_PKEY_decrypt_init, EVP_PKEY_decrypt},
    [RSA_VERIFY] = {EVP_PKEY_verify_recover_init, EVP_PKEY_verify_recover},
    [RSA_ENCRYPT] = {EVP_PKEY_encrypt_init, EVP_PKEY_encrypt},
    [RSA_SIGN_PSS] = {EVP_PKEY_sign_init, EVP_PKEY_sign},
    [RSA_REFUSED_INPUT] = {EVP_PKEY_decrypt_init, EVP_PKEY_decrypt},
};

static bool set_padding(EVP_PKEY_CTX *ctx, int padding, bool is_pss)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0 &&
           (!is_pss || (EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
                           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0));
}

static bool take_key(struct attempt *attempt, struct card *card, EVP_PKEY *key)
{
    const struct question *question = attempt->question;
    bool is_pss = question->rsa.work == RSA_SIGN_PSS;
    int padding = is_pss ? RSA_PKCS1_PSS_PADDING : question->rsa.padding;
    int (*init)(EVP_PKEY_CTX *) = operations[question->rsa.work].init;
    EVP_PKEY_CTX *ctx = card != NULL ? card_key_context(card, key, init, padding)
                                     : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    if (ctx == NULL || (card == NULL && init(ctx) <= 0) || !set_padding(ctx, padding, is_pss)) {
        EVP_PKEY_CTX_free(ctx);
        return false;
    }
    attempt->pkey = ctx;
    return true;
}

bool attempt_take(struct attempt *attempt, struct card *card, EVP_PKEY *key)
{
    if (attempt->question->is_rsa)
        return key != NULL && take_key(attempt, card, key);
    if (card == NULL)
        return true;
    attempt->aes.whose = implementation_of(card, EVP_CIPHER_get0_name(attempt->question->aes.cipher));
    return attempt->aes.whose.fetched != NULL;
}

void attempt_give_back(struct attempt *attempt)
{
    EVP_PKEY_CTX_free(attempt->pkey);
    attempt->pkey = NULL;
    implementation_free(&attempt->aes.whose);
    attempt->aes.whose.fetched = NULL;
}

static void attempt_pkey(struct attempt *attempt)
{
    const struct question *question = attempt->question;
    size_t len = QUESTION_RSA_BYTES_MAX;

    attempt->refused = operations[question->rsa.work].run(
                           attempt->pkey, attempt->out, &len, attempt->in, question->in_len) <= 0;
    attempt->out_len = attempt->refused ? 0 : len;
}

/* ---------------------------------------------------------------------------------------------- an engine */

static int sign_pss(struct attempt *attempt)
{
    unsigned char block[QUESTION_RSA_BYTES_MAX];
    int size = RSA_size(attempt->rsa);

    if (!RSA_padding_add_PKCS1_PSS(attempt->rsa, block, attempt->in, EVP_sha256(), RSA_PSS_SALTLEN_DIGEST))
        return -1;
    return RSA_private_encrypt(size, block, attempt->out, attempt->rsa, RSA_NO_PADDING);
}

void attempt_rsa(struct attempt *attempt)
{
    const struct question *question = attempt->question;
    int len = (int)question->in_len, padding = question->rsa.padding, done = -1;
    unsigned char *in = attempt->in, *out = attempt->out;

    if (attempt->pkey != NULL) {
        attempt_pkey(attempt);
        return;
    }
    switch (question->rsa.work) {
    case RSA_SIGN:
        done = RSA_private_encrypt(len, in, out, attempt->rsa, padding);
        break;
    case RSA_DECRYPT:
    case RSA_REFUSED_INPUT:
        done = RSA_private_decrypt(len, in, out, attempt->rsa, padding);
        break;
    case RSA_VERIFY:
        done = RSA_public_decrypt(len, in, out, attempt->rsa, padding);
        break;
    case RSA_ENCRYPT:
        done = RSA_public_encrypt(len, in, out, attempt->rsa, padding);
        break;
    default:
        done = sign_pss(attempt);
    }
    attempt->refused = done < 0;
    attempt->out_len = done < 0 ? 0 : (size_t)done;
}

bool answer_rsa_is_right(const struct attempt *attempt)
{
    const struct question *question = attempt->question;
    RSA *rsa = keys_plain(question->rsa.key);
    unsigned char back[QUESTION_RSA_BYTES_MAX];
    int len;

    if (question->rsa.work == RSA_REFUSED_INPUT || attempt->refused)
        return attempt->refused == (question->rsa.work == RSA_REFUSED_INPUT);
    if (question->rsa.work == RSA_SIGN_PSS) {
        len = RSA_public_decrypt((int)attempt->out_len, attempt->out, back, rsa, RSA_NO_PADDING);
        return len > 0 &&
               RSA_verify_PKCS1_PSS(rsa, question->in, EVP_sha256(), back, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    if (question->rsa.work == RSA_ENCRYPT) {
        len = RSA_private_decrypt((int)attempt->out_len, attempt->out, back, rsa, question->rsa.padding);
        return len >= 0 && (size_t)len == question->in_len && memcmp(back, question->in, (size_t)len) == 0;
    }
    return attempt->out_len == question->answer_len &&
           memcmp(attempt->out, question->answer, question->answer_len) == 0;
}
