/* SPDX-License-Identifier: Apache-2.0 */
/* RSA and AES operations with known results. */
#include "support/work.h"

#include "check.h"
#include "child.h"
#include "support/card.h"

static const unsigned char aes_key[] = "0123456789abcdef", iv[] = "fedcba9876543210";

static int encrypt(struct card *card, const unsigned char *in, unsigned char *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int ok = ctx != NULL && card_cipher_init(card, ctx, "AES-128-CBC", aes_key, iv, 1) &&
             EVP_EncryptUpdate(ctx, out, &len, in, WORK_BYTES) && len == WORK_BYTES;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static int sign(struct work *work)
{
    size_t len = (size_t)work->size;

    return EVP_PKEY_sign(work->signer, work->output, &len, work->input, 32) == 1 && len == (size_t)work->size;
}

static struct work *work_new(struct card *card, unsigned char seed)
{
    struct work *work = calloc(1, sizeof(*work));

    CHECK(work != NULL);
    work->card = card;
    work->times = 1;
    for (int i = 0; i < WORK_BYTES; i++)
        work->input[i] = (unsigned char)(i * 7 + seed + 1);
    return work;
}

struct work *work_rsa(struct card *card, unsigned char seed)
{
    struct work *work = work_new(card, seed);
    EVP_PKEY *key = test_key(card);
    RSA *plain = test_rsa();

    work->is_rsa = true;
    work->size = RSA_size(plain);
    CHECK_EQ(RSA_private_encrypt(32, work->input, work->expected, plain, RSA_PKCS1_PADDING), work->size);
    work_set_key(work, key);
    EVP_PKEY_free(key);
    RSA_free(plain);
    return work;
}

struct work *work_aes(struct card *card, unsigned char seed)
{
    struct work *work = work_new(card, seed);

    work->size = WORK_BYTES;
    CHECK(encrypt(NULL, work->input, work->expected));
    return work;
}

void work_set_key(struct work *work, EVP_PKEY *key)
{
    EVP_PKEY_CTX_free(work->signer);
    work->signer = NULL;
    if (key != NULL) {
        CHECK(EVP_PKEY_up_ref(key));
        work->signer = card_key_context(work->card, key, EVP_PKEY_sign_init, RSA_PKCS1_PADDING);
        CHECK(work->signer != NULL);
    }
    EVP_PKEY_free(work->key);
    work->key = key;
}

void work_free(struct work *work)
{
    work_set_key(work, NULL);
    free(work);
}

int work_do(void *arg)
{
    struct work *work = *(struct work **)arg;

    for (int i = 0; i < work->times; i++) {
        memset(work->output, 0, sizeof(work->output));
        if (!(work->is_rsa ? sign(work) : encrypt(work->card, work->input, work->output)))
            return 0;
        if (memcmp(work->output, work->expected, (size_t)work->size) != 0)
            return -1;
    }
    return 1;
}

int work_do_blocked(void *arg)
{
    int result;

    ASYNC_block_pause();
    result = work_do(arg);
    ASYNC_unblock_pause();
    return result;
}

void work_in_job(struct work *work, enum told_by told_by, struct card *polled)
{
    struct job job;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    while (polled != NULL && told_by == BY_CALLBACK && job.callbacks == 0)
        card_command(polled, "POLL", NULL);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
}

void work_end_by_poll(struct work *work, struct job *job, int fd)
{
    CHECK_EQ(job->callbacks, 0);
    CHECK_EQ(card_number(work->card, "POLL"), 0);
    CHECK_EQ(job->callbacks, 1);
    CHECK(!fd_is_readable(fd));
    CHECK_EQ(job_run(job), ASYNC_FINISH);
    CHECK_EQ(job->result, 1);
    job_free(job);
    work_free(work);
}

void work_in_child(void (*child)(struct work *work), struct work *work)
{
    pid_t pid = fork();

    if (pid == 0) {
        test_begin(60);
        child(work);
        exit(WORK_CHILD_DONE);
    }
    child_exits_with(pid, WORK_CHILD_DONE);
}
