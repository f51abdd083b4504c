/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-ECB, AES-CFB128 and AES-OFB: the same calls to plain libcrypto and to the engine give the same bytes,
 * the same updated IV and the same number, however the text is split, with copies taken in mid-stream.
 */
#include "all_ways.h"

#define TEXT_MAX 4096u
#define ROUNDS 60u
#define SPLITS_MAX 12u

struct script {
    const EVP_CIPHER *cipher;
    ENGINE *impl; /* NULL: whatever is the default */
    int encrypt;
    bool in_place;
    unsigned char key[32], iv[16], text[TEXT_MAX];
    unsigned pieces;
    unsigned len[SPLITS_MAX];
    unsigned copy_after; /* the piece after which a copy takes over */
    bool fresh_iv_after; /* and the message begins anew, with the IV as it was set */
};

struct outcome {
    unsigned char out[TEXT_MAX + 16];
    size_t len;
    unsigned char iv[SPLITS_MAX][16];
    int num[SPLITS_MAX];
};

struct run {
    const struct script *script;
    struct outcome *outcome;
};

/* A copy goes on; what the original does from now on must not matter to it. */
static EVP_CIPHER_CTX *hand_over(EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
    unsigned char noise[48] = {1, 2, 3};
    int len;

    CHECK(EVP_CIPHER_CTX_copy(copy, ctx));
    CHECK(EVP_CipherUpdate(ctx, noise, &len, noise, sizeof(noise)));
    EVP_CIPHER_CTX_free(ctx);
    return copy;
}

static void note_iv(EVP_CIPHER_CTX *ctx, struct outcome *outcome, unsigned piece)
{
    if (EVP_CIPHER_CTX_get_iv_length(ctx) > 0)
        memcpy(outcome->iv[piece], EVP_CIPHER_CTX_iv(ctx), 16);
    outcome->num[piece] = EVP_CIPHER_CTX_get_num(ctx);
}

static int play(void *arg)
{
    const struct script *script = ((struct run *)arg)->script;
    struct outcome *outcome = ((struct run *)arg)->outcome;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t at = 0;
    int len;

    outcome->len = 0;
    CHECK(EVP_CipherInit_ex(ctx, script->cipher, script->impl, script->key, script->iv, script->encrypt));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    for (unsigned i = 0; i < script->pieces; i++) {
        const unsigned char *in = script->text + at;

        if (script->in_place) {
            memcpy(outcome->out + outcome->len, in, script->len[i]);
            in = outcome->out + outcome->len;
        }
        CHECK(EVP_CipherUpdate(ctx, outcome->out + outcome->len, &len, in, (int)script->len[i]));
        outcome->len += (size_t)len;
        at += script->len[i];
        note_iv(ctx, outcome, i);
        if (i == script->copy_after)
            ctx = hand_over(ctx);
        if (i == script->copy_after && script->fresh_iv_after)
            CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, NULL, -1));
    }
    CHECK(EVP_CipherFinal_ex(ctx, outcome->out + outcome->len, &len));
    outcome->len += (size_t)len;
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void write_script(struct script *script, struct numbers *numbers, bool whole_blocks)
{
    unsigned left = TEXT_MAX;

    script->encrypt = (int)number_below(numbers, 2);
    /* In place, ECB's pieces must be whole blocks: EVP holds back what is not. */
    script->in_place = number_below(numbers, 2) == 0;
    number_fill(numbers, script->key, sizeof(script->key));
    number_fill(numbers, script->iv, sizeof(script->iv));
    number_fill(numbers, script->text, sizeof(script->text));
    script->pieces = 1 + number_below(numbers, SPLITS_MAX);
    for (unsigned i = 0; i < script->pieces; i++) {
        unsigned max = number_below(numbers, 2) == 0 ? 40 : 1500;

        script->len[i] = number_below(numbers, max < left ? max : left + 1);
        if (whole_blocks)
            script->len[i] &= ~15u;
        left -= script->len[i];
    }
    script->copy_after = number_below(numbers, 2 * SPLITS_MAX);
    script->fresh_iv_after = number_below(numbers, 4) == 0;
}

static void compare(const struct outcome *plain, const struct outcome *card, unsigned pieces)
{
    CHECK(card->len == plain->len);
    CHECK(memcmp(card->out, plain->out, plain->len) == 0);
    for (unsigned i = 0; i < pieces; i++) {
        CHECK(memcmp(card->iv[i], plain->iv[i], 16) == 0);
        CHECK(card->num[i] == plain->num[i]);
    }
}

static void play_all_ways(ENGINE *engine, struct script *script)
{
    static struct outcome plain, card;

    memset(&plain, 0, sizeof(plain));
    script->impl = NULL;
    play(&(struct run){script, &plain});
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned by_default = 0; by_default < 2; by_default++) {
            memset(&card, 0, sizeof(card));
            script->impl = by_default ? NULL : engine;
            ways_set_default(engine, by_default);
            CHECK(way_run(way, play, &(struct run){script, &card}));
            ways_set_default(engine, false);
            compare(&plain, &card, script->pieces);
        }
    }
}

static void compare_mode(ENGINE *engine, const EVP_CIPHER *cipher, const char *stat, uint64_t seed)
{
    struct numbers numbers = {seed};
    long before = engine_count(engine, stat);
    bool ecb = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_ECB_MODE;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct script script = {.cipher = cipher};

        write_script(&script, &numbers, ecb);
        play_all_ways(engine, &script);
    }
    CHECK(engine_count(engine, stat) >= before + (long)ROUNDS);
}

int main(void)
{
    ENGINE *engine;

    test_begin(60);
    engine = ways_engine(NULL);
    compare_mode(engine, EVP_aes_128_ecb(), "aes_ecb", 11);
    compare_mode(engine, EVP_aes_192_ecb(), "aes_ecb", 12);
    compare_mode(engine, EVP_aes_256_ecb(), "aes_ecb", 13);
    compare_mode(engine, EVP_aes_128_cfb128(), "aes_cfb", 21);
    compare_mode(engine, EVP_aes_192_cfb128(), "aes_cfb", 22);
    compare_mode(engine, EVP_aes_256_cfb128(), "aes_cfb", 23);
    compare_mode(engine, EVP_aes_128_ofb(), "aes_ofb", 31);
    compare_mode(engine, EVP_aes_192_ofb(), "aes_ofb", 32);
    compare_mode(engine, EVP_aes_256_ofb(), "aes_ofb", 33);
    engine_unload(engine);
    return 0;
}
