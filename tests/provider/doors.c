/* SPDX-License-Identifier: Apache-2.0 */
/* The module as an engine, which is the default for everything, and then as a provider in one process: keys
 * of both doors work, and the provider's are computed on the card. */
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void configure(void)
{
    static const char format[] = "openssl_conf = doors\n"
                                 "[doors]\nengines = engines\nproviders = providers\n"
                                 "[engines]\nersatz = engine\n"
                                 "[engine]\ndynamic_path = %s\ninit = 1\ndefault_algorithms = ALL\n"
                                 "[providers]\nersatz = provider\ndefault = libcrypto\n"
                                 "[provider]\nmodule = %s\nactivate = 1\n"
                                 "[libcrypto]\nactivate = 1\n";
    const char *module = getenv("ERSATZ_MODULE");
    BIO *text = BIO_new(BIO_s_mem());
    CONF *conf = NCONF_new(NULL);

    OPENSSL_load_builtin_modules();
    CHECK_EQ(OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, NULL), 1);
    CHECK(BIO_printf(text, format, module, module) > 0);
    CHECK_EQ(NCONF_load_bio(conf, text, NULL), 1);
    CHECK(CONF_modules_load(conf, NULL, 0) > 0);
    NCONF_free(conf);
    BIO_free(text);
}

static void sign_and_verify(const char *properties)
{
    static const unsigned char text[] = "signed";
    unsigned char signature[256];
    size_t len = sizeof(signature);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, properties, "RSA", (size_t)2048);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    CHECK(key != NULL);
    CHECK_EQ(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
    CHECK_EQ(EVP_DigestSign(ctx, signature, &len, text, sizeof(text)), 1);
    CHECK_EQ(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
    CHECK_EQ(EVP_DigestVerify(ctx, signature, len, text, sizeof(text)), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

int main(void)
{
    configure();
    sign_and_verify("provider=ersatz");
    sign_and_verify("provider=default");
    return 0;
}
