/* SPDX-License-Identifier: Apache-2.0 */
/* OFFLOAD:fastest: what one core computes at full speed stays on it, the rest goes to the card, as long as it
 * comes in company; and OFFLOAD:card. */
#include <openssl/err.h>
#include <unistd.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

#define BYTES 16384

struct message {
    const char *cipher;
    struct card *card;
    unsigned char out[BYTES + 16];
    int len;
};

static unsigned char text[BYTES], key[64] = {1}, iv[16];

static int encrypt(void *arg)
{
    struct message *message = *(struct message **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, ok;

    ok = ctx != NULL && card_cipher_init(message->card, ctx, message->cipher, key, iv, 1) &&
         EVP_EncryptUpdate(ctx, message->out, &len, text, sizeof(text)) &&
         EVP_EncryptFinal_ex(ctx, message->out + len, &message->len);
    message->len += ok ? len : 0;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* Does it in a job, which has to succeed. Returns whether the job paused. */
static bool job_pauses(int (*work)(void *), void *arg)
{
    struct job job;
    bool paused;

    job_init(&job, BY_FD, work, arg);
    paused = job_run(&job) == ASYNC_PAUSE;
    CHECK_EQ(paused ? job_finish(&job) : job.result, 1);
    job_free(&job);
    return paused;
}

/* Encrypts in a job, and compares with libcrypto. Returns whether the job paused. */
static bool pauses(struct card *card, const char *cipher)
{
    struct message message = {.cipher = cipher, .card = card}, plain = {.cipher = cipher};
    struct message *of_plain = &plain;
    bool paused = job_pauses(encrypt, &message);

    CHECK(encrypt(&of_plain));
    CHECK_EQ(message.len, plain.len);
    CHECK(memcmp(message.out, plain.out, (size_t)plain.len) == 0);
    return paused;
}

static bool rsa_pauses(struct card *card)
{
    struct work *work = work_rsa(card, 3);
    bool paused = job_pauses(work_do, work);

    work_free(work);
    return paused;
}

/* A thread that sleeps between its private operations does them itself. */
static void stays_here(struct card *card)
{
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        CHECK(!rsa_pauses(card));
    }
}

/* One that does not hands one over. */
static void hand_over(struct job *job, struct work *work)
{
    unsigned tries = 0;

    for (;;) { /* anything may have let it sleep a moment, but not each time */
        CHECK(tries++ < 1000);
        job_init(job, BY_FD, work_do, work);
        if (job_run(job) == ASYNC_PAUSE)
            return;
        CHECK_EQ(job->result, 1);
        job_free(job);
    }
}

/* It does so to see whether others come along. */
static void private_rsa_goes_where_company_is(struct card *card, int last)
{
    struct work *works[2] = {work_rsa(card, 5), work_rsa(card, 6)};
    struct job jobs[2];

    stays_here(card);
    card_command(card, "HOLD", "compute");
    hand_over(&jobs[0], works[0]);
    usleep(1000);
    job_init(&jobs[1], BY_FD, work_do, works[1]);
    CHECK_EQ(job_run(&jobs[1]), ASYNC_PAUSE); /* at once: the first one is on the card */
    card_command(card, "HOLD", "none");
    for (int i = 0; i < 2; i++) { /* the company of the one that ends last came before it, or after it */
        int which = i ^ last ^ 1;

        CHECK_EQ(job_finish(&jobs[which]), 1);
        job_free(&jobs[which]);
        work_free(works[which]);
    }
    usleep(1000);
    CHECK(rsa_pauses(card)); /* they may still come */
    CHECK(!rsa_pauses(card));
}

static void stays_here_in_child(struct work *work)
{
    stays_here(work->card);
    _exit(WORK_CHILD_DONE); /* the paused job still has memory of which only its registers know */
}

/* An operation of which the card is done is no company, even if its job is never resumed; nor is one of the
 * parent's in a child. */
static void left_private_rsa_is_no_company(struct card *card)
{
    struct work *work = work_rsa(card, 7);
    struct job job;

    card_command(card, "HOLD", "compute");
    hand_over(&job, work);
    work_in_child(stays_here_in_child, work);
    card_command(card, "HOLD", "none");
    card_wait_in_flight(card, 0);
    stays_here(card);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
}

static void left_cipher_is_no_company(struct card *card)
{
    struct message message = {.cipher = "AES-192-OFB", .card = card};
    struct job job;

    job_init(&job, BY_FD, encrypt, &message);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* there were few of them before */
    card_wait_in_flight(card, 0);
    for (int i = 0; i < 8; i++)
        pauses(card, "AES-192-OFB");
    CHECK(!pauses(card, "AES-192-OFB"));
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
}

struct encryption {
    struct card *card;
    EVP_PKEY *key;
    unsigned char out[256];
};

static int encrypt_with_key(void *arg)
{
    struct encryption *encryption = *(struct encryption **)arg;

    return key_encrypt(encryption->card, encryption->key, RSA_PKCS1_PADDING, text, 32, encryption->out) ==
           sizeof(encryption->out);
}

static bool public_rsa_pauses(struct card *card)
{
    struct encryption encryption = {.card = card, .key = test_key(card)};
    RSA *plain = test_rsa();
    unsigned char back[256];
    bool paused = job_pauses(encrypt_with_key, &encryption);

    CHECK_EQ(RSA_private_decrypt(sizeof(encryption.out), encryption.out, back, plain, RSA_PKCS1_PADDING), 32);
    CHECK(memcmp(back, text, 32) == 0);
    RSA_free(plain);
    EVP_PKEY_free(encryption.key);
    return paused;
}

/* Outside a job. Returns whether the card did it. */
static bool rsa_goes_to_card(struct card *card)
{
    struct work *work = work_rsa(card, 4);
    long before = card_count(card, "rsa_priv"), here = card_count(card, "inline");
    bool gone;

    CHECK_EQ(work_do(&work), 1);
    gone = card_count(card, "rsa_priv") == before + 1;
    CHECK_EQ(card_count(card, "inline"), here + !gone);
    work_free(work);
    return gone;
}

int main(void)
{
    struct card *card;

    test_begin(60);
    card = card_load(NULL);
    CHECK(card_refuses(card, "OFFLOAD", "", "OFFLOAD is \"\"; expected card or fastest"));
    CHECK(card_refuses(card, "OFFLOAD", "Fastest", "expected card or fastest"));
    for (int round = 0; round < 2; round++) {
        card_command(card, "OFFLOAD", "fastest");
        CHECK(!pauses(card, "AES-256-GCM"));
        CHECK(!pauses(card, "AES-128-CTR"));
        CHECK(!pauses(card, "AES-256-XTS"));
        CHECK(!pauses(card, "AES-192-ECB"));
        CHECK(!pauses(card, "AES-128-CCM"));
        CHECK(pauses(card, "AES-128-CBC"));
        CHECK(pauses(card, "AES-128-CFB"));
        CHECK(pauses(card, "AES-256-OFB"));
        private_rsa_goes_where_company_is(card, round);
        if (round == 0)
            left_private_rsa_is_no_company(card);
        CHECK(!rsa_goes_to_card(card));
        card_command(card, "OFFLOAD", "card");
        CHECK(pauses(card, "AES-256-GCM"));
        CHECK(pauses(card, "AES-128-CTR"));
        CHECK(pauses(card, "AES-128-CBC"));
        CHECK(rsa_pauses(card));
        CHECK(rsa_goes_to_card(card));
    }
    /* A job that is alone each time: after some operations the calling core keeps them. */
    card_command(card, "OFFLOAD", "fastest");
    for (int i = 0; i < 8; i++)
        pauses(card, "AES-128-CBC");
    CHECK(!pauses(card, "AES-128-CBC"));
    CHECK(!pauses(card, "AES-128-CBC"));
    left_cipher_is_no_company(card);
    for (int i = 0; i < 8; i++)
        public_rsa_pauses(card);
    CHECK(!public_rsa_pauses(card));
    CHECK(!public_rsa_pauses(card));
    card_command(card, "OFFLOAD", "card");
    CHECK(public_rsa_pauses(card));
    card_unload(card);
    return 0;
}
