/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys of the provider: generated, imported, copied, used with every padding; computed on the card; and
 * commands while it runs. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "ersatz/control.h"
#include "provider.h"

#define BITS 2048

static OSSL_PROVIDER *ours;

static EVP_PKEY *generate(const char *type)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=ersatz");
    EVP_PKEY *key = NULL;

    CHECK(ctx != NULL);
    CHECK_EQ(EVP_PKEY_keygen_init(ctx), 1);
    CHECK_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, BITS), 1);
    CHECK_EQ(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* The key as the provider of that name has it. */
static EVP_PKEY *moved_to(EVP_PKEY *key, const char *type, const char *properties)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, properties);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *moved = NULL;

    CHECK_EQ(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
    CHECK(ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1);
    CHECK_EQ(EVP_PKEY_fromdata(ctx, &moved, EVP_PKEY_KEYPAIR, params), 1);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return moved;
}

/* One key signs, the other verifies. */
static void sign_and_verify(EVP_PKEY *signer, EVP_PKEY *verifier, int padding, const char *digest)
{
    static const unsigned char text[] = "signed by the card";
    unsigned char signature[BITS / 8];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key;

    CHECK_EQ(EVP_DigestSignInit_ex(ctx, &key, digest, NULL, "?provider=ersatz", signer, NULL), 1);
    CHECK(EVP_PKEY_CTX_set_rsa_padding(key, padding) > 0);
    CHECK_EQ(EVP_DigestSign(ctx, signature, &len, text, sizeof(text)), 1);
    EVP_MD_CTX_free(ctx);

    ctx = EVP_MD_CTX_new();
    CHECK_EQ(EVP_DigestVerifyInit_ex(ctx, &key, digest, NULL, "?provider=ersatz", verifier, NULL), 1);
    CHECK(EVP_PKEY_CTX_set_rsa_padding(key, padding) > 0);
    CHECK_EQ(EVP_DigestVerify(ctx, signature, len, text, sizeof(text)), 1);
    signature[7] ^= 1;
    CHECK(EVP_DigestVerify(ctx, signature, len, text, sizeof(text)) != 1);
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
}

static void encrypt_and_decrypt(EVP_PKEY *to, EVP_PKEY *own, int padding)
{
    static const unsigned char text[BITS / 8] = "a secret";
    unsigned char sealed[BITS / 8], opened[BITS / 8];
    size_t len = padding == RSA_NO_PADDING ? sizeof(text) : 8, sealed_len = sizeof(sealed),
           opened_len = sizeof(opened);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, to, "?provider=ersatz");

    CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0);
    CHECK_EQ(EVP_PKEY_encrypt(ctx, sealed, &sealed_len, text, len), 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, "?provider=ersatz");
    CHECK(EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0);
    CHECK_EQ(EVP_PKEY_decrypt(ctx, opened, &opened_len, sealed, sealed_len), 1);
    EVP_PKEY_CTX_free(ctx);
    CHECK_EQ(opened_len, len);
    CHECK_EQ(memcmp(opened, text, len), 0);
}

static void use(EVP_PKEY *key, const char *type)
{
    EVP_PKEY *theirs = moved_to(key, type, "provider=default"),
             *back = moved_to(theirs, type, "provider=ersatz");
    EVP_PKEY *copy = EVP_PKEY_dup(key);
    bool is_pss = strcmp(type, "RSA-PSS") == 0;
    long before = provider_count(ours, "rsa_priv");

    CHECK(copy != NULL);
    CHECK_EQ(EVP_PKEY_eq(key, theirs), 1);
    CHECK_EQ(EVP_PKEY_eq(key, back), 1);
    CHECK_EQ(EVP_PKEY_eq(key, copy), 1);
    EVP_PKEY_free(key);
    sign_and_verify(copy, theirs, RSA_PKCS1_PSS_PADDING, "SHA256");
    sign_and_verify(back, copy, RSA_PKCS1_PSS_PADDING, "SHA512");
    CHECK_EQ(provider_count(ours, "rsa_priv"), before + 2);
    if (!is_pss) {
        sign_and_verify(copy, theirs, RSA_PKCS1_PADDING, "SHA256");
        encrypt_and_decrypt(theirs, copy, RSA_PKCS1_PADDING);
        encrypt_and_decrypt(theirs, back, RSA_PKCS1_OAEP_PADDING);
        encrypt_and_decrypt(back, copy, RSA_NO_PADDING);
        CHECK(provider_count(ours, "rsa_priv") >= before + 6);
    }
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(back);
    EVP_PKEY_free(copy);
}

/* With a digest that libcrypto's legacy provider has and no other. */
static void use_legacy(EVP_PKEY *key)
{
    OSSL_PROVIDER *legacy;
    EVP_PKEY *theirs = moved_to(key, "RSA", "provider=default");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    CHECK_EQ(EVP_DigestSignInit_ex(ctx, NULL, "MD4", NULL, "?provider=ersatz", key, NULL), 0);
    ERR_clear_error();
    CHECK_EQ(OSSL_PROVIDER_set_default_search_path(NULL, NULL), 1); /* to where libcrypto's own are */
    legacy = OSSL_PROVIDER_load(NULL, "legacy");
    if (legacy == NULL) {
        fprintf(stderr, "libcrypto's legacy provider is not installed\n");
    } else {
        sign_and_verify(key, theirs, RSA_PKCS1_PADDING, "MD4");
        sign_and_verify(theirs, key, RSA_PKCS1_PADDING, "MD4");
        CHECK_EQ(OSSL_PROVIDER_unload(legacy), 1);
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(key);
}

/* A key of any size, with exponents of which one undoes the other for any modulus. */
static void use_size(unsigned bits, bool on_card)
{
    unsigned char text[4096], signature[4096];
    size_t size = (bits + 7) / 8, len = sizeof(signature);
    BIGNUM *n = BN_new(), *one = BN_new();
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", "provider=ersatz");
    OSSL_PARAM *params;
    EVP_PKEY *key = NULL;
    long before = provider_count(ours, "rsa_priv");

    memset(text, 1, size);
    text[0] = 0;
    CHECK(BN_rand(n, (int)bits, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD) && BN_one(one));
    CHECK(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
          OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, one) &&
          OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, one));
    params = OSSL_PARAM_BLD_to_param(build);
    CHECK_EQ(EVP_PKEY_fromdata_init(ctx), 1);
    CHECK_EQ(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, "provider=ersatz");
    CHECK(EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0);
    CHECK_EQ(EVP_PKEY_sign(ctx, signature, &len, text, size), 1);
    CHECK_EQ(len, size);
    CHECK_EQ(memcmp(signature, text, size), 0);
    CHECK_EQ(provider_count(ours, "rsa_priv"), before + on_card);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(one);
}

static void commands(void)
{
    int64_t number = -1;

    CHECK_EQ(ersatz_control(ours, "GET_NUM_CRYPTO_INSTANCES", &number, NULL), 1);
    CHECK(number >= 1);
    CHECK_EQ(ersatz_control(ours, "GET_NUM_REQUESTS_IN_FLIGHT:1", &number, NULL), 1);
    CHECK_EQ(number, 0);
    CHECK_EQ(ersatz_control(ours, "NO_SUCH_COMMAND", NULL, NULL), 0);
    CHECK(strstr(ERR_error_string(ERR_peek_last_error(), NULL), "ersatz") != NULL);
    ERR_clear_error();
    CHECK_EQ(ersatz_control(ours, "RING_DEPTH:17", NULL, NULL), 0);
    ERR_clear_error();
}

int main(void)
{
    for (int round = 0; round < 3; round++) {
        ours = provider_load();
        use(generate("RSA"), "RSA");
        use(generate("RSA-PSS"), "RSA-PSS");
        if (round == 0)
            use_legacy(generate("RSA"));
        use_size(480, false);
        use_size(512, true);
        use_size(16384, true);
        use_size(17000, false);
        commands();
        provider_unload();
    }
    for (int round = 0; round < 200; round++) {
        provider_load();
        provider_unload();
    }
    return 0;
}
