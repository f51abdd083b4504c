/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MEMORY:direct: frees a text while the card has it, before (`read`, `written`) the card reads the input or
 * writes the output. Built with the address sanitizer, which the module is not: `freed_text_run` looks for
 * its report. With another argument it frees the text in time.
 */
#include "check.h"
#include "support/card.h"
#include "support/work.h"

struct texts {
    struct card *card;
    unsigned char *in, *out;
};

static int encrypt(void *arg)
{
    static const unsigned char key[16] = {1}, iv[16];
    struct texts *texts = *(struct texts **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int ok = ctx != NULL && card_cipher_init(texts->card, ctx, "AES-128-CTR", key, iv, 1) &&
             EVP_EncryptUpdate(ctx, texts->out, &len, texts->in, WORK_BYTES) && len == WORK_BYTES;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

int main(int argc, char **argv)
{
    struct card *card = card_load("WORKERS:1;MEMORY:direct");
    struct texts texts = {card, calloc(1, WORK_BYTES), calloc(1, WORK_BYTES)};
    struct job job;

    CHECK_EQ(argc, 2);
    CHECK(texts.in != NULL && texts.out != NULL);
    test_begin(60);
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, encrypt, &texts);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (strcmp(argv[1], "read") == 0)
        free(texts.in);
    if (strcmp(argv[1], "written") == 0)
        free(texts.out);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    CHECK_EQ(card_count(card, "aes_ctr"), 1);
    card_unload(card);
    if (strcmp(argv[1], "mended") == 0) {
        free(texts.in);
        free(texts.out);
    }
    return 0;
}
