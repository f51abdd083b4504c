/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handler of exit(3) still does that was registered before libcrypto was used, as a static object's
 * destructor is: it runs when the card has stopped and libcrypto has been cleaned up. It signs,
 * verifies and encrypts as it would with libcrypto alone, and frees what it has of the module's, by the last
 * reference. "cleanup": the same after OPENSSL_cleanup(3).
 */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

static const char *const ciphers[] = {"AES-128-CBC", "AES-256-CTR", "AES-128-GCM", "AES-128-CCM",
    "AES-256-ECB", "AES-128-XTS", "AES-128-CFB", "AES-192-OFB", "AES-128-CBC-HMAC-SHA256"};

#define CIPHERS (sizeof(ciphers) / sizeof(ciphers[0]))

static EVP_PKEY *key, *unused;
static EVP_PKEY_CTX *signer, *verifier;
static EVP_CIPHER_CTX *contexts[CIPHERS], *text_context;
static unsigned char text[WORK_BYTES], expected[WORK_BYTES], signature[256];
static struct job job;

static int sign(void *arg)
{
    unsigned char out[256];
    size_t len = sizeof(out);

    (void)arg;
    return EVP_PKEY_sign(signer, out, &len, text, 32) == 1 && len == sizeof(out) &&
           memcmp(out, signature, sizeof(out)) == 0;
}

static int verify(void)
{
    unsigned char out[256];
    size_t len = sizeof(out);

    return EVP_PKEY_verify_recover(verifier, out, &len, signature, sizeof(signature)) == 1 && len == 32 &&
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
    EVP_PKEY_CTX_free(signer);
    EVP_PKEY_CTX_free(verifier);
    EVP_PKEY_free(key);
    EVP_PKEY_free(unused);
}

/* With a key, and a text under way: there is something to free. */
static EVP_CIPHER_CTX *new_context(struct card *card, const char *cipher)
{
    unsigned char bytes[64], iv[16] = {2}, out[64];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    CHECK(card_cipher_init(card, ctx, cipher, NULL, NULL, 1));
    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, bytes, iv));
    CHECK(EVP_EncryptUpdate(ctx, out, &len, text, 32));
    return ctx;
}

int main(int argc, char **argv)
{
    static const unsigned char bytes[16] = {3};
    struct card *card;
    size_t len = sizeof(signature);

    test_begin(100);
    CHECK_EQ(argc, 2);
    if (strcmp(argv[1], "exit") == 0)
        CHECK_EQ(atexit(late), 0);
    card = card_load_for_good("WORKERS:1;SYNC_OFFLOAD:1");
    memset(text, 1, sizeof(text));
    for (unsigned i = 0; i < CIPHERS; i++)
        contexts[i] = new_context(card, ciphers[i]);
    text_context = EVP_CIPHER_CTX_new();
    CHECK(card_cipher_init(card, text_context, "AES-128-CBC", bytes, NULL, 1));
    key = test_key(card);
    unused = test_key(card);
    signer = card_key_context(card, key, EVP_PKEY_sign_init, RSA_PKCS1_PADDING);
    verifier = card_key_context(card, key, EVP_PKEY_verify_recover_init, RSA_PKCS1_PADDING);
    CHECK(EVP_PKEY_sign(signer, signature, &len, text, 32) == 1 && len == sizeof(signature));
    encrypt(expected);
    CHECK(card_count(card, "aes_cbc") > 0 && card_count(card, "rsa_priv") == 1); /* by the card */
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
