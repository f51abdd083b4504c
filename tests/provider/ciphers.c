/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cipher of the provider against libcrypto's own of the same name: which parameters there are, what
 * they answer at each moment, and what random sequences of calls return and write. CIPHER SEED ROUNDS
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sides.h"

/* ------------------------------------------------------------------------------------ modes without a tag */

/* A text of which both sides are told the same, in any order. */
struct text {
    unsigned char key[64], iv[16];
    unsigned mode;
    int encrypt;
    bool gathers, pads;
    int gathered; /* since the text began */
};

static unsigned char in[TEXT_MAX];

static void begin(struct text *t)
{
    renew();
    fill(in, sizeof(in));
    fill(t->key, sizeof(t->key));
    fill(t->iv, sizeof(t->iv));
    if (lot(20) == 0 && t->mode != EVP_CIPH_XTS_MODE) /* with which libcrypto's crashes */
        BOTH("without a key", EVP_CipherInit_ex2(s->context, s->cipher, NULL, t->iv, t->encrypt, NULL));
    else
        BOTH("init", EVP_CipherInit_ex2(s->context, s->cipher, t->key, t->iv, t->encrypt, NULL));
    if (lot(3) == 0) {
        BOTH("padding", EVP_CIPHER_CTX_set_padding(s->context, 0));
        t->pads = false;
    }
}

/* The text begins again: with another IV, with another key, or as it is. */
static void begin_again(struct text *t)
{
    t->gathered = 0;
    switch (lot(3)) {
    case 0:
        fill(t->iv, sizeof(t->iv));
        BOTH("new IV", EVP_CipherInit_ex2(s->context, NULL, NULL, t->iv, -1, NULL));
        break;
    case 1:
        BOTH("the same again", EVP_CipherInit_ex2(s->context, NULL, NULL, NULL, -1, NULL));
        break;
    default:
        fill(t->key, sizeof(t->key));
        BOTH("new key", EVP_CipherInit_ex2(s->context, NULL, t->key, NULL, -1, NULL));
    }
}

static void update_in_place(struct text *t, int len)
{
    for (struct side *s = sides; s < sides + SIDES; s++) {
        memcpy(s->out, in, (size_t)len);
        s->len = -1;
        s->result = EVP_CipherUpdate(s->context, s->out, &s->len, s->out, len);
        if (!s->result)
            memset(s->out, 0, sizeof(s->out));
    }
    t->gathered += len;
    same("update in place");
}

static void one_call(struct text *t)
{
    static const unsigned lengths[] = {0, 1, 15, 16, 17, 31, 32, 33, 64, 100, 1024, 2047, 2048, 4096, 5000};
    int len = (int)(lot(3) == 0 ? lot(TEXT_MAX) : lengths[lot(sizeof(lengths) / sizeof(lengths[0]))]);

    switch (lot(14)) {
    case 0:
    case 1:
    case 2:
        begin_again(t);
        break;
    case 3:
        copy_both();
        break;
    case 4:
        if (t->gathers)
            len -= len % 16; /* libcrypto's computes what is beyond a block as it likes */
        BOTH("EVP_Cipher", EVP_Cipher(s->context, s->out, in, (unsigned)len));
        break;
    case 5:
        t->gathered = 0;
        BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
        break;
    case 6:
        same_context_answers();
        break;
    case 7: /* in place, where no part of a block waits, which would move the text */
        if (!t->gathers || (t->gathered % 16 == 0 && (t->encrypt || !t->pads)))
            update_in_place(t, len);
        break;
    default:
        t->gathered += len;
        BOTH("update", EVP_CipherUpdate(s->context, s->out, &s->len, in, len));
    }
}

static void text_round(void)
{
    struct text t = {.encrypt = (int)lot(2), .pads = true};

    t.mode = (unsigned)EVP_CIPHER_get_mode(sides[0].cipher);
    t.gathers = t.mode == EVP_CIPH_CBC_MODE || t.mode == EVP_CIPH_ECB_MODE;
    begin(&t);
    /* After a failure a context may be in any state. */
    for (uint32_t calls = lot(12); calls > 0 && sides[0].result > 0; calls--)
        one_call(&t);
    if (sides[0].result <= 0)
        return;
    BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
    if (sides[0].result > 0)
        same_context_answers();
}

/* -------------------------------------------------------------------------------------------- TLS records */

static unsigned long macs_made_up;

/* The record's MAC, where it was taken off. */
static const unsigned char *mac_of(struct side *side, size_t mac_len)
{
    void *mac = NULL;
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_octet_ptr(OSSL_CIPHER_PARAM_TLS_MAC, &mac, mac_len), OSSL_PARAM_END};

    CHECK_EQ(EVP_CIPHER_CTX_get_params(side->context, params), 1);
    CHECK_EQ(params[0].return_size, mac_len);
    return mac;
}

/*
 * A CBC record of any length, with right padding or bytes that may happen to be right: both sides take off as
 * much. Where the padding is right, they find the same MAC; where it is wrong, ours is not in the record.
 */
static void record_round(void)
{
    static const unsigned versions[] = {0x0301, 0x0302, 0x0303, 0xfeff, 0xfefd};
    static const size_t mac_lens[] = {0, 16, 20, 32, 48};
    static unsigned char plain[1024], sealed[1024];
    unsigned version = versions[lot(5)];
    size_t mac_len = mac_lens[lot(5)], too_long = EVP_MAX_MD_SIZE + 1;
    unsigned char key[32], iv[16];
    int len = 16 * (int)(1 + lot(lot(2) == 0 ? 4 : sizeof(plain) / 16)), n;
    bool right = lot(3) != 0;
    OSSL_PARAM params[3] = {OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_TLS_VERSION, &version),
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_TLS_MAC_SIZE, &mac_len), OSSL_PARAM_END};
    OSSL_PARAM wrong[2] = {
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_TLS_MAC_SIZE, &too_long), OSSL_PARAM_END};

    renew();
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    fill(plain, sizeof(plain));
    if (right) {
        unsigned padding = lot((uint32_t)(len < 256 ? len : 256));

        memset(plain + len - 1 - padding, (int)padding, padding + 1);
    } else if (lot(2) == 0) {
        plain[len - 1] = (unsigned char)lot(20);
    }
    CHECK_EQ(EVP_EncryptInit_ex2(sides[1].context, sides[1].cipher, key, iv, NULL), 1);
    CHECK_EQ(EVP_CIPHER_CTX_set_padding(sides[1].context, 0), 1);
    CHECK_EQ(EVP_EncryptUpdate(sides[1].context, sealed, &n, plain, len), 1);
    renew();
    for (struct side *s = sides; s < sides + SIDES; s++) {
        CHECK_EQ(EVP_DecryptInit_ex2(s->context, s->cipher, key, iv, NULL), 1);
        CHECK_EQ(EVP_CIPHER_CTX_set_params(s->context, params), 1);
        if (s == sides) /* libcrypto does not look */
            CHECK_EQ(EVP_CIPHER_CTX_set_params(s->context, wrong), 0);
        memcpy(s->out, sealed, (size_t)len);
        s->len = -1;
        s->result = EVP_DecryptUpdate(s->context, s->out, &s->len, s->out, len);
    }
    CHECK_EQ(sides[0].result, sides[1].result);
    ERR_clear_error();
    if (sides[0].result <= 0)
        return;
    CHECK_EQ(sides[0].len, sides[1].len);
    if (mac_len != 0 && memcmp(mac_of(&sides[0], mac_len), mac_of(&sides[1], mac_len), mac_len) != 0) {
        CHECK(!right || len < 16 + (int)mac_len + 256);
        CHECK(memmem(plain, (size_t)len, mac_of(&sides[0], mac_len), mac_len) == NULL);
        CHECK(memmem(plain, (size_t)len, mac_of(&sides[1], mac_len), mac_len) == NULL);
        macs_made_up++;
    }
}

/* --------------------------------------------------------------------------------------------------- main */

int main(int argc, char **argv)
{
    int mode;

    CHECK_EQ(argc, 4);
    sides_begin(argv[1], argv[2]);
    same_list(EVP_CIPHER_gettable_params(sides[0].cipher), EVP_CIPHER_gettable_params(sides[1].cipher));
    same_list(
        EVP_CIPHER_gettable_ctx_params(sides[0].cipher), EVP_CIPHER_gettable_ctx_params(sides[1].cipher));
    same_list(
        EVP_CIPHER_settable_ctx_params(sides[0].cipher), EVP_CIPHER_settable_ctx_params(sides[1].cipher));
    same_cipher_answers();
    mode = EVP_CIPHER_get_mode(sides[0].cipher);
    for (unsigned long rounds = strtoul(argv[3], NULL, 10); rounds > 0; rounds--) {
        say_state();
        if (mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CCM_MODE) {
            aead_round(mode == EVP_CIPH_CCM_MODE);
            sealed_and_opened(mode == EVP_CIPH_CCM_MODE);
        } else {
            text_round();
        }
        if (mode == EVP_CIPH_CBC_MODE && strstr(argv[1], "HMAC") == NULL)
            record_round();
    }
    CHECK(mode != EVP_CIPH_CBC_MODE || strstr(argv[1], "HMAC") != NULL || macs_made_up > 0);
    sides_end();
    return 0;
}
