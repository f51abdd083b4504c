/* SPDX-License-Identifier: Apache-2.0 */
/* OFFLOAD:fastest: what one core computes at full speed stays on it, the rest goes to the card; and
 * OFFLOAD:card. */
#include <openssl/err.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

#define BYTES 16384

struct message {
    const EVP_CIPHER *cipher;
    ENGINE *engine;
    unsigned char out[BYTES + 16];
    int len;
};

static unsigned char text[BYTES], key[64] = {1}, iv[16];

static int encrypt(void *arg)
{
    struct message *message = *(struct message **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, ok;

    ok = ctx != NULL && EVP_EncryptInit_ex(ctx, message->cipher, message->engine, key, iv) &&
         EVP_EncryptUpdate(ctx, message->out, &len, text, sizeof(text)) &&
         EVP_EncryptFinal_ex(ctx, message->out + len, &message->len);
    message->len += ok ? len : 0;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* Encrypts in a job, and compares with libcrypto. Returns whether the job paused. */
static bool pauses(ENGINE *engine, const EVP_CIPHER *cipher)
{
    struct message message = {.cipher = cipher, .engine = engine}, plain = {.cipher = cipher};
    struct message *of_plain = &plain;
    struct job job;
    bool paused;

    job_init(&job, BY_FD, encrypt, &message);
    paused = job_run(&job) == ASYNC_PAUSE;
    CHECK_EQ(paused ? job_finish(&job) : job.result, 1);
    job_free(&job);
    CHECK(encrypt(&of_plain));
    CHECK_EQ(message.len, plain.len);
    CHECK(memcmp(message.out, plain.out, (size_t)plain.len) == 0);
    return paused;
}

static bool rsa_pauses(ENGINE *engine)
{
    struct work *work = work_rsa(engine, 3);
    struct job job;
    bool paused;

    job_init(&job, BY_FD, work_do, work);
    paused = job_run(&job) == ASYNC_PAUSE;
    CHECK_EQ(paused ? job_finish(&job) : job.result, 1);
    job_free(&job);
    work_free(work);
    return paused;
}

/* Outside a job. Returns whether the card did it. */
static bool rsa_goes_to_card(ENGINE *engine)
{
    struct work *work = work_rsa(engine, 4);
    long before = engine_count(engine, "rsa_priv"), here = engine_count(engine, "inline");
    bool gone;

    CHECK_EQ(work_do(&work), 1);
    gone = engine_count(engine, "rsa_priv") == before + 1;
    CHECK_EQ(engine_count(engine, "inline"), here + !gone);
    work_free(work);
    return gone;
}

int main(void)
{
    ENGINE *engine;

    test_begin(60);
    engine = engine_load(NULL);
    CHECK(engine_refuses(engine, "OFFLOAD", "", "OFFLOAD is \"\"; expected card or fastest"));
    CHECK(engine_refuses(engine, "OFFLOAD", "Fastest", "expected card or fastest"));
    for (int round = 0; round < 2; round++) {
        engine_command(engine, "OFFLOAD", "fastest");
        CHECK(!pauses(engine, EVP_aes_256_gcm()));
        CHECK(!pauses(engine, EVP_aes_128_ctr()));
        CHECK(!pauses(engine, EVP_aes_256_xts()));
        CHECK(!pauses(engine, EVP_aes_192_ecb()));
        CHECK(!pauses(engine, EVP_aes_128_ccm()));
        CHECK(pauses(engine, EVP_aes_128_cbc()));
        CHECK(pauses(engine, EVP_aes_128_cfb128()));
        CHECK(pauses(engine, EVP_aes_256_ofb()));
        CHECK(rsa_pauses(engine));
        CHECK(!rsa_goes_to_card(engine));
        engine_command(engine, "OFFLOAD", "card");
        CHECK(pauses(engine, EVP_aes_256_gcm()));
        CHECK(pauses(engine, EVP_aes_128_ctr()));
        CHECK(pauses(engine, EVP_aes_128_cbc()));
        CHECK(rsa_pauses(engine));
        CHECK(rsa_goes_to_card(engine));
    }
    engine_unload(engine);
    return 0;
}
