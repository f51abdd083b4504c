/* SPDX-License-Identifier: Apache-2.0 */
/* RSA: sign, decrypt, verify and encrypt, with every padding that fits. */
#include "check.h"
#include "question.h"

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
    if (question->rsa.padding == RSA_X931_PADDING && RSA_bits(rsa) % 8 != 0)
        question->rsa.padding = RSA_PKCS1_PADDING; /* which it does not take */
    make_text(question, random, size);
    if (question->rsa.work == RSA_REFUSED_INPUT)
        memset(question->in, 0xff, size);
    else if (question->rsa.work == RSA_SIGN_PSS)
        question->in_len = 32; /* a SHA-256 digest */
    else if (question->rsa.work != RSA_ENCRYPT)
        ask(question, rsa);
}

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
