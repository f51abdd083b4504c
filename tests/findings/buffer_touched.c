/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes a text that the card works on in the application's memory: the input before the card has read it;
 * the input (`late`) or the output (`output`) after that, and before the job was resumed; a text that is
 * encrypted in place (`in_place`) before the card has read it.
 */
#include "wrong.h"

static unsigned char in[WORK_BYTES], out[WORK_BYTES];

struct place {
    struct card *card;
    unsigned char *in, *out;
};

static int encrypt(void *arg)
{
    static const unsigned char key[16] = {1}, iv[16];
    struct place *place = *(struct place **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int ok = ctx != NULL && card_cipher_init(place->card, ctx, "AES-128-CBC", key, iv, 1) &&
             EVP_EncryptUpdate(ctx, place->out, &len, place->in, WORK_BYTES) && len == WORK_BYTES;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

int main(int argc, char **argv)
{
    bool output = has_argument(argc, argv, "output"), late = output || has_argument(argc, argv, "late");
    struct card *card = load_checked("WORKERS:1;MEMORY:direct");
    struct place place = {card, has_argument(argc, argv, "in_place") ? out : in, out};
    struct job job;

    card_command(card, "HOLD", late ? "signal" : "compute");
    job_init(&job, has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD, encrypt, &place);
    int ran = job_run(&job);
    if (ran == ASYNC_FINISH && card_count(card, "aes_cbc") == 0) { /* the modelled card has no AES */
        job_free(&job);
        card_unload(card);
        return 0;
    }
    CHECK_EQ(ran, ASYNC_PAUSE);
    if (late)
        card_wait_for(card, "completed", 1);
    if (!has_argument(argc, argv, "mended"))
        (output ? place.out : place.in)[WORK_BYTES - 1] ^= 1;
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    CHECK_EQ(card_count(card, "aes_cbc"), 1);
    card_unload(card);
    return 0;
}
