/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MEMORY: with copies, nothing that the application does to a text in flight reaches the card, and nothing
 * that the card does reaches the application before the job is resumed; direct, both do. Either way a card
 * that fails leaves the text as it was, so that the calling core can compute it; and RSA works on copies.
 */
#include <openssl/err.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define BYTES 8192
#define TAG 16

static const unsigned char key[64] = {1};

struct message {
    struct card *card; /* NULL: libcrypto */
    const char *cipher;
    unsigned char *in, *out;
    unsigned char iv[16], aad[16], tag[TAG];
    bool has_tag; /* GCM */
};

static struct message message_of(struct card *card, const char *cipher, unsigned char *in, unsigned char *out)
{
    return (struct message){.card = card,
        .cipher = cipher,
        .in = in,
        .out = out,
        .iv = {2},
        .aad = {3},
        .has_tag = strstr(cipher, "GCM") != NULL};
}

static int encrypt(void *arg)
{
    struct message *message = *(struct message **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, last = 0;
    int ok = ctx != NULL && card_cipher_init(message->card, ctx, message->cipher, key, message->iv, 1) &&
             EVP_CIPHER_CTX_set_padding(ctx, 0) &&
             (!message->has_tag || EVP_EncryptUpdate(ctx, NULL, &last, message->aad, sizeof(message->aad))) &&
             EVP_EncryptUpdate(ctx, message->out, &len, message->in, BYTES) && len == BYTES &&
             EVP_EncryptFinal_ex(ctx, message->out + len, &last) && last == 0 &&
             (!message->has_tag || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, message->tag));

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static void fill(unsigned char text[BYTES], unsigned char seed)
{
    for (int i = 0; i < BYTES; i++)
        text[i] = (unsigned char)(i * 7 + i / 256 + seed);
}

/* What libcrypto makes of a text. */
static struct message expect(const char *cipher, unsigned char *in, unsigned char *out)
{
    struct message plain = message_of(NULL, cipher, in, out);
    struct message *arg = &plain;

    CHECK_EQ(encrypt(&arg), 1);
    return plain;
}

static void start(struct job *job, enum told_by told_by, struct message *message)
{
    job_init(job, told_by, encrypt, message);
    CHECK_EQ(job_run(job), ASYNC_PAUSE);
}

/* The application changes the input while the card has the operation. */
static void check_input(struct card *card, const char *cipher, enum told_by told_by, bool direct)
{
    static unsigned char in[BYTES], out[BYTES], expected[BYTES];
    struct message message = message_of(card, cipher, in, out), plain;
    struct job job;

    fill(in, direct ? 9 : 1);
    plain = expect(cipher, in, expected);
    fill(in, 1);
    card_command(card, "HOLD", "compute");
    start(&job, told_by, &message);
    fill(in, 9);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    CHECK(memcmp(out, expected, BYTES) == 0);
    CHECK(!message.has_tag || memcmp(message.tag, plain.tag, TAG) == 0);
}

/* The card has computed, and the job is not resumed yet. */
static void check_output(struct card *card, const char *cipher, bool direct, bool in_place)
{
    static unsigned char in[BYTES], out[BYTES], expected[BYTES], before[BYTES];
    struct message message = message_of(card, cipher, in_place ? out : in, out), plain;
    long completed = card_count(card, "completed");
    struct job job;

    fill(in, 1);
    fill(out, in_place ? 1 : 100);
    memcpy(before, out, BYTES);
    plain = expect(cipher, in, expected);
    card_command(card, "HOLD", "signal");
    start(&job, BY_FD, &message);
    card_wait_for(card, "completed", completed + 1);
    CHECK(memcmp(out, direct ? expected : before, BYTES) == 0);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    CHECK(memcmp(out, expected, BYTES) == 0);
    CHECK(!message.has_tag || memcmp(message.tag, plain.tag, TAG) == 0);
}

/* RSA's numbers are copied in either case. */
static void check_rsa(struct card *card)
{
    struct work *work = work_rsa(card, 1);
    struct job job;

    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    work->input[0] ^= 1;
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
}

static void check_all(struct card *card, bool direct)
{
    static const char *const ciphers[] = {
        "AES-128-CBC", "AES-256-GCM", "AES-128-CTR", "AES-256-XTS", "AES-128-CFB", "AES-192-OFB"};

    for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        check_input(card, ciphers[i], BY_FD, direct);
        check_input(card, ciphers[i], BY_CALLBACK, direct);
        check_output(card, ciphers[i], direct, false);
        check_output(card, ciphers[i], direct, true);
    }
    check_rsa(card);
}

/* Every second request fails, and the calling core computes it: in place, from what the card has left. */
static void check_fallback(void)
{
    static unsigned char text[BYTES], expected[BYTES];
    struct card *card = card_load("MEMORY:direct;ENABLE_SW_FALLBACK;FAULTS:fail=50%");
    struct message message = message_of(card, "AES-128-CBC", text, text);

    fill(text, 1);
    expect("AES-128-CBC", text, expected);
    for (int i = 0; i < 40; i++) {
        struct job job;

        fill(text, 1);
        start(&job, BY_FD, &message);
        CHECK_EQ(job_finish(&job), 1);
        job_free(&job);
        CHECK(memcmp(text, expected, BYTES) == 0);
    }
    CHECK(card_count(card, "inline") > 0 && card_count(card, "inline") < 40);
    card_unload(card);
}

/*
 * A fork, when the card has computed and the job is not resumed. The child has no card to ask. It computes
 * from an input that is whole; one that the parent's card has overwritten is lost, and never computed twice.
 */
static void check_fork(bool in_place)
{
    static unsigned char in[BYTES], out[BYTES], expected[BYTES];
    struct card *card = card_load("MEMORY:direct;ENABLE_SW_FALLBACK");
    struct message message = message_of(card, "AES-128-CBC", in_place ? out : in, out);
    struct job job;
    pid_t pid;

    fill(message.in, 1);
    expect("AES-128-CBC", message.in, expected);
    fill(message.in, 1);
    card_command(card, "HOLD", "signal");
    start(&job, BY_FD, &message);
    card_wait_for(card, "completed", 1);
    pid = fork();
    if (pid == 0) {
        test_begin(60);
        CHECK_EQ(job_run(&job), ASYNC_FINISH);
        CHECK_EQ(job.result, in_place ? 0 : 1);
        CHECK(in_place ? ERR_peek_error() != 0 : memcmp(out, expected, BYTES) == 0);
        _exit(7);
    }
    child_exits_with(pid, 7);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    CHECK(memcmp(out, expected, BYTES) == 0);
    card_unload(card);
}

int main(void)
{
    struct card *card;

    test_begin(100);
    card = card_load("WORKERS:1");
    check_all(card, false);
    card_command(card, "MEMORY", "direct");
    check_all(card, true);
    card_command(card, "MEMORY", "copies");
    check_all(card, false);
    CHECK(card_refuses(card, "MEMORY", "shared", "copies or direct"));
    card_unload(card);
    check_fallback();
    check_fork(false);
    check_fork(true);
    return 0;
}
