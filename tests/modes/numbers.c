/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CFB and OFB after EVP_CIPHER_CTX_set_num(3), by which an application says how much of a block's key stream
 * is used: every number, in a context and in a copy of it, as plain libcrypto has it. And what EVP_Cipher(3)
 * returns, in XTS too.
 */
#include "all_ways.h"

#define BLOCK 16
#define BLOCKS 6

static const unsigned char key[32] = "a key of more than enough bytes", iv[BLOCK] = "not a number";
static unsigned char text[BLOCKS * BLOCK];

struct outcome {
    unsigned char out[BLOCKS * BLOCK];
    int number, number_of_copy, one_shot;
    unsigned char last[BLOCK];
};

/* The blocks of text from `from` on. */
static void update(EVP_CIPHER_CTX *ctx, struct outcome *outcome, int from, int count)
{
    int len;

    CHECK(EVP_CipherUpdate(ctx, outcome->out + from * BLOCK, &len, text + from * BLOCK, count * BLOCK));
    CHECK_EQ(len, count * BLOCK);
}

static void crypt_with(struct card *by, const char *cipher, int encrypt, int number, struct outcome *outcome)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new(), *copy = EVP_CIPHER_CTX_new();
    int rest;

    CHECK(card_cipher_init(by, ctx, cipher, key, iv, encrypt));
    update(ctx, outcome, 0, 2);
    CHECK(EVP_CIPHER_CTX_set_num(ctx, number) > 0 || by == NULL);
    update(ctx, outcome, 2, 1);
    CHECK(EVP_CIPHER_CTX_copy(copy, ctx));
    update(copy, outcome, 3, 1);
    update(ctx, outcome, 4, 1);
    CHECK(EVP_CIPHER_CTX_set_num(ctx, 0));
    update(ctx, outcome, 5, 1);
    outcome->number = EVP_CIPHER_CTX_get_num(ctx);
    outcome->number_of_copy = EVP_CIPHER_CTX_get_num(copy);
    outcome->one_shot = EVP_Cipher(ctx, outcome->last, text, BLOCK);
    CHECK(EVP_CipherFinal_ex(ctx, outcome->last, &rest) && rest == 0);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(copy);
}

/* libcrypto's own ciphers of 3.5 and later refuse all numbers but 0. */
static bool takes(const char *cipher, int number)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool taken;

    CHECK(card_cipher_init(NULL, ctx, cipher, key, iv, 1));
    taken = EVP_CIPHER_CTX_set_num(ctx, number) > 0;
    EVP_CIPHER_CTX_free(ctx);
    return taken;
}

static void compare(struct card *card, const char *cipher)
{
    for (int number = 0; number < BLOCK; number++) {
        for (int encrypt = 0; encrypt < 2; encrypt++) {
            struct outcome wanted, got;

            if (!takes(cipher, number))
                continue;
            crypt_with(NULL, cipher, encrypt, number, &wanted);
            crypt_with(card, cipher, encrypt, number, &got);
            CHECK_EQ(memcmp(got.out, wanted.out, sizeof(got.out)), 0);
            CHECK_EQ(got.number, wanted.number);
            CHECK_EQ(got.number_of_copy, wanted.number_of_copy);
            CHECK_EQ(got.one_shot, wanted.one_shot);
            CHECK_EQ(memcmp(got.last, wanted.last, sizeof(got.last)), 0);
        }
    }
}

/* Of a data unit in XTS; negative if it is refused. */
static int one_shot(struct card *by, const char *cipher, int encrypt, int len, unsigned char *out)
{
    static const unsigned char halves[64] = "two keys which must not be equal";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done, rest;

    CHECK(card_cipher_init(by, ctx, cipher, halves, iv, encrypt));
    done = EVP_Cipher(ctx, out, text, (unsigned)len);
    CHECK(EVP_CipherFinal_ex(ctx, out + len, &rest) && rest == 0);
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return done > 0 ? done : -1;
}

static void compare_one_shot(struct card *card, const char *cipher)
{
    static const int lengths[] = {BLOCK - 1, BLOCK, BLOCK + 3, 4 * BLOCK, BLOCKS * BLOCK - 1};

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int encrypt = 0; encrypt < 2; encrypt++) {
            unsigned char wanted[BLOCKS * BLOCK] = {0}, got[BLOCKS * BLOCK] = {0};

            CHECK_EQ(one_shot(card, cipher, encrypt, lengths[i], got),
                one_shot(NULL, cipher, encrypt, lengths[i], wanted));
            CHECK_EQ(memcmp(got, wanted, sizeof(got)), 0);
        }
    }
}

int main(void)
{
    static const char *const ciphers[] = {"AES-128-CFB", "AES-256-CFB", "AES-128-OFB", "AES-256-OFB"};
    struct card *card;

    test_begin(60);
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)(7 * i);
    card = ways_card("SYNC_OFFLOAD:1");
    for (unsigned bytes = 0; bytes <= 1024; bytes += 1024) { /* on the card, and on the calling core */
        ways_set_thresholds(card, bytes);
        for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
            compare(card, ciphers[i]);
        compare_one_shot(card, "AES-128-XTS");
        compare_one_shot(card, "AES-256-XTS");
    }
    CHECK(card_count(card, "aes_cfb") > 0 && card_count(card, "aes_ofb") > 0);
    card_unload(card);
    return 0;
}
