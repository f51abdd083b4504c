/* SPDX-License-Identifier: Apache-2.0 */
/* At the card itself: what CCM and CBC-HMAC refuse is cleansed, and which keys and lengths they take. */
#include "check.h"
#include "ersatz/device.h"

#define TEXT 96u

static struct ersatz_stats stats;

static struct ersatz_cipher *make(enum ersatz_mode mode, bool encrypt)
{
    static const uint8_t key[16] = {7};
    struct ersatz_cipher *cipher;

    CHECK_EQ(ersatz_cipher_new(mode, 128, &cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, sizeof(key), encrypt), ERSATZ_OK);
    return cipher;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

static enum ersatz_result ccm(
    struct ersatz_cipher *cipher, uint8_t *text, size_t len, uint8_t *tag, size_t tag_len, size_t nonce_len)
{
    static const uint8_t nonce[16] = {1};
    struct ersatz_op op = {.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = cipher,
            .long_iv = nonce,
            .iv_len = nonce_len,
            .in = text,
            .out = text,
            .len = len,
            .tag = tag,
            .tag_len = tag_len}};

    return ersatz_compute(&op, &stats);
}

static void check_ccm(void)
{
    struct ersatz_cipher *seal = make(ERSATZ_CCM, true), *open = make(ERSATZ_CCM, false), *none;
    static uint8_t large[65536];
    uint8_t text[TEXT] = {1}, tag[16];

    for (size_t nonce = 0; nonce < 16; nonce++) {
        for (size_t len = 0; len <= 16; len++) {
            bool fits = nonce >= 7 && nonce <= 13 && len >= 4 && len % 2 == 0;

            memset(text, 9, sizeof(text));
            CHECK_EQ(ccm(seal, text, TEXT, tag, len, nonce), fits ? ERSATZ_OK : ERSATZ_BAD_INPUT);
            CHECK_EQ(ccm(open, text, TEXT, tag, len, nonce), fits ? ERSATZ_OK : ERSATZ_BAD_INPUT);
            CHECK_EQ(text[5], 9);
        }
    }
    CHECK_EQ(ccm(seal, text, TEXT, NULL, 8, 12), ERSATZ_BAD_INPUT);
    CHECK_EQ(ccm(seal, large, sizeof(large) - 1, tag, 8, 13), ERSATZ_OK);
    CHECK_EQ(ccm(seal, large, sizeof(large), tag, 8, 13), ERSATZ_BAD_INPUT);
    CHECK_EQ(ccm(seal, text, TEXT, tag, 8, 12), ERSATZ_OK);
    tag[7] ^= 1;
    CHECK_EQ(ccm(open, text, TEXT, tag, 8, 12), ERSATZ_BAD_TAG);
    CHECK(is_zero(text, TEXT));
    CHECK_EQ(ersatz_cipher_set_mac_key(seal, tag, 8), ERSATZ_BAD_KEY);
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC_HMAC_SHA1, 192, &none), ERSATZ_BAD_KEY);
    ersatz_cipher_free(seal);
    ersatz_cipher_free(open);
}

static enum ersatz_result record(struct ersatz_cipher *cipher, uint8_t *text, size_t len, size_t aad_len)
{
    uint8_t aad[13] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 3, 0, 64};
    struct ersatz_op op = {.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = cipher, .aad = aad, .aad_len = aad_len, .in = text, .out = text, .len = len}};

    return ersatz_compute(&op, &stats);
}

static void check_cbc_hmac(enum ersatz_mode mode, size_t sealed)
{
    struct ersatz_cipher *seal, *open;
    uint8_t text[TEXT + 16] = {1};

    if (!ersatz_cipher_is_available(mode, 128))
        return;
    CHECK_EQ(ersatz_cipher_new(mode, 128, &seal), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_mac_key(seal, text, 20), ERSATZ_BAD_KEY); /* the cipher's key comes first */
    ersatz_cipher_free(seal);
    seal = make(mode, true);
    open = make(mode, false);
    CHECK_EQ(ersatz_cipher_set_mac_key(seal, text, 20), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_mac_key(open, text, 20), ERSATZ_OK);
    CHECK_EQ(record(seal, text, sealed, 12), ERSATZ_BAD_INPUT);
    CHECK_EQ(record(seal, text, sealed + 16, 13), ERSATZ_BAD_INPUT);
    CHECK_EQ(record(seal, text, sealed - 1, 13), ERSATZ_BAD_INPUT);
    CHECK_EQ(record(seal, text, 0, 13), ERSATZ_BAD_INPUT);
    CHECK_EQ(record(seal, text, sealed, 13), ERSATZ_OK);
    text[sealed - 20] ^= 1;
    CHECK_EQ(record(open, text, sealed, 13), ERSATZ_BAD_TAG);
    CHECK(is_zero(text, sealed));
    ersatz_cipher_free(seal);
    ersatz_cipher_free(open);
}

int main(void)
{
    test_begin(100);
    check_ccm();
    check_cbc_hmac(ERSATZ_CBC_HMAC_SHA1, 96);    /* 64 + 20, padded */
    check_cbc_hmac(ERSATZ_CBC_HMAC_SHA256, 112); /* 64 + 32, padded */
    return 0;
}
