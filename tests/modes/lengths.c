/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lengths that are none: negative ones, and the ends of an int, for text, associated data and every command
 * of every mode, whatever the context is at. They are refused in words, nothing is read or written by them
 * (which the sanitizers watch), and the context does its next message right.
 */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include "all_ways.h"

#define ROOM 4096
#define TEXT 2048

static struct card *card;
static const unsigned char key[64] = "two halves of a key for AES-XTS, which must not be like another";
static const unsigned char iv[16] = "not a number";
static const int nids[] = {NID_aes_128_cbc, NID_aes_128_ctr, NID_aes_128_gcm, NID_aes_256_gcm,
    NID_aes_128_ecb, NID_aes_128_cfb128, NID_aes_128_ofb128, NID_aes_128_ccm, NID_aes_128_xts,
    NID_aes_128_cbc_hmac_sha1, NID_aes_128_cbc_hmac_sha256};

struct subject {
    const EVP_CIPHER *cipher;
    int encrypt;
};

static bool is_aead(const EVP_CIPHER *cipher)
{
    return EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE ||
           EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE;
}

static bool is_hmac(const EVP_CIPHER *cipher)
{
    return (EVP_CIPHER_get_flags(cipher) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0 && !is_aead(cipher);
}

/* Whether an engine gets a text's length as it is: it has custom ciphers in these modes. */
static bool is_custom(const EVP_CIPHER *cipher)
{
    return is_aead(cipher) || EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CFB_MODE ||
           EVP_CIPHER_get_mode(cipher) == EVP_CIPH_OFB_MODE;
}

static EVP_CIPHER_CTX *begin(const struct subject *subject)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    CHECK(ways_cipher_init(card, ctx, subject->cipher, key, iv, subject->encrypt));
    return ctx;
}

/* Encrypt a text with what the context has become, but for key and IV, and with plain libcrypto. */
static void check_next_message(EVP_CIPHER_CTX *ctx, const struct subject *subject)
{
    static unsigned char text[TEXT], out[TEXT + 16], wanted[TEXT + 16];
    EVP_CIPHER_CTX *plain = EVP_CIPHER_CTX_new();
    int len;

    if (is_aead(subject->cipher)) {
        EVP_CipherUpdate(ctx, out, &len, text, 16); /* if a record was announced, this was to be it */
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1);
    }
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, iv, 1));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_CipherUpdate(ctx, out, &len, text, TEXT) && len == TEXT);
    if (is_hmac(subject->cipher)) /* without a record it is CBC */
        CHECK(EVP_CipherInit_ex(plain, EVP_aes_128_cbc(), NULL, key, iv, 1));
    else
        CHECK(EVP_CipherInit_ex(plain, subject->cipher, NULL, NULL, NULL, 1));
    if (is_aead(subject->cipher))
        CHECK(EVP_CIPHER_CTX_ctrl(plain, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1);
    CHECK(EVP_CipherInit_ex(plain, NULL, NULL, key, iv, 1) && EVP_CIPHER_CTX_set_padding(plain, 0));
    CHECK(EVP_CipherUpdate(plain, wanted, &len, text, TEXT) && len == TEXT);
    CHECK(memcmp(out, wanted, TEXT) == 0);
    EVP_CIPHER_CTX_free(plain);
}

/* -------------------------------------------------------------------------------------------------- texts */

static int update(void *arg)
{
    static const int lengths[] = {-1, -16, -TEXT, INT_MIN, INT_MIN + 16};
    const struct subject *subject = arg;
    EVP_CIPHER_CTX *ctx = begin(subject);
    unsigned char in[64] = {0}, out[80];
    int len;

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        CHECK(EVP_CipherUpdate(ctx, out, &len, in, lengths[i]) <= 0);
        if (!is_custom(subject->cipher))
            continue;
        if (is_aead(subject->cipher)) {
            CHECK(EVP_CipherUpdate(ctx, NULL, &len, in, lengths[i]) <= 0);
            CHECK(EVP_CipherUpdate(ctx, NULL, &len, NULL, lengths[i]) <= 0); /* CCM: the text's */
        }
        CHECK(EVP_Cipher(ctx, out, in, (unsigned)lengths[i]) < 0);
        CHECK(error_speaks_of("expected 0 to"));
        CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1));
    }
    ERR_clear_error();
    check_next_message(ctx, subject);
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

/* ----------------------------------------------------------------------------------------------- commands */

/* What a context is at. */
enum at { NO_KEY, NO_TEXT, IN_TEXT, AFTER_TEXT, IV_GENERATED, RECORD_ANNOUNCED, STATES };

static EVP_CIPHER_CTX *context_at(const struct subject *subject, enum at at)
{
    EVP_CIPHER_CTX *ctx = begin(subject);
    unsigned char aad[EVP_AEAD_TLS1_AAD_LEN] = {[9] = 3, [10] = 3, [11] = 1}, out[80], in[32] = {0};
    int len;

    if (at == NO_KEY) {
        CHECK(EVP_CIPHER_CTX_reset(ctx));
        CHECK(ways_cipher_init(card, ctx, subject->cipher, NULL, NULL, subject->encrypt));
    } else if (at == IN_TEXT || at == AFTER_TEXT) { /* or refused: CCM wants a tag before */
        EVP_CipherUpdate(ctx, out, &len, in, sizeof(in));
        if (at == AFTER_TEXT)
            EVP_CipherFinal_ex(ctx, out + 32, &len);
    } else if (at == IV_GENERATED) {
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, -1, in);
    } else if (at == RECORD_ANNOUNCED) {
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad);
    }
    return ctx;
}

/* A command whose argument is the length of what the application has: more than there is cannot be told from
 * it. And one of EVP's own, whose argument is a context. */
static bool trusts(int type, int arg)
{
    return type == EVP_CTRL_COPY || (type == EVP_CTRL_AEAD_SET_MAC_KEY && arg > ROOM);
}

/* EVP itself follows the pointer, for a provider. */
static bool is_followed(int type)
{
    return card_is_provider() &&
           (type == EVP_CTRL_TLS1_1_MULTIBLOCK_AAD || type == EVP_CTRL_TLS1_1_MULTIBLOCK_ENCRYPT);
}

static void run_commands(const struct subject *subject, enum at at)
{
    static const int args[] = {INT_MIN, INT_MIN + 1, INT_MIN + 14, INT_MIN + 15, INT_MIN + 16, -129, -16, -2,
        -1, 0, 1, 2, 3, 4, 7, 8, 12, 13, 14, 15, 16, 17, 32, 33, 128, 129, INT_MAX - 15, INT_MAX - 1,
        INT_MAX};
    static unsigned char room[ROOM];

    for (int type = 0; type < 0x30; type++) {
        for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
            EVP_CIPHER_CTX *ctx = context_at(subject, at);

            memset(room, 0, sizeof(room));
            if (!is_followed(type))
                EVP_CIPHER_CTX_ctrl(ctx, type, args[i], NULL);
            if (!trusts(type, args[i]))
                EVP_CIPHER_CTX_ctrl(ctx, type, args[i], room);
            EVP_CIPHER_CTX_set_num(ctx, args[i]);
            check_next_message(ctx, subject);
            EVP_CIPHER_CTX_free(ctx);
        }
    }
    ERR_clear_error();
}

static void refuses(const EVP_CIPHER *cipher, int type, int arg, const char *words)
{
    EVP_CIPHER_CTX *ctx = begin(&(struct subject){cipher, 1});
    unsigned char room[256] = {0};

    CHECK(EVP_CIPHER_CTX_ctrl(ctx, type, arg, room) <= 0);
    /* EVP gives a provider no negative length, and no wrong length of the length field. */
    if (!card_is_provider())
        CHECK(error_speaks_of(words));
    else if (arg >= 0 && type != EVP_CTRL_CCM_SET_L)
        CHECK(error_speaks_of("invalid iv length"));
    EVP_CIPHER_CTX_free(ctx);
}

static void words(void)
{
    refuses(EVP_aes_128_gcm(), EVP_CTRL_AEAD_SET_IVLEN, INT_MIN, "expected 1 to 128");
    refuses(EVP_aes_128_ccm(), EVP_CTRL_AEAD_SET_IVLEN, INT_MIN, "nonce has -2147483648 bytes");
    refuses(EVP_aes_128_ccm(), EVP_CTRL_AEAD_SET_IVLEN, INT_MAX, "nonce has 2147483647 bytes");
    refuses(EVP_aes_128_ccm(), EVP_CTRL_CCM_SET_L, INT_MIN, "length field has -2147483648 bytes");
    refuses(EVP_aes_128_ccm(), EVP_CTRL_CCM_SET_L, 9, "expected 2 to 8");
    if (ways_have_cipher(card, EVP_aes_128_cbc_hmac_sha1()))
        refuses(EVP_aes_128_cbc_hmac_sha1(), EVP_CTRL_AEAD_SET_MAC_KEY, -1, "MAC key has -1 bytes");
}

int main(void)
{
    test_begin(120);
    card = ways_card("SYNC_OFFLOAD:1");
    ERR_clear_error();
    words();
    for (unsigned i = 0; i < sizeof(nids) / sizeof(nids[0]); i++) {
        for (int encrypt = 0; encrypt < 2; encrypt++) {
            struct subject subject = {EVP_get_cipherbynid(nids[i]), encrypt};

            if (!ways_have_cipher(card, subject.cipher))
                continue; /* CBC with HMAC needs AES instructions */
            for (enum way way = 0; way < WAYS; way++)
                CHECK(way_run(way, update, &subject));
            for (enum at at = 0; at < STATES; at++)
                run_commands(&subject, at);
        }
    }
    CHECK(card_count(card, "completed") > 0);
    card_unload(card);
    return 0;
}
