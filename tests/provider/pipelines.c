/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipelines (OpenSSL 3.5): several texts by each call give what each text gives by itself from libcrypto's
 * cipher, and go to the card together. CIPHER SEED ROUNDS
 */
#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "ersatz/control.h"
#include "lots.h"
#include "provider.h"

#define PIPES 32
#define TEXT_MAX 3000
#define TAG 16

static OSSL_PROVIDER *ours;
static EVP_CIPHER *cipher, *plain;
static bool is_gcm;
static uint64_t state;

static uint32_t lot(uint32_t below)
{
    return lots_below(&state, below);
}

static void fill(unsigned char *bytes, size_t len)
{
    lots_fill(&state, bytes, len);
}

struct text {
    unsigned char iv[16], aad[40], in[TEXT_MAX], sealed[TEXT_MAX + 16], out[TEXT_MAX + 48], tag[TAG];
    size_t len, sealed_len, aad_len, done;
};

static struct text texts[PIPES];
static size_t pipes;
static unsigned char key[32];
static bool pads;

/* What libcrypto's cipher makes of a text alone. */
static void seal(struct text *text)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n, more;

    CHECK_EQ(EVP_EncryptInit_ex2(ctx, plain, key, text->iv, NULL), 1);
    CHECK_EQ(EVP_CIPHER_CTX_set_padding(ctx, pads), 1);
    if (is_gcm)
        CHECK_EQ(EVP_EncryptUpdate(ctx, NULL, &n, text->aad, (int)text->aad_len), 1);
    CHECK_EQ(EVP_EncryptUpdate(ctx, text->sealed, &n, text->in, (int)text->len), 1);
    CHECK_EQ(EVP_EncryptFinal_ex(ctx, text->sealed + n, &more), 1);
    text->sealed_len = (size_t)(n + more);
    if (is_gcm)
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, text->tag), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void make_texts(void)
{
    pipes = 1 + lot(PIPES);
    fill(key, sizeof(key));
    pads = is_gcm || lot(2) == 0;
    for (struct text *text = texts; text < texts + pipes; text++) {
        fill(text->iv, sizeof(text->iv));
        fill(text->aad, sizeof(text->aad));
        fill(text->in, sizeof(text->in));
        text->len = lot(4) == 0 ? lot(20) : lot(TEXT_MAX);
        text->aad_len = is_gcm ? 1 + lot(sizeof(text->aad) - 1) : 0;
        if (!pads)
            text->len -= text->len % 16;
        seal(text);
    }
}

static void tags(EVP_CIPHER_CTX *ctx, unsigned char (*bytes)[TAG], bool set)
{
    unsigned char *pointers[PIPES], **array = pointers;
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_octet_ptr(OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG, (void **)&array, TAG),
        OSSL_PARAM_END};

    for (size_t i = 0; i < pipes; i++)
        pointers[i] = bytes[i];
    CHECK_EQ(set ? EVP_CIPHER_CTX_set_params(ctx, params) : EVP_CIPHER_CTX_get_params(ctx, params), 1);
}

/* A context at the beginning of all texts, and behind their associated data. */
static EVP_CIPHER_CTX *begin(bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const unsigned char *ivs[PIPES], *aads[PIPES];
    size_t lens[PIPES], out_lens[PIPES];

    for (size_t i = 0; i < pipes; i++) {
        ivs[i] = texts[i].iv;
        aads[i] = texts[i].aad;
        lens[i] = texts[i].aad_len;
        texts[i].done = 0;
    }
    CHECK_EQ(
        (encrypt ? EVP_CipherPipelineEncryptInit : EVP_CipherPipelineDecryptInit)(ctx, cipher, key,
            (size_t)EVP_CIPHER_get_key_length(cipher), pipes, ivs, (size_t)EVP_CIPHER_get_iv_length(cipher)),
        1);
    CHECK_EQ(EVP_CIPHER_CTX_set_padding(ctx, pads), 1);
    if (is_gcm)
        CHECK_EQ(EVP_CipherPipelineUpdate(ctx, NULL, out_lens, NULL, aads, lens), 1);
    return ctx;
}

/* A piece of each text, or all that is left. used: how much of each went before. False: that was all. */
static bool update(EVP_CIPHER_CTX *ctx, bool encrypt, bool by_one_piece, size_t used[PIPES])
{
    const unsigned char *ins[PIPES];
    unsigned char *outs[PIPES];
    size_t lens[PIPES], sizes[PIPES], out_lens[PIPES];
    bool more = false;

    for (size_t i = 0; i < pipes; i++) {
        size_t left = (encrypt ? texts[i].len : texts[i].sealed_len) - used[i];

        ins[i] = (encrypt ? texts[i].in : texts[i].sealed) + used[i];
        lens[i] = by_one_piece || lot(3) == 0 ? left : lot((uint32_t)left + 1);
        outs[i] = texts[i].out + texts[i].done;
        sizes[i] = sizeof(texts[i].out) - texts[i].done;
        used[i] += lens[i];
        more = more || lens[i] < left;
    }
    CHECK_EQ(EVP_CipherPipelineUpdate(ctx, outs, out_lens, sizes, ins, lens), 1);
    for (size_t i = 0; i < pipes; i++)
        texts[i].done += out_lens[i];
    return more;
}

static EVP_CIPHER_CTX *replace_by_copy(EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

    CHECK_EQ(EVP_CIPHER_CTX_copy(copy, ctx), 1);
    EVP_CIPHER_CTX_free(ctx);
    return copy;
}

/* The end of all texts, with these tags. */
static int end(EVP_CIPHER_CTX *ctx, bool encrypt, const unsigned char (*wrong_tags)[TAG])
{
    unsigned char *outs[PIPES], got[PIPES][TAG];
    size_t sizes[PIPES], out_lens[PIPES];
    int done;

    for (size_t i = 0; i < pipes; i++) {
        outs[i] = texts[i].out + texts[i].done;
        sizes[i] = sizeof(texts[i].out) - texts[i].done;
        memcpy(got[i], wrong_tags != NULL ? wrong_tags[i] : texts[i].tag, TAG);
    }
    if (is_gcm && !encrypt)
        tags(ctx, got, true);
    done = EVP_CipherPipelineFinal(ctx, outs, out_lens, sizes);
    for (size_t i = 0; i < pipes && done; i++)
        texts[i].done += out_lens[i];
    if (is_gcm && encrypt) {
        memset(got, 0, sizeof(got));
        tags(ctx, got, false);
        for (size_t i = 0; i < pipes; i++)
            CHECK_EQ(memcmp(got[i], texts[i].tag, TAG), 0);
    }
    return done;
}

/* Encrypt or decrypt all texts, in pieces of any lengths, to text->out. Returns what the last call does. */
static int run(bool encrypt, bool by_one_piece, const unsigned char (*wrong_tags)[TAG])
{
    EVP_CIPHER_CTX *ctx = begin(encrypt);
    size_t used[PIPES] = {0};
    bool more;
    int done;

    do {
        more = update(ctx, encrypt, by_one_piece, used);
        if (lot(4) == 0)
            ctx = replace_by_copy(ctx);
    } while (more);
    done = end(ctx, encrypt, wrong_tags);
    EVP_CIPHER_CTX_free(ctx);
    return done;
}

static void one_round(void)
{
    make_texts();
    CHECK_EQ(run(true, false, NULL), 1);
    for (struct text *text = texts; text < texts + pipes; text++) {
        CHECK_EQ(text->done, text->sealed_len);
        CHECK_EQ(memcmp(text->out, text->sealed, text->done), 0);
    }
    CHECK_EQ(run(false, false, NULL), 1);
    for (struct text *text = texts; text < texts + pipes; text++) {
        CHECK_EQ(text->done, text->len);
        CHECK_EQ(memcmp(text->out, text->in, text->done), 0);
    }
    if (is_gcm) { /* of one text alone */
        unsigned char wrong[PIPES][TAG];

        for (size_t i = 0; i < pipes; i++)
            memcpy(wrong[i], texts[i].tag, TAG);
        wrong[lot((uint32_t)pipes)][lot(TAG)] ^= 1;
        CHECK_EQ(run(false, false, (const unsigned char(*)[TAG])wrong), 0);
        ERR_clear_error();
    }
}

/* ----------------------------------------------------------------------------------------- on the card */

static int in_job(void *arg)
{
    (void)arg;
    return run(true, true, NULL);
}

static void wait_for(ASYNC_WAIT_CTX *waiting)
{
    OSSL_ASYNC_FD fd;
    size_t count = 1;

    CHECK_EQ(ASYNC_WAIT_CTX_get_all_fds(waiting, &fd, &count), 1);
    CHECK_EQ(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1), 1);
}

/* All texts are in flight at the job's first pause, and it has no other. */
static void together(void)
{
    ASYNC_WAIT_CTX *waiting = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    int64_t in_flight = 0;
    int result = 0;

    do
        make_texts();
    while (pipes < 8);
    for (struct text *text = texts; text < texts + pipes; text++) {
        text->len = 2048; /* with no more than the threshold by itself */
        seal(text);
    }
    CHECK_EQ(ersatz_control(ours, "HOLD:compute", NULL, NULL), 1);
    CHECK_EQ(ASYNC_start_job(&job, waiting, &result, in_job, NULL, 0), ASYNC_PAUSE);
    CHECK_EQ(ersatz_control(ours, "GET_NUM_REQUESTS_IN_FLIGHT:3", &in_flight, NULL), 1);
    CHECK_EQ(in_flight, (int64_t)pipes);
    CHECK_EQ(ersatz_control(ours, "HOLD:none", NULL, NULL), 1);
    wait_for(waiting);
    CHECK_EQ(ASYNC_start_job(&job, waiting, &result, in_job, NULL, 0), ASYNC_FINISH);
    CHECK_EQ(result, 1);
    for (struct text *text = texts; text < texts + pipes; text++)
        CHECK_EQ(memcmp(text->out, text->sealed, text->sealed_len), 0);
    ASYNC_WAIT_CTX_free(waiting);
}

static void refused(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const unsigned char *ins[1] = {texts[0].in};
    unsigned char *outs[1] = {texts[0].out};
    size_t len = 15, size = 14;

    CHECK_EQ(EVP_CipherPipelineEncryptInit(ctx, cipher, key, 7, 1, ins, 12), 0);
    CHECK_EQ(EVP_CipherPipelineEncryptInit(ctx, cipher, key, 0, 0, NULL, 0), 0);
    CHECK_EQ(EVP_CipherPipelineEncryptInit(ctx, cipher, NULL, 0, 1, NULL, 0), 1);
    CHECK_EQ(EVP_CipherPipelineUpdate(ctx, outs, &len, &size, ins, &len), 0); /* no key */
    CHECK(ERR_peek_last_error() != 0);
    ERR_clear_error();
    EVP_CIPHER_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    test_begin(60);
    CHECK_EQ(argc, 4);
    ours = provider_load();
    cipher = EVP_CIPHER_fetch(NULL, argv[1], "provider=ersatz");
    plain = EVP_CIPHER_fetch(NULL, argv[1], "provider=default");
    CHECK(cipher != NULL && plain != NULL);
    CHECK_EQ(EVP_CIPHER_can_pipeline(cipher, 1), 1);
    CHECK_EQ(EVP_CIPHER_can_pipeline(cipher, 0), 1);
    is_gcm = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE;
    state = strtoul(argv[2], NULL, 10);
    refused();
    together();
    for (unsigned long rounds = strtoul(argv[3], NULL, 10); rounds > 0; rounds--)
        one_round();
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_free(plain);
    provider_unload();
    return 0;
}
