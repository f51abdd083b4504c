/* SPDX-License-Identifier: Apache-2.0 */
/* Input that is wrong: refused with an error, nothing harmed, the next operation works. All on the card, in a
 * job and not. */
#include <openssl/bn.h>
#include <openssl/err.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

static struct card *card;
static const unsigned char aes_key[] = "a key whose two halves are different, as XTS wants them to be..";
static const unsigned char iv[] = "fedcba9876543210";

/* A provider's ciphers give libcrypto's own reasons. */
static bool refused(const char *by_engine, const char *by_provider)
{
    return error_speaks_of(card_is_provider() ? by_provider : by_engine);
}

static int rsa_ranges(void *arg)
{
    EVP_PKEY *key = test_key(card);
    RSA *numbers = test_rsa();
    const BIGNUM *n = RSA_get0_n(numbers);
    unsigned char in[300] = {0}, out[256], signature[256];
    BIGNUM *sum = BN_new();

    (void)arg;
    /* signature + n is another number for the same residue: it must not verify. Take one for which it
     * fits. */
    do {
        in[0]++;
        CHECK(key_sign(card, key, RSA_PKCS1_PADDING, in, 20, signature) == 256);
        CHECK(BN_bin2bn(signature, 256, sum) && BN_add(sum, sum, n));
    } while (BN_num_bytes(sum) > 256);
    CHECK_EQ(key_recover(card, key, RSA_PKCS1_PADDING, signature, 256, out), 20);
    CHECK(BN_bn2binpad(sum, signature, 256) == 256);
    CHECK_EQ(key_recover(card, key, RSA_PKCS1_PADDING, signature, 256, out), -1);
    CHECK(error_speaks_of("data too large for modulus"));
    memset(in, 0xff, sizeof(in));
    CHECK_EQ(key_sign(card, key, RSA_NO_PADDING, in, 256, out), -1);
    CHECK(error_speaks_of("data too large"));
    CHECK_EQ(key_decrypt(card, key, RSA_PKCS1_PADDING, in, 257, out), -1);
    CHECK(error_speaks_of("data greater than mod len"));
    CHECK_EQ(key_encrypt(card, key, RSA_PKCS1_PADDING, in, 250, out), -1);
    CHECK(error_speaks_of("data too large for key size"));
    BN_free(sum);
    RSA_free(numbers);
    EVP_PKEY_free(key);
    return 1;
}

/* Zero is its own signature; libcrypto's X9.31 looks into the number's words, of which a plain zero has
 * none. */
static int zero_signature(void *arg)
{
    EVP_PKEY *key = test_key(card);
    unsigned char zero[256] = {0}, out[256];

    (void)arg;
    CHECK_EQ(key_recover(card, key, RSA_X931_PADDING, zero, 256, out), -1);
    CHECK_EQ(key_recover(card, key, RSA_PKCS1_PADDING, zero, 256, out), -1);
    CHECK_EQ(key_sign(card, key, RSA_NO_PADDING, zero, 256, out), 256);
    CHECK_EQ(memcmp(out, zero, 256), 0);
    ERR_clear_error();
    EVP_PKEY_free(key);
    return 1;
}

static int truncated_ciphertext(void *arg)
{
    EVP_PKEY *key = test_key(card);
    unsigned char in[16] = "secret", out[256], ciphertext[256];

    (void)arg;
    CHECK_EQ(key_encrypt(card, key, RSA_PKCS1_OAEP_PADDING, in, 16, ciphertext), 256);
    CHECK_EQ(key_decrypt(card, key, RSA_PKCS1_OAEP_PADDING, ciphertext, 255, out), -1);
    CHECK_EQ(key_decrypt(card, key, RSA_PKCS1_OAEP_PADDING, ciphertext, 256, out), 16);
    CHECK_EQ(memcmp(in, out, 16), 0);
    ERR_clear_error();
    EVP_PKEY_free(key);
    return 1;
}

static int public_key_only(void *arg)
{
    RSA *whole = test_rsa(), *half = RSA_new();
    unsigned char in[256] = {1}, out[256];
    EVP_PKEY *key;

    (void)arg;
    CHECK(RSA_set0_key(half, BN_dup(RSA_get0_n(whole)), BN_dup(RSA_get0_e(whole)), NULL));
    key = card_key(card, half);
    CHECK(key != NULL);
    CHECK_EQ(key_sign(card, key, RSA_PKCS1_PADDING, in, 20, out), -1);
    CHECK(error_speaks_of("missing private key"));
    CHECK_EQ(key_encrypt(card, key, RSA_PKCS1_PADDING, in, 20, out), 256);
    EVP_PKEY_free(key);
    RSA_free(half);
    RSA_free(whole);
    return 1;
}

/* Without its private exponent a key still signs, by its CRT values; and if those are wrong, nothing wrong
 * comes out: libcrypto alone would follow a NULL. A provider takes no such key: libcrypto's own does not. */
static int key_without_exponent(void *arg)
{
    RSA *whole = test_rsa();
    unsigned char in[256] = {1}, out[256], wanted[256];

    (void)arg;
    CHECK_EQ(RSA_private_encrypt(20, in, wanted, whole, RSA_PKCS1_PADDING), 256);
    for (int wrong = 0; wrong < 2; wrong++) {
        RSA *numbers = RSA_new();
        BIGNUM *exponent = BN_dup(RSA_get0_dmp1(whole));
        EVP_PKEY *key;

        CHECK(BN_add_word(exponent, wrong ? 2 : 0));
        CHECK(RSA_set0_key(numbers, BN_dup(RSA_get0_n(whole)), BN_dup(RSA_get0_e(whole)), NULL));
        CHECK(RSA_set0_factors(numbers, BN_dup(RSA_get0_p(whole)), BN_dup(RSA_get0_q(whole))));
        CHECK(RSA_set0_crt_params(
            numbers, exponent, BN_dup(RSA_get0_dmq1(whole)), BN_dup(RSA_get0_iqmp(whole))));
        key = card_key(card, numbers);
        CHECK(key != NULL);
        CHECK_EQ(key_sign(card, key, RSA_PKCS1_PADDING, in, 20, out), 256);
        CHECK_EQ(memcmp(out, wanted, sizeof(out)), 0);
        EVP_PKEY_free(key);
        RSA_free(numbers);
    }
    RSA_free(whole);
    return 1;
}

static int cipher_lengths(void *arg)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[64] = {0};
    int len;

    (void)arg;
    CHECK(card_cipher_init(card, ctx, "AES-256-CBC", aes_key, iv, 1) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, 20));
    CHECK(!EVP_EncryptFinal_ex(ctx, text, &len));
    CHECK(refused("data not multiple of block length", "wrong final block length"));
    CHECK(card_cipher_init(card, ctx, "AES-128-XTS", aes_key, iv, 1));
    CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, 15));
    CHECK(error_speaks_of("a data unit has at least 16"));
    memset(text, 7, 32);
    CHECK(!card_cipher_init(card, ctx, "AES-128-XTS", text, iv, 1));
    CHECK(error_speaks_of("halves of the XTS key are equal"));
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static int gcm_rules(void *arg)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[4096] = {0}, tag[16];
    int len;

    (void)arg;
    CHECK(card_cipher_init(card, ctx, "AES-128-GCM", aes_key, iv, 1));
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 0, NULL) > 0, 0);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 129, NULL) > 0, 0);
    CHECK(refused("expected 1 to 128", "invalid iv length"));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)) && EVP_EncryptFinal_ex(ctx, text, &len));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) > 0);
    CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, 16)); /* an IV is used once */
    CHECK(error_speaks_of("no IV was set"));
    CHECK(card_cipher_init(card, ctx, "AES-128-GCM", aes_key, iv, 0));
    CHECK(EVP_DecryptUpdate(ctx, text, &len, text, sizeof(text)));
    tag[15] ^= 1;
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) > 0);
    CHECK(!EVP_DecryptFinal_ex(ctx, text, &len));
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

/* An IV that was set is none of another length: nothing is encrypted under one that nobody gave. */
static int gcm_iv_of_another_length(void *arg)
{
    static const int lengths[][2] = {{12, 16}, {16, 12}, {12, 8}, {128, 127}};
    static const unsigned char long_iv[128] = {1, 2, 3};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[4096] = {0}, out[16];
    int len;

    (void)arg;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int begun = 0; begun < 2; begun++) {
            CHECK(card_cipher_init(card, ctx, "AES-128-GCM", aes_key, NULL, 1));
            CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, lengths[i][0], NULL) == 1);
            CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, long_iv));
            CHECK(!begun || EVP_EncryptUpdate(ctx, text, &len, text, 16));
            CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, lengths[i][1], NULL) == 1);
            CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)));
            CHECK(error_speaks_of("no IV was set"));
            CHECK(!EVP_EncryptFinal_ex(ctx, text, &len));
            ERR_clear_error();
            CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, long_iv));
            CHECK(EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)));
        }
        /* Nor is it one to count on from. */
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, lengths[i][0], NULL) == 1);
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, -1, (void *)long_iv) == 1);
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, lengths[i][1], NULL) == 1);
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_IV_GEN, 8, out) <= 0);
    }
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

/* A key is for the direction it was set for, where the block cipher has two; and a TLS record's nonce is no
 * one's after it. */
static int key_and_nonce_of_another(void *arg)
{
    static const unsigned char aad[EVP_AEAD_TLS1_AAD_LEN] = {[11] = 1};
    static const char *const ciphers[] = {"AES-128-CBC", "AES-128-ECB", "AES-128-XTS"};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[4096] = {0};
    int len;

    (void)arg;
    for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        CHECK(card_cipher_init(card, ctx, ciphers[i], aes_key, iv, 1) && EVP_CIPHER_CTX_set_padding(ctx, 0));
        CHECK(EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv));
        CHECK(!EVP_DecryptUpdate(ctx, text, &len, text, sizeof(text)));
        CHECK(error_speaks_of("no key was set for this direction"));
        CHECK(EVP_DecryptInit_ex(ctx, NULL, NULL, aes_key, iv));
        CHECK(EVP_DecryptUpdate(ctx, text, &len, text, sizeof(text)));
    }
    CHECK(card_cipher_init(card, ctx, "AES-128-CCM", NULL, NULL, 1));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1);
    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, aes_key, iv));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), (void *)aad) > 0);
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, 256));
    CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, 256));
    CHECK(error_speaks_of("no nonce was set"));
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

/* A GCM context that encrypted, and is turned to decrypt with the key it has: a wrong tag is refused there,
 * too. */
static int turned_around(void *arg)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[4096] = {1}, sealed[4096], tag[16];
    int len;

    (void)arg;
    for (int wrong = 0; wrong < 2; wrong++) {
        CHECK(card_cipher_init(card, ctx, "AES-256-GCM", aes_key, iv, 1));
        CHECK(EVP_EncryptUpdate(ctx, sealed, &len, text, sizeof(text)));
        CHECK(EVP_EncryptFinal_ex(ctx, sealed, &len));
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) > 0);
        tag[3] ^= (unsigned char)wrong;
        CHECK(EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv));
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) > 0);
        CHECK(EVP_DecryptUpdate(ctx, sealed, &len, sealed, sizeof(text)));
        CHECK_EQ(memcmp(sealed, text, sizeof(text)), 0);
        CHECK_EQ(EVP_DecryptFinal_ex(ctx, sealed, &len), !wrong);
    }
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void in_a_job(int (*work)(void *), enum told_by told_by)
{
    struct job job;

    job_init(&job, told_by, work, NULL);
    job_run(&job);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
}

static int update_once(void *arg)
{
    static unsigned char text[4096];
    int len;

    return EVP_EncryptUpdate(*(EVP_CIPHER_CTX **)arg, text, &len, text, sizeof(text));
}

/* One cipher context used by two jobs at once: an error for the second, and no harm to the first. */
static void shared_context(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new(), *copy = EVP_CIPHER_CTX_new();
    unsigned char other[4096] = {0};
    int len;
    struct job job;

    CHECK(card_cipher_init(card, ctx, "AES-128-CBC", aes_key, iv, 1));
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, update_once, ctx);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK(!EVP_EncryptUpdate(ctx, other, &len, other, sizeof(other)));
    CHECK(error_speaks_of("still in flight"));
    CHECK(!EVP_CIPHER_CTX_copy(copy, ctx));
    CHECK(error_speaks_of("still in flight"));
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(copy);
    job_free(&job);
}

int main(void)
{
    static int (*const works[])(void *) = {rsa_ranges, zero_signature, truncated_ciphertext, public_key_only,
        key_without_exponent, cipher_lengths, gcm_rules, gcm_iv_of_another_length, key_and_nonce_of_another,
        turned_around};

    test_begin(60);
    card = card_load(ALL_SIZES ";SYNC_OFFLOAD:1");
    for (unsigned i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (works[i] == key_without_exponent && card_is_provider())
            continue;
        CHECK_EQ(works[i](NULL), 1);
        in_a_job(works[i], BY_FD);
        in_a_job(works[i], BY_CALLBACK);
    }
    shared_context();
    CHECK(card_count(card, "completed") > 0);
    card_unload(card);
    return 0;
}
