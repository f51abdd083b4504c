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
    struct card *impl;
    bool in_place;
    unsigned char out[TOTAL + 16], tag[16];
};

static int encrypt(void *arg)
{
    struct message *m = arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, mode = EVP_CIPHER_get_mode(m->cipher);
    int piece = mode == EVP_CIPH_CCM_MODE || mode == EVP_CIPH_XTS_MODE ? TOTAL : PIECE;

    CHECK(ways_cipher_init(m->impl, ctx, m->cipher, key, iv, 1) && EVP_CIPHER_CTX_set_padding(ctx, 0));
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

static void compare(const EVP_CIPHER *cipher, struct card *card, enum way way, bool in_place)
{
    static struct message plain, ours;

    memset(&plain, 0, sizeof(plain));
    memset(&ours, 0, sizeof(ours));
    plain.cipher = ours.cipher = cipher;
    ours.impl = card;
    ours.in_place = in_place;
    CHECK(encrypt(&plain));
    CHECK(way_run(way, encrypt, &ours));
    CHECK(memcmp(ours.out, plain.out, TOTAL) == 0);
    CHECK(memcmp(ours.tag, plain.tag, sizeof(ours.tag)) == 0);
}

int main(void)
{
    const EVP_CIPHER *ciphers[] = {EVP_aes_128_cbc(), EVP_aes_128_ctr(), EVP_aes_128_gcm(), EVP_aes_256_gcm(),
        EVP_aes_128_ecb(), EVP_aes_128_cfb128(), EVP_aes_128_ofb(), EVP_aes_128_ccm(), EVP_aes_128_xts()};
    struct numbers numbers = {1};
    struct card *card;
    long failed;

    test_begin(120);
    number_fill(&numbers, text, sizeof(text));
    card = ways_card("SYNC_OFFLOAD:1;ENABLE_SW_FALLBACK;SEED:3;SET_MAX_RETRY_COUNT:0;"
                     "FAULTS:fail=20%,reset=1%:20us,ring_full=5%");
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
            for (enum way way = 0; way < WAYS; way++)
                compare(ciphers[i], card, way, round % 2 != 0);
        }
    }
    failed = card_count(card, "failed");
    CHECK(failed > 50 && card_count(card, "completed") > failed); /* both ways were taken */
    CHECK(card_count(card, "aes_gcm") > 50);
    CHECK(card_count(card, "inline") > failed);
    card_unload(card);
    return 0;
}
