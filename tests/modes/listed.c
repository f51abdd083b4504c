/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine lists is what the card has a kernel for: AES-CBC-HMAC is there where libcrypto has it,
 * which is on processors with AES instructions. The argument says what to expect ("all", or "without_hmac"
 * where OPENSSL_ia32cap hides the instructions).
 */
#include <openssl/err.h>

#include <openssl/engine.h>

#include "all_ways.h"

static int encipher(void *arg)
{
    static const unsigned char key[16] = {1};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[64] = {0};
    int len;

    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), arg, key, NULL));
    CHECK(EVP_EncryptUpdate(ctx, text, &len, text, sizeof(text)) && len == sizeof(text));
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

int main(int argc, char **argv)
{
    static const int with_hmac[] = {NID_aes_128_cbc_hmac_sha1, NID_aes_256_cbc_hmac_sha1,
        NID_aes_128_cbc_hmac_sha256, NID_aes_256_cbc_hmac_sha256};
    bool hidden = argc > 1 && strcmp(argv[1], "without_hmac") == 0;
    const int *nids;
    struct card *card;
    ENGINE *engine;
    int count;

    test_begin(100);
    card = ways_card(NULL);
    engine = card_engine(card);
    count = ENGINE_get_ciphers(engine)(engine, NULL, &nids, 0);
    for (unsigned i = 0; i < 4; i++) {
        bool listed = false, known = EVP_get_cipherbynid(with_hmac[i]) != NULL;

        for (int n = 0; n < count; n++)
            listed = listed || nids[n] == with_hmac[i];
        CHECK_EQ(listed, ENGINE_get_cipher(engine, with_hmac[i]) != NULL);
        CHECK_EQ(listed, known && !hidden);
    }
    CHECK_EQ(count, 23 + (ENGINE_get_cipher(engine, with_hmac[0]) != NULL ? 4 : 0));
    ERR_clear_error();
    CHECK(way_run(WAY_FD, encipher, engine));
    CHECK_EQ(card_count(card, "aes_ecb"), 1);
    card_unload(card);
    return 0;
}
