/* SPDX-License-Identifier: Apache-2.0 */
/* A process that has confined itself before its first operation, as OpenSSH's sshd does it: no card can start
 * there, and the attempt would end the process. The calling core computes, and computes the right thing. */
#include <openssl/evp.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/seccomp.h"

#define LEN 40000

static const unsigned char key[16] = "a key", iv[16] = "a counter";

static void encipher(struct card *card, unsigned char *out)
{
    static const unsigned char text[LEN];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;

    CHECK_EQ(card_cipher_init(card, ctx, "AES-128-CTR", key, iv, 1), 1);
    CHECK_EQ(EVP_CipherUpdate(ctx, out, &len, text, LEN), 1);
    CHECK_EQ(len, LEN);
    EVP_CIPHER_CTX_free(ctx);
}

static void use(struct card *card, const unsigned char *wanted)
{
    static unsigned char got[LEN];
    unsigned char signature[256], recovered[256];
    EVP_PKEY *pair = test_key(card);

    encipher(card, got);
    CHECK(memcmp(got, wanted, LEN) == 0);
    CHECK_EQ(key_sign(card, pair, RSA_PKCS1_PADDING, key, sizeof(key), signature), sizeof(signature));
    CHECK_EQ(
        key_recover(card, pair, RSA_PKCS1_PADDING, signature, sizeof(signature), recovered), sizeof(key));
    CHECK(memcmp(recovered, key, sizeof(key)) == 0);
    EVP_PKEY_free(pair);
}

int main(void)
{
    struct card *card;
    static unsigned char wanted[LEN];
    pid_t child;

    test_begin(60);
    encipher(NULL, wanted);
    card = card_load("SYNC_OFFLOAD:1;" ALL_SIZES);
    child = fork();
    if (child == 0) {
        enter_sandbox();
        use(card, wanted);
        CHECK_EQ(card_count(card, "completed"), 0);
        CHECK_EQ(card_count(card, "inline"), 3);
        _exit(0);
    }
    child_exits_with(child, 0);
    use(card, wanted);
    CHECK_EQ(card_count(card, "completed"), 3);
    card_unload(card);
    return 0;
}
