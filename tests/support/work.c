/* SPDX-License-Identifier: Apache-2.0 */
/* RSA and AES operations with known results. */
#include "support/work.h"

#include <sys/wait.h>

#include "check.h"
#include "support/engine.h"

static const unsigned char key[] = "0123456789abcdef", iv[] = "fedcba9876543210";

static int encrypt(ENGINE *engine, const unsigned char *in, unsigned char *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), engine, key, iv) &&
             EVP_EncryptUpdate(ctx, out, &len, in, WORK_BYTES) && len == WORK_BYTES;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static int sign(RSA *rsa, const unsigned char *in, unsigned char *out)
{
    return RSA_private_encrypt(32, in, out, rsa, RSA_PKCS1_PADDING) == RSA_size(rsa);
}

static struct work *work_new(ENGINE *engine, unsigned char seed)
{
    struct work *work = calloc(1, sizeof(*work));

    CHECK(work != NULL);
    work->engine = engine;
    work->times = 1;
    for (int i = 0; i < WORK_BYTES; i++)
        work->input[i] = (unsigned char)(i * 7 + seed + 1);
    return work;
}

struct work *work_rsa(ENGINE *engine, unsigned char seed)
{
    struct work *work = work_new(engine, seed);
    RSA *plain = engine_rsa(NULL);

    work->is_rsa = true;
    work->rsa = engine_rsa(engine);
    work->size = RSA_size(plain);
    CHECK(sign(plain, work->input, work->expected));
    RSA_free(plain);
    return work;
}

struct work *work_aes(ENGINE *engine, unsigned char seed)
{
    struct work *work = work_new(engine, seed);

    work->size = WORK_BYTES;
    CHECK(encrypt(NULL, work->input, work->expected));
    return work;
}

void work_free(struct work *work)
{
    RSA_free(work->rsa);
    free(work);
}

int work_do(void *arg)
{
    struct work *work = *(struct work **)arg;

    for (int i = 0; i < work->times; i++) {
        memset(work->output, 0, sizeof(work->output));
        if (!(work->is_rsa ? sign(work->rsa, work->input, work->output)
                           : encrypt(work->engine, work->input, work->output)))
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

void work_in_job(struct work *work, enum told_by told_by, ENGINE *polled)
{
    struct job job;
    int status;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    while (polled != NULL && told_by == BY_CALLBACK && job.callbacks == 0)
        CHECK(ENGINE_ctrl_cmd(polled, "POLL", 0, &status, NULL, 0));
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
}

void work_in_child(void (*child)(struct work *work), struct work *work)
{
    pid_t pid = fork();

    if (pid == 0) {
        test_begin(30);
        child(work);
        exit(7);
    }
    CHECK_EQ(child_status(pid), 7);
}

int child_status(pid_t pid)
{
    int status;

    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}
