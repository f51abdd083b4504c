/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was encrypted, decrypted or signed by the card is nowhere in the memory of the process when the
 * operation is over and the application has cleansed what is its own: not on stacks, nor in the card's
 * buffers. Nor is the right tag of a forged message.
 *
 * residue outside|fd KERNEL
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "check.h"
#include "scan.h"
#include "support/card.h"

#define SIZE 256
#define SECRET 48
#define LONG 16384
#define SHORT 13   /* no whole block: the key stream's end is on the stack */
#define CCM_TAG 12 /* the default length */

static struct card *card;
static bool in_a_job;
static EVP_PKEY *rsa;
static RSA *plain;

/* Of the application's, and cleansed by it. */
static unsigned char secret[LONG], cipher[LONG + 32], decrypted[LONG + 32], key[32], iv[16];

static void run(int (*work)(void *))
{
    struct job job;

    if (!in_a_job) {
        CHECK_EQ(work(NULL), 1);
        return;
    }
    job_init(&job, BY_FD, work, NULL);
    job_run(&job);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
}

/* libcrypto's generator keeps the last block that it gave: these are not its bytes. */
static void make_secret(size_t bytes)
{
    CHECK_EQ(RAND_bytes(secret, (int)bytes), 1);
    for (size_t i = 0; i < bytes; i++)
        secret[i] ^= 0x5c;
}

static void expect_none(const char *what, const struct scan *scan)
{
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(decrypted, sizeof(decrypted));
    scan_until_none(what, scan, 1);
}

/* --------------------------------------------------------------------------------------------------- RSA */

static int encrypt_rsa(void *unused)
{
    (void)unused;
    return key_encrypt(card, rsa, RSA_PKCS1_PADDING, secret, SECRET, cipher) == SIZE;
}

static int decrypt_rsa(void *unused)
{
    (void)unused;
    return key_decrypt(card, rsa, RSA_PKCS1_PADDING, cipher, SIZE, decrypted) == SECRET &&
           memcmp(decrypted, secret, SECRET) == 0;
}

static void look_at_rsa(const char *what, int (*work)(void *))
{
    struct scan bytes, digit;

    make_secret(SECRET);
    bytes = scan_for(secret + 16, SCAN_LEN);
    digit = scan_for_digit(secret, SECRET, 3);
    CHECK_EQ(RSA_public_encrypt(SECRET, secret, cipher, plain, RSA_PKCS1_PADDING), SIZE);
    run(work);
    expect_none(what, &bytes);
    expect_none(what, &digit);
}

/* --------------------------------------------------------------------------------------------------- AES */

static const char *mode;
static int len;

static int run_aes(bool encrypt, const unsigned char *in, unsigned char *out)
{
    static unsigned char tag[CCM_TAG];
    bool is_ccm = strstr(mode, "CCM") != NULL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int got, ok;

    ok = card_cipher_init(card, ctx, mode, key, iv, encrypt) && EVP_CIPHER_CTX_set_padding(ctx, 0);
    if (is_ccm && !encrypt)
        ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CCM_TAG, tag);
    ok = ok && EVP_CipherUpdate(ctx, out, &got, in, len) && got == len;
    if (is_ccm && encrypt)
        ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CCM_TAG, tag);
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static int encrypt_aes(void *unused)
{
    (void)unused;
    return run_aes(true, secret, cipher);
}

static int decrypt_aes(void *unused)
{
    (void)unused;
    return run_aes(false, cipher, decrypted) && memcmp(secret, decrypted, (size_t)len) == 0;
}

/* The text, and the key stream, which with the ciphertext is the text. */
static void look_at_aes(const char *which, int bytes)
{
    unsigned char stream[SHORT];
    struct scan text, key_stream;

    mode = which;
    len = bytes;
    make_secret((size_t)len);
    CHECK_EQ(RAND_bytes(key, sizeof(key)), 1);
    text = scan_for(secret, (size_t)len < SCAN_LEN ? (size_t)len : SCAN_LEN);
    run(encrypt_aes);
    for (unsigned i = 0; i < SHORT; i++)
        stream[i] = secret[i] ^ cipher[i];
    key_stream = scan_for(stream, SHORT);
    OPENSSL_cleanse(stream, sizeof(stream));
    run(decrypt_aes);
    run(encrypt_aes); /* what one encryption left, the memory of the decryption may have covered */
    expect_none(which, &text);
    expect_none(which, &key_stream);
}

/* -------------------------------------------------------------------------------------- forged messages */

static unsigned char tag[16];
static int tag_len;

static bool begin_aead(struct card *by, EVP_CIPHER_CTX *ctx, bool encrypt)
{
    return card_cipher_init(by, ctx, mode, NULL, NULL, encrypt) &&
           ((encrypt && strstr(mode, "GCM") != NULL) ||
               EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tag_len, encrypt ? NULL : tag) > 0) &&
           EVP_CipherInit_ex(ctx, NULL, NULL, key, iv, encrypt);
}

/* By libcrypto alone, which is not looked at. */
static void seal_plain(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int got;

    CHECK(begin_aead(NULL, ctx, true));
    CHECK(EVP_EncryptUpdate(ctx, cipher, &got, secret, len) && got == len);
    CHECK(EVP_EncryptFinal_ex(ctx, cipher + len, &got));
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, tag), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static int is_refused(void *unused)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int got, opened;

    (void)unused;
    opened = begin_aead(card, ctx, false) && EVP_DecryptUpdate(ctx, decrypted, &got, cipher, len) > 0 &&
             (strstr(mode, "CCM") != NULL || EVP_DecryptFinal_ex(ctx, decrypted + len, &got) > 0);
    EVP_CIPHER_CTX_free(ctx);
    return !opened;
}

/* What the tag should have been: who learns that has forged the message. */
static void look_at_forged(const char *which, int bytes)
{
    struct scan wanted;

    mode = which;
    len = SHORT;
    tag_len = bytes;
    make_secret((size_t)len);
    seal_plain();
    wanted = scan_for(tag, (size_t)tag_len);
    tag[0] ^= 1;
    CHECK_EQ(scan_memory(&wanted), 0);
    run(is_refused);
    ERR_clear_error();
    expect_none(which, &wanted);
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {
        "AES-128-CBC", "AES-128-CTR", "AES-128-GCM", "AES-128-CCM", "AES-128-CFB", "AES-128-OFB"};
    char command[64];

    test_begin(120);
    CHECK_EQ(argc, 3);
    in_a_job = strcmp(argv[1], "fd") == 0;
    snprintf(command, sizeof(command), "KERNELS:%s", argv[2]);
    plain = test_rsa();
    card = card_load(command);
    rsa = test_key(card);
    make_secret(SECRET);
    { /* what is there is found */
        struct scan scan = scan_for(secret, SCAN_LEN);

        CHECK_EQ(scan_memory(&scan), 1);
    }
    look_at_rsa("encryption", encrypt_rsa);
    look_at_rsa("decryption", decrypt_rsa);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        look_at_aes(modes[i], LONG);
        if (strcmp(modes[i], "AES-128-CBC") != 0)
            look_at_aes(modes[i], SHORT);
    }
    look_at_forged("AES-128-GCM", 16);
    look_at_forged("AES-128-GCM", 12);
    if (strcmp(argv[2], "x86") == 0) { /* libcrypto's CCM leaves it on the stack */
        look_at_forged("AES-128-CCM", 16);
        look_at_forged("AES-128-CCM", 12);
    }
    CHECK(card_count(card, "rsa_pub") > 0);
    EVP_PKEY_free(rsa);
    RSA_free(plain);
    card_unload(card);
    return 0;
}
