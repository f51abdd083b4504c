/* SPDX-License-Identifier: Apache-2.0 */
/* Input that is wrong: refused with an error, nothing harmed, the next operation works. All on the card, in a
 * job and not. */
#include <openssl/bn.h>
#include <openssl/err.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

static ENGINE *engine;
static const unsigned char key[] = "a key whose two halves are different, as XTS wants them to be..";
static const unsigned char iv[] = "fedcba9876543210";

static int rsa_ranges(void *arg)
{
    RSA *rsa = engine_rsa(engine);
    const BIGNUM *n;
    unsigned char in[300] = {0}, out[256], signature[256];
    BIGNUM *sum = BN_new();

    (void)arg;
    RSA_get0_key(rsa, &n, NULL, NULL);
    /* signature + n is another number for the same residue: it must not verify. Take one for which it fits.
     */
    do {
        in[0]++;
        CHECK(RSA_private_encrypt(20, in, signature, rsa, RSA_PKCS1_PADDING) == 256);
        CHECK(BN_bin2bn(signature, 256, sum) && BN_add(sum, sum, n));
    } while (BN_num_bytes(sum) > 256);
    CHECK_EQ(RSA_public_decrypt(256, signature, out, rsa, RSA_PKCS1_PADDING), 20);
    CHECK(BN_bn2binpad(sum, signature, 256) == 256);
    CHECK_EQ(RSA_public_decrypt(256, signature, out, rsa, RSA_PKCS1_PADDING), -1);
    CHECK(error_speaks_of("data too large for modulus"));
    memset(in, 0xff, sizeof(in));
    CHECK_EQ(RSA_private_encrypt(256, in, out, rsa, RSA_NO_PADDING), -1);
    CHECK(error_speaks_of("data too large"));
    CHECK_EQ(RSA_private_decrypt(257, in, out, rsa, RSA_PKCS1_PADDING), -1);
    CHECK(error_speaks_of("data greater than mod len"));
    CHECK_EQ(RSA_public_encrypt(250, in, out, rsa, RSA_PKCS1_PADDING), -1);
    CHECK(error_speaks_of("data too large for key size"));
    BN_free(sum);
    RSA_free(rsa);
    return 1;
}

/* Zero is its own signature; libcrypto's X9.31 looks into the number's words, of which a plain zero has none.
 */
static int zero_signature(void *arg)
{
    RSA *rsa = engine_rsa(engine);
    unsigned char zero[256] = {0}, out[256];

    (void)arg;
    CHECK_EQ(RSA_public_decrypt(256, zero, out, rsa, RSA_X931_PADDING), -1);
    CHECK_EQ(RSA_public_decrypt(256, zero, out, rsa, RSA_PKCS1_PADDING), -1);
    CHECK_EQ(RSA_private_encrypt(256, zero, out, rsa, RSA_NO_PADDING), 256);
    CHECK_EQ(memcmp(out, zero, 256), 0);
    ERR_clear_error();
    RSA_free(rsa);
    return 1;
}

static int truncated_ciphertext(void *arg)
{
    RSA *rsa = engine_rsa(engine);
    unsigned char in[16] = "secret", out[256], ciphertext[256];

    (void)arg;
    CHECK_EQ(RSA_public_encrypt(16, in, ciphertext, rsa, RSA_PKCS1_OAEP_PADDING), 256);
    CHECK_EQ(RSA_private_decrypt(255, ciphertext, out, rsa, RSA_PKCS1_OAEP_PADDING), -1);
    CHECK_EQ(RSA_private_decrypt(256, ciphertext, out, rsa, RSA_PKCS1_OAEP_PADDING), 16);
    CHECK_EQ(memcmp(in, out, 16), 0);
    ERR_clear_error();
    RSA_free(rsa);
    return 1;
}

static int public_key_only(void *arg)
{
    RSA *whole = engine_rsa(NULL), *rsa = RSA_new_method(engine);
    const BIGNUM *n, *e;
    unsigned char in[256] = {1}, out[256];

    (void)arg;
    RSA_get0_key(whole, &n, &e, NULL);
    CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), NULL));
    CHECK_EQ(RSA_private_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), -1);
    CHECK(error_speaks_of("missing private key"));
    CHECK_EQ(RSA_public_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), 256);
    RSA_free(whole);
    RSA_free(rsa);
    return 1;
}

/* Without its private exponent a key still signs, by its CRT values; and if those are wrong, nothing wrong
 * comes out: libcrypto alone would follow a NULL. */
static int key_without_exponent(void *arg)
{
    RSA *whole = engine_rsa(NULL);
    const BIGNUM *n, *e, *p, *q, *dmp1, *dmq1, *iqmp;
    unsigned char in[256] = {1}, out[256], wanted[256];

    (void)arg;
    RSA_get0_key(whole, &n, &e, NULL);
    RSA_get0_factors(whole, &p, &q);
    RSA_get0_crt_params(whole, &dmp1, &dmq1, &iqmp);
    CHECK_EQ(RSA_private_encrypt(20, in, wanted, whole, RSA_PKCS1_PADDING), 256);
    for (int wrong = 0; wrong < 2; wrong++) {
        RSA *rsa = RSA_new_method(engine);
        BIGNUM *exponent = BN_dup(dmp1);

        CHECK(BN_add_word(exponent, wrong ? 2 : 0));
        CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), NULL));
        CHECK(RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)));
        CHECK(RSA_set0_crt_params(rsa, exponent, BN_dup(dmq1), BN_dup(iqmp)));
        CHECK_EQ(RSA_private_encrypt(20, in, out, rsa, RSA_PKCS1_PADDING), 256);
        CHECK_EQ(memcmp(out, wanted, sizeof(out)), 0);
        RSA_free(rsa);
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
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), engine, key, iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, 20));
    CHECK(!EVP_EncryptFinal_ex(ctx, text, &len));
    CHECK(error_speaks_of("data not multiple of block length"));
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_xts(), engine, key, iv));
    CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, 15));
    CHECK(error_speaks_of("a data unit has at least 16"));
    memset(text, 7, 32);
    CHECK(!EVP_EncryptInit_ex(ctx, EVP_aes_128_xts(), engine, text, iv));
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
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), engine, key, iv));
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 0, NULL) > 0, 0);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 129, NULL) > 0, 0);
    CHECK(error_speaks_of("expected 1 to 128"));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)) && EVP_EncryptFinal_ex(ctx, text, &len));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) > 0);
    CHECK(!EVP_EncryptUpdate(ctx, text, &len, text, 16)); /* an IV is used once */
    CHECK(error_speaks_of("no IV was set"));
    CHECK(EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), engine, key, iv));
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
            CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), engine, key, NULL));
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
    const EVP_CIPHER *ciphers[] = {EVP_aes_128_cbc(), EVP_aes_128_ecb(), EVP_aes_128_xts()};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[4096] = {0};
    int len;

    (void)arg;
    for (unsigned i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        CHECK(EVP_EncryptInit_ex(ctx, ciphers[i], engine, key, iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
        CHECK(EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv));
        CHECK(!EVP_DecryptUpdate(ctx, text, &len, text, sizeof(text)));
        CHECK(error_speaks_of("no key was set for this direction"));
        CHECK(EVP_DecryptInit_ex(ctx, NULL, NULL, key, iv));
        CHECK(EVP_DecryptUpdate(ctx, text, &len, text, sizeof(text)));
    }
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_ccm(), engine, NULL, NULL));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1);
    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, key, iv));
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
        CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), engine, key, iv));
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

    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), engine, key, iv));
    engine_command(engine, "HOLD", "compute");
    job_init(&job, BY_FD, update_once, ctx);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK(!EVP_EncryptUpdate(ctx, other, &len, other, sizeof(other)));
    CHECK(error_speaks_of("still in flight"));
    CHECK(!EVP_CIPHER_CTX_copy(copy, ctx));
    CHECK(error_speaks_of("still in flight"));
    engine_command(engine, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(copy);
    job_free(&job);
}

int main(void)
{
    static int (*const works[])(void *) = {rsa_ranges, zero_signature, truncated_ciphertext, public_key_only,
        key_without_exponent, key_without_exponent, cipher_lengths, gcm_rules, gcm_iv_of_another_length,
        key_and_nonce_of_another, turned_around};

    test_begin(60);
    engine = engine_load(ALL_SIZES ";SYNC_OFFLOAD:1");
    for (unsigned i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        CHECK_EQ(works[i](NULL), 1);
        in_a_job(works[i], BY_FD);
        in_a_job(works[i], BY_CALLBACK);
    }
    shared_context();
    CHECK(engine_count(engine, "completed") > 0);
    engine_unload(engine);
    return 0;
}
