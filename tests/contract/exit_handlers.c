/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handler of exit(3) still does that was registered before libcrypto was used, as a static object's
 * destructor is: it runs when the engine's card has stopped and libcrypto has been cleaned up. It signs,
 * verifies and encrypts as it would with libcrypto alone, and frees what it has of the engine's, by the last
 * reference. "cleanup": the same after OPENSSL_cleanup(3).
 */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

static const int ciphers[] = {NID_aes_128_cbc, NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_128_ccm,
    NID_aes_256_ecb, NID_aes_128_xts, NID_aes_128_cfb128, NID_aes_192_ofb128, NID_aes_128_cbc_hmac_sha256};

#define CIPHERS (sizeof(ciphers) / sizeof(ciphers[0]))

static RSA *rsa, *unused;
static EVP_PKEY *pkey;
static EVP_CIPHER_CTX *contexts[CIPHERS], *text_context;
static unsigned char text[WORK_BYTES], expected[WORK_BYTES], signature[256];
static struct job job;

static int sign(void *arg)
{
    unsigned char out[256];

    (void)arg;
    return RSA_private_encrypt(32, text, out, rsa, RSA_PKCS1_PADDING) == sizeof(out) &&
           memcmp(out, signature, sizeof(out)) == 0;
}

static int verify(void)
{
    unsigned char out[256];

    return RSA_public_decrypt(sizeof(signature), signature, out, rsa, RSA_PKCS1_PADDING) == 32 &&
           memcmp(out, text, 32) == 0;
}

static void encrypt(unsigned char *out)
{
    static const unsigned char iv[16];
    int len;

    CHECK(EVP_EncryptInit_ex(text_context, NULL, NULL, NULL, iv));
    CHECK(EVP_EncryptUpdate(text_context, out, &len, text, sizeof(text)));
    CHECK_EQ(len, sizeof(text));
}

static void use(void)
{
    unsigned char out[WORK_BYTES];

    CHECK_EQ(sign(NULL), 1);
    CHECK_EQ(verify(), 1);
    encrypt(out);
    CHECK_EQ(memcmp(out, expected, sizeof(out)), 0);
}

static void late(void)
{
    use();
    for (unsigned i = 0; i < CIPHERS; i++)
        EVP_CIPHER_CTX_free(contexts[i]);
    EVP_CIPHER_CTX_free(text_context);
    EVP_PKEY_free(pkey);
    RSA_free(rsa);
    RSA_free(unused);
}

/* With a key, and a text under way: there is something to free. */
static EVP_CIPHER_CTX *new_context(ENGINE *engine, int nid)
{
    unsigned char key[64], iv[16] = {2}, out[64];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    CHECK(EVP_EncryptInit_ex(ctx, ENGINE_get_cipher(engine, nid), engine, NULL, NULL));
    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, key, iv));
    CHECK(EVP_EncryptUpdate(ctx, out, &len, text, 32));
    return ctx;
}

int main(int argc, char **argv)
{
    static const unsigned char key[16] = {3};
    ENGINE *engine;

    test_begin(30);
    CHECK_EQ(argc, 2);
    if (strcmp(argv[1], "exit") == 0)
        CHECK_EQ(atexit(late), 0);
    engine = engine_load("WORKERS:1;SYNC_OFFLOAD:1");
    memset(text, 1, sizeof(text));
    for (unsigned i = 0; i < CIPHERS; i++)
        contexts[i] = new_context(engine, ciphers[i]);
    text_context = EVP_CIPHER_CTX_new();
    CHECK(EVP_EncryptInit_ex(text_context, EVP_aes_128_cbc(), engine, key, NULL));
    rsa = engine_rsa(engine);
    unused = engine_rsa(engine);
    pkey = EVP_PKEY_new();
    CHECK(EVP_PKEY_set1_RSA(pkey, rsa));
    CHECK_EQ(RSA_private_encrypt(32, text, signature, rsa, RSA_PKCS1_PADDING), sizeof(signature));
    encrypt(expected);
    CHECK(engine_count(engine, "aes_cbc") > 0 && engine_count(engine, "rsa_priv") == 1); /* by the card */
    job_init(&job, BY_FD, sign, NULL);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    if (strcmp(argv[1], "cleanup") == 0) {
        OPENSSL_cleanup();
        late();
    }
    return 0;
}
