/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipelined TLS records through the engine: what it seals, plain libcrypto opens, and the other way round; a
 * job pauses once for all records and is told once, when the last is done; and one forged record spoils them
 * all.
 */
#include <openssl/err.h>

#include "tls_records.h"

#define PIPES_MAX 32
#define ROUNDS 10

struct pipeline {
    const struct record_keys *keys;
    struct card *impl;
    unsigned pipes;
    struct record records[PIPES_MAX];
    unsigned char opened[PIPES_MAX][RECORD_MAX];
    int result;
    unsigned long error;
};

static bool run(EVP_CIPHER_CTX *ctx, struct pipeline *pipeline, bool seal)
{
    unsigned char *ins[PIPES_MAX], *outs[PIPES_MAX];
    size_t lens[PIPES_MAX];

    for (unsigned i = 0; i < pipeline->pipes; i++) {
        struct record *record = &pipeline->records[i];

        record_announce(ctx, record);
        ins[i] = record->sealed;
        outs[i] = seal ? record->sealed : pipeline->opened[i];
        lens[i] = record->sealed_len;
    }
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, (int)pipeline->pipes, outs), 1);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_BUFS, (int)pipeline->pipes, ins), 1);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_LENS, (int)pipeline->pipes, lens), 1);
    return EVP_Cipher(ctx, outs[0], ins[0], (unsigned)lens[0]) > 0;
}

/* Twice on one context, so that states and IV go on. */
static int seal(void *arg)
{
    struct pipeline *pipeline = arg;
    EVP_CIPHER_CTX *ctx = record_context(pipeline->keys, pipeline->impl, true);

    CHECK(run(ctx, pipeline, true));
    CHECK(run(ctx, pipeline, true));
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static int open_all(void *arg)
{
    struct pipeline *pipeline = arg;
    EVP_CIPHER_CTX *ctx = record_context(pipeline->keys, pipeline->impl, false);

    ERR_clear_error();
    pipeline->result = run(ctx, pipeline, false);
    pipeline->error = ERR_peek_error();
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void open_with_libcrypto(struct pipeline *pipeline)
{
    EVP_CIPHER_CTX *ctx = record_context(pipeline->keys, NULL, false);

    for (unsigned i = 0; i < pipeline->pipes; i++) {
        record_announce(ctx, &pipeline->records[i]);
        CHECK(record_open(ctx, &pipeline->records[i], pipeline->opened[i], i % 2 == 0));
        CHECK(record_is_open(&pipeline->records[i], pipeline->opened[i]));
    }
    EVP_CIPHER_CTX_free(ctx);
}

static void seal_with_libcrypto(struct pipeline *pipeline)
{
    EVP_CIPHER_CTX *ctx = record_context(pipeline->keys, NULL, true);

    for (unsigned i = 0; i < pipeline->pipes; i++) {
        record_announce(ctx, &pipeline->records[i]);
        CHECK(record_seal(ctx, &pipeline->records[i]));
    }
    EVP_CIPHER_CTX_free(ctx);
}

/* Keys for the cipher, and so many records. */
static void make_up(struct pipeline *pipeline, struct record_keys *keys, unsigned pipes, struct card *card,
    const EVP_CIPHER *cipher, struct numbers *numbers)
{
    record_keys_make_up(keys, cipher, numbers);
    pipeline->keys = keys;
    pipeline->impl = card;
    pipeline->pipes = pipes;
    for (unsigned i = 0; i < pipes; i++)
        record_make_up(&pipeline->records[i], 0x0303, numbers);
}

/* How often a job in this way is told of what went through here. */
static void check_told(struct card *card, enum way way, long requests, long wakeups, long callbacks,
    unsigned pipes, unsigned calls, const char *name)
{
    bool on_card = way != WAY_PLAIN;

    CHECK_EQ(card_count(card, name) - requests, on_card ? pipes * calls : 0);
    CHECK_EQ(card_count(card, "wakeups") - wakeups, way == WAY_FD ? calls : 0);
    CHECK_EQ(card_count(card, "callbacks") - callbacks, way == WAY_CALLBACK ? calls : 0);
}

static void run_counted(struct card *card, enum way way, int (*function)(void *), struct pipeline *pipeline,
    unsigned calls, const char *name)
{
    long requests = card_count(card, name), wakeups = card_count(card, "wakeups"),
         callbacks = card_count(card, "callbacks");

    CHECK(way_run(way, function, pipeline));
    check_told(card, way, requests, wakeups, callbacks, pipeline->pipes, calls, name);
}

static void spoil_one(enum way way, struct pipeline *pipeline, struct numbers *numbers)
{
    struct record *record = &pipeline->records[number_below(numbers, pipeline->pipes)];

    memset(pipeline->opened, 0xa5, sizeof(pipeline->opened));
    record->sealed[record->sealed_len - 1] ^= 0x10;
    CHECK(way_run(way, open_all, pipeline));
    record->sealed[record->sealed_len - 1] ^= 0x10;
    CHECK_EQ(pipeline->result, 0);
    CHECK_EQ(pipeline->error, 0);
    for (unsigned i = 0; i < pipeline->pipes; i++) {
        for (unsigned at = 0; at < pipeline->records[i].sealed_len; at++)
            CHECK(pipeline->opened[i][at] == 0 || pipeline->opened[i][at] == 0xa5);
    }
}

static void compare(struct card *card, const EVP_CIPHER *cipher, const char *name, struct numbers *numbers)
{
    static struct pipeline pipeline;
    struct record_keys keys;
    unsigned pipes = number_below(numbers, 6) == 0 ? PIPES_MAX : 1 + number_below(numbers, 8);

    make_up(&pipeline, &keys, pipes, card, cipher, numbers);
    for (unsigned way = 0; way < WAYS; way++) {
        run_counted(card, way, seal, &pipeline, 2, name);
        open_with_libcrypto(&pipeline);
        seal_with_libcrypto(&pipeline);
        run_counted(card, way, open_all, &pipeline, 1, name);
        CHECK_EQ(pipeline.result, 1);
        for (unsigned i = 0; i < pipeline.pipes; i++)
            CHECK(record_is_open(&pipeline.records[i], pipeline.opened[i]));
        spoil_one(way, &pipeline, numbers);
    }
}

/* ------------------------------------------------------------------------------------------------ one job */

static int open_in_job(void *arg)
{
    return open_all(*(struct pipeline **)arg);
}

/* Told when the last record is done, not before; resumed early, it pauses again; nothing is left over. */
static void told_by_the_last(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct pipeline pipeline;
    struct record_keys keys;
    struct job job;
    long completed, early;

    make_up(&pipeline, &keys, 5, card, cipher, numbers);
    seal_with_libcrypto(&pipeline);
    completed = card_count(card, "completed");
    early = card_count(card, "early_resumes");
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, open_in_job, &pipeline);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    for (unsigned done = 0; done < 5; done++) {
        card_wait_for(card, "completed", completed + done);
        usleep(1000);
        CHECK(!fd_is_readable(job_fd(&job)));
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
        card_command(card, "RELEASE", "1");
    }
    CHECK_EQ(job_finish(&job), 1);
    CHECK(!fd_is_readable(job_fd(&job)));
    CHECK_EQ(pipeline.result, 1);
    CHECK_EQ(card_count(card, "early_resumes"), early + 5);
    job_free(&job);
    card_command(card, "HOLD", "none");
}

/* The job is given up in the middle: one orphan, and the card goes on. */
static void given_up(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct pipeline pipeline;
    struct record_keys keys;
    struct job job;
    long completed = card_count(card, "completed"), orphans = card_count(card, "orphans");

    make_up(&pipeline, &keys, 4, card, cipher, numbers);
    seal_with_libcrypto(&pipeline);
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, open_in_job, &pipeline);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_command(card, "RELEASE", "2");
    card_wait_for(card, "completed", completed + 2);
    job_free(&job);
    CHECK_EQ(card_count(card, "orphans"), orphans + 1);
    card_command(card, "HOLD", "none");
    card_wait_for(card, "completed", completed + 4);
    CHECK(way_run(WAY_FD, open_all, &pipeline)); /* a context of its own */
    CHECK_EQ(pipeline.result, 1);
}

/* A context that had one key gets another, and another MAC key alone: no pipe goes on with what was. */
static void change_keys(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct pipeline pipeline;
    struct record_keys keys;
    EVP_CIPHER_CTX *ctx;

    make_up(&pipeline, &keys, 4, card, cipher, numbers);
    ctx = record_context(&keys, card, true);
    CHECK(run(ctx, &pipeline, true));
    open_with_libcrypto(&pipeline);
    number_fill(numbers, keys.mac_key, sizeof(keys.mac_key));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_MAC_KEY, keys.mac_key_len, keys.mac_key) == 1);
    CHECK(run(ctx, &pipeline, true));
    open_with_libcrypto(&pipeline);
    number_fill(numbers, keys.key, sizeof(keys.key));
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, keys.key, keys.iv, 1));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_MAC_KEY, keys.mac_key_len, keys.mac_key) == 1);
    CHECK(run(ctx, &pipeline, true));
    open_with_libcrypto(&pipeline);
    EVP_CIPHER_CTX_free(ctx);
}

/* Half a pipeline is none. */
static void check_rules(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct pipeline pipeline;
    struct record_keys keys;
    EVP_CIPHER_CTX *ctx;
    unsigned char *bufs[PIPES_MAX + 1] = {0};

    record_keys_make_up(&keys, cipher, numbers);
    ctx = record_context(&keys, card, true);
    record_make_up(&pipeline.records[0], 0x0303, numbers);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, PIPES_MAX + 1, bufs) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, 0, bufs) != 1);
    record_announce(ctx, &pipeline.records[0]);
    record_announce(ctx, &pipeline.records[0]);
    CHECK(!record_seal(ctx, &pipeline.records[0])); /* two announced, one record */
    record_announce(ctx, &pipeline.records[0]);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, 2, bufs) == 1);
    CHECK(!record_seal(ctx, &pipeline.records[0])); /* one announced, two records, no inputs */
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, keys.iv, 1));
    record_announce(ctx, &pipeline.records[0]);
    CHECK(record_seal(ctx, &pipeline.records[0])); /* and all is well again */
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
}

/* A call that is refused leaves the pipeline as it is: what was wrong may be set right, as with
 * QAT_Engine. */
static void set_right(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct pipeline pipeline = {.pipes = 2};
    struct record_keys keys;
    unsigned char *bufs[2], *wrong[1] = {NULL};
    size_t lens[2];
    EVP_CIPHER_CTX *ctx;

    record_keys_make_up(&keys, cipher, numbers);
    pipeline.keys = &keys;
    ctx = record_context(&keys, card, true);
    for (unsigned i = 0; i < 2; i++) {
        record_make_up(&pipeline.records[i], 0x0303, numbers);
        bufs[i] = pipeline.records[i].sealed;
    }
    record_announce(ctx, &pipeline.records[0]);
    lens[0] = pipeline.records[0].sealed_len;
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, 2, bufs) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_BUFS, 2, bufs) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_LENS, 2, lens) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, PIPES_MAX + 1, wrong) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_BUFS, 0, wrong) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_INPUT_LENS, -1, wrong) != 1);
    CHECK(EVP_Cipher(ctx, bufs[0], bufs[0], (unsigned)lens[0]) <= 0); /* the second is not announced yet */
    record_announce(ctx, &pipeline.records[1]);
    lens[1] = pipeline.records[1].sealed_len;
    CHECK(EVP_Cipher(ctx, bufs[0], bufs[0], (unsigned)lens[0]) > 0);
    open_with_libcrypto(&pipeline);
    /* It was for one call. */
    record_announce(ctx, &pipeline.records[0]);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_SET_PIPELINE_OUTPUT_BUFS, 1, bufs) == 1);
    CHECK(EVP_Cipher(ctx, bufs[0], bufs[0], (unsigned)lens[0]) <= 0);
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
}

static void run_all(const char *commands)
{
    struct card *card = ways_card(commands);
    struct numbers numbers = {61};

    if (!ways_have_cipher(card, EVP_aes_128_cbc_hmac_sha1())) {
        puts("no such cipher on this processor");
        card_unload(card);
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        compare(card, EVP_aes_128_cbc_hmac_sha1(), "aes_cbc_hmac_sha1", &numbers);
        compare(card, EVP_aes_256_cbc_hmac_sha256(), "aes_cbc_hmac_sha256", &numbers);
    }
    told_by_the_last(card, EVP_aes_256_cbc_hmac_sha1(), &numbers);
    given_up(card, EVP_aes_128_cbc_hmac_sha256(), &numbers);
    change_keys(card, EVP_aes_128_cbc_hmac_sha1(), &numbers);
    check_rules(card, EVP_aes_128_cbc_hmac_sha1(), &numbers);
    set_right(card, EVP_aes_128_cbc_hmac_sha256(), &numbers);
    card_unload(card);
}

int main(int argc, char **argv)
{
    test_begin(120);
    run_all(argc > 1 ? argv[1] : NULL);
    return 0;
}
