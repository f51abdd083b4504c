/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the provider's section that choose what the card serves: default_algorithms and load_default
 * in library contexts of their own; every_rsa_key, for the whole process.
 */
#include <openssl/bn.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "proc.h"
#include "provider.h"

/* A library context with the provider's section and an alg_section, which is read before or after it. */
static OSSL_LIB_CTX *configured(const char *section, const char *default_properties, bool before, bool loads)
{
    static const char format[] = "[init]\n%sproviders = providers\n%s"
                                 "[algorithms]\ndefault_properties = %s\n"
                                 "[providers]\nersatz = card\n"
                                 "[card]\nmodule = $MODULE\nactivate = 1\n%s\n";
    static const char line[] = "alg_section = algorithms\n";
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    char lines[600];

    snprintf(lines, sizeof(lines), format, default_properties != NULL && before ? line : "",
        default_properties != NULL && !before ? line : "",
        default_properties == NULL ? "x" : default_properties, section);
    CHECK_EQ(provider_configure(context, lines), 1); /* whatever becomes of a provider */
    CHECK_EQ(OSSL_PROVIDER_available(context, "ersatz"), loads);
    return context;
}

static bool is_from(const OSSL_PROVIDER *provider, const char *name)
{
    return strcmp(OSSL_PROVIDER_get0_name(provider), name) == 0;
}

/* Who has RSA and AES where nothing is asked for. */
static void expect(OSSL_LIB_CTX *context, const char *of_rsa, const char *of_aes)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(context, "RSA", NULL);
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(context, "RSA", NULL);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(context, "AES-128-GCM", NULL), *explicit;
    EVP_MD *digest = EVP_MD_fetch(context, "SHA256", NULL);

    CHECK(keys != NULL && signature != NULL && cipher != NULL && digest != NULL);
    CHECK(is_from(EVP_KEYMGMT_get0_provider(keys), of_rsa));
    CHECK(is_from(EVP_SIGNATURE_get0_provider(signature), of_rsa));
    CHECK(is_from(EVP_CIPHER_get0_provider(cipher), of_aes));
    explicit = EVP_CIPHER_fetch(context, "AES-128-GCM", "provider=ersatz");
    CHECK(explicit != NULL);
    EVP_CIPHER_free(explicit);
    EVP_KEYMGMT_free(keys);
    EVP_SIGNATURE_free(signature);
    EVP_CIPHER_free(cipher);
    EVP_MD_free(digest);
    OSSL_LIB_CTX_free(context);
}

#define LOAD "load_default = yes\n"

static void algorithms(void)
{
    static const char *const wrong[] = {"default_algorithms = DSA\n", "default_algorithms = RSA,rsa\n",
        "load_default = perhaps\n", "every_rsa_key = 2\n"};

    expect(configured(LOAD "default_algorithms = ALL\n", NULL, false, true), "ersatz", "ersatz");
    expect(configured(LOAD "default_algorithms = RSA\n", NULL, false, true), "ersatz", "default");
    expect(configured(LOAD "default_algorithms = AES\n", NULL, false, true), "default", "ersatz");
    expect(configured(LOAD "default_algorithms = CIPHERS, RSA\n", NULL, false, true), "ersatz", "ersatz");

    /* Merged with what was chosen before; replaced by what is chosen later. */
    expect(configured(LOAD "default_algorithms = RSA\n", "?speed=high", true, true), "ersatz", "default");
    expect(
        configured(LOAD "default_algorithms = ALL\n", "provider!=ersatz", true, true), "default", "default");
    expect(configured(LOAD "default_algorithms = RSA\n", "?provider=ersatz", true, true), "ersatz", "ersatz");
    expect(configured(LOAD "default_algorithms = ALL\n", "?provider=default", false, true), "default",
        "default");

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        OSSL_LIB_CTX_free(configured(wrong[i], NULL, false, false));
        ERR_clear_error();
    }
}

/* ------------------------------------------------------------------------------------- every key of RSA */

static RSA *generate(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();

    CHECK(BN_set_word(exponent, RSA_F4));
    CHECK_EQ(RSA_generate_key_ex(rsa, 2048, exponent, NULL), 1);
    BN_free(exponent);
    return rsa;
}

/* As a program does that was written for OpenSSL 1.0. */
static void use(RSA *rsa)
{
    unsigned char digest[32] = "a digest", signature[256], sealed[256], opened[256];
    unsigned len;

    CHECK_EQ(RSA_sign(NID_sha256, digest, sizeof(digest), signature, &len, rsa), 1);
    CHECK_EQ(RSA_verify(NID_sha256, digest, sizeof(digest), signature, len, rsa), 1);
    CHECK_EQ(RSA_private_encrypt(32, digest, sealed, rsa, RSA_PKCS1_PADDING), 256);
    CHECK_EQ(RSA_public_decrypt(256, sealed, opened, rsa, RSA_PKCS1_PADDING), 32);
    CHECK_EQ(memcmp(digest, opened, 32), 0);
}

/* A key that libcrypto's provider has, and one that was brought to us. */
static void use_by_evp(OSSL_LIB_CTX *context, const char *properties)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(context, properties, "RSA", (size_t)2048);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[256];
    size_t len = sizeof(signature);

    CHECK(key != NULL);
    CHECK_EQ(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", context, NULL, key, NULL), 1);
    CHECK_EQ(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"text", 4), 1);
    CHECK_EQ(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", context, NULL, key, NULL), 1);
    CHECK_EQ(EVP_DigestVerify(ctx, signature, len, (const unsigned char *)"text", 4), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void every_rsa_key(int alone)
{
    OSSL_LIB_CTX *context, *second;
    OSSL_PROVIDER *ours;
    RSA *rsa;
    long before;

    CHECK(RSA_get_default_method() == RSA_PKCS1_OpenSSL());
    context = configured(LOAD "default_algorithms = ALL\nevery_rsa_key = yes\n", NULL, false, true);
    ours = OSSL_PROVIDER_load(context, "ersatz");
    CHECK(ours != NULL);
    CHECK(RSA_get_default_method() != RSA_PKCS1_OpenSSL());
    rsa = generate();
    before = provider_count(ours, "rsa_priv");
    use(rsa);
    CHECK_EQ(provider_count(ours, "rsa_priv"), before + 2);
    use_by_evp(context, "provider=ersatz");
    use_by_evp(context, "provider=default");
    CHECK_EQ(provider_count(ours, "rsa_priv"), before + 4);

    second = configured(LOAD "every_rsa_key = 1\n", NULL, false, true);
    OSSL_LIB_CTX_free(second); /* the first still has it so */
    RSA_free(rsa);
    rsa = generate();
    use(rsa);
    CHECK_EQ(provider_count(ours, "rsa_priv"), before + 6);

    CHECK_EQ(OSSL_PROVIDER_unload(ours), 1);
    OSSL_LIB_CTX_free(context);
    CHECK(RSA_get_default_method() == RSA_PKCS1_OpenSSL());
    expect_threads(alone);
    use(rsa); /* and starts no card that nobody would stop */
    CHECK_EQ(count_threads(), alone);
    RSA_free(rsa);
    rsa = generate();
    CHECK(RSA_get_method(rsa) == RSA_PKCS1_OpenSSL());
    RSA_free(rsa);
}

#ifndef OPENSSL_NO_ENGINE
/* Where the engine is the default for RSA, too, and goes before the provider, or after it. */
static void with_engine(bool engine_first)
{
    ENGINE *engine;
    OSSL_LIB_CTX *context;
    RSA *of_engine, *of_provider;

    ENGINE_load_dynamic();
    engine = ENGINE_by_id("dynamic");
    CHECK(engine != NULL);
    CHECK_EQ(ENGINE_ctrl_cmd_string(engine, "SO_PATH", getenv("ERSATZ_MODULE"), 0), 1);
    CHECK_EQ(ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0), 1);
    CHECK(ENGINE_init(engine) && ENGINE_set_default_RSA(engine));
    context = configured(LOAD "every_rsa_key = yes\n", NULL, false, true);
    of_engine = generate();
    CHECK(RSA_get0_engine(of_engine) == engine);
    ENGINE_unregister_RSA(engine);
    of_provider = generate();
    CHECK(RSA_get0_engine(of_provider) == NULL);
    CHECK(RSA_get_method(of_provider) == RSA_get_method(of_engine));
    use(of_engine);
    use(of_provider);
    if (!engine_first)
        OSSL_LIB_CTX_free(context);
    use(of_engine);
    RSA_free(of_engine);
    ENGINE_finish(engine);
    ENGINE_free(engine);
    use(of_provider);
    if (engine_first)
        OSSL_LIB_CTX_free(context);
    use(of_provider);
    RSA_free(of_provider);
    CHECK(RSA_get_default_method() == RSA_PKCS1_OpenSSL());
}
#endif

int main(void)
{
    int alone = count_threads();

    test_begin(60);
    algorithms();
    for (int round = 0; round < 3; round++)
        every_rsa_key(alone);
#ifndef OPENSSL_NO_ENGINE
    with_engine(true);
    with_engine(false);
#endif
    return 0;
}
