/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calling core takes over, in the middle of messages, from a card that fails, is reset or is full: every
 * message comes out as plain libcrypto has it, with nothing computed twice or left out.
 */
#include "all_ways.h"

#define PIECE 1024
#define PIECES 12
#define TOTAL (PIECE * PIECES)
#define ROUNDS 6

static const unsigned char key[64] = "two halves of a key for AES-XTS, which must not be like another";
static const unsigned char iv[16] = "not a number";
static unsigned char text[TOTAL];

struct message {
    const EVP_CIPHER *cipher;
    ENGINE *impl;
    bool in_place;
    unsigned char out[TOTAL + 16], tag[16];
};

static int encrypt(void *arg)
{
    struct message *m = arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, mode = EVP_CIPHER_get_mode(m->cipher);
    int piece = mode == EVP_CIPH_CCM_MODE || mode == EVP_CIPH_XTS_MODE ? TOTAL : PIECE;

    CHECK(EVP_EncryptInit_ex(ctx, m->cipher, m->impl, key, iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    if (mode == EVP_CIPH_GCM_MODE)
        CHECK(EVP_EncryptUpdate(ctx, NULL, &len, text, 100));
    for (int at = 0; at < TOTAL; at += piece) {
        unsigned char *in = m->in_place ? memcpy(m->out + at, text + at, (size_t)piece) : text + at;

        CHECK(EVP_EncryptUpdate(ctx, m->out + at, &len, in, piece) && len == piece);
    }
    CHECK(EVP_EncryptFinal_ex(ctx, m->out + TOTAL, &len));
    if (mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CCM_MODE)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 12, m->tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void compare(const EVP_CIPHER *cipher, ENGINE *engine, enum way way, bool in_place)
{
    static struct message plain, card;

    memset(&plain, 0, sizeof(plain));
    memset(&card, 0, sizeof(card));
    plain.cipher = card.cipher = cipher;
    card.impl = engine;
    card.in_place = in_place;
    CHECK(encrypt(&plain));
    CHECK(way_run(way, encrypt, &card));
    CHECK(memcmp(card.out, plain.out, TOTAL) == 0);
    CHECK(memcmp(card.tag, plain.tag, sizeof(card.tag)) == 0);
}

int main(void)
{
    const EVP_CIPHER *ciphers[] = {EVP_aes_128_cbc(), EVP_aes_128_ctr(), EVP_aes_128_gcm(), EVP_aes_256_gcm(),
        EVP_aes_128_ecb(), EVP_aes_128_cfb128(), EVP_aes_128_ofb(), EVP_aes_128_ccm(), EVP_aes_128_xts()};
    struct numbers numbers = {1};
    ENGINE *engine;
    long failed;

    test_begin(120);
    number_fill(&numbers, text, sizeof(text));
    engine = ways_engine("SYNC_OFFLOAD:1;ENABLE_SW_FALLBACK;SEED:3;SET_MAX_RETRY_COUNT:0;"
                         "FAULTS:fail=20%,reset=1%:20us,ring_full=5%");
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
            for (enum way way = 0; way < WAYS; way++)
                compare(ciphers[i], engine, way, round % 2 != 0);
        }
    }
    failed = engine_count(engine, "failed");
    CHECK(failed > 50 && engine_count(engine, "completed") > failed); /* both ways were taken */
    CHECK(engine_count(engine, "aes_gcm") > 50);
    CHECK(engine_count(engine, "inline") > failed);
    engine_unload(engine);
    return 0;
}
