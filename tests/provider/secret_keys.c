/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of ciphers that are objects of their own (EVP_SKEY, OpenSSL 3.5), with every cipher of the provider,
 * and with ciphers that it has not. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "check.h"
#include "provider.h"

static unsigned char key[64] = "these bytes are the key of the ciphers, and others the iv", iv[16] = "the iv";

/* One text by one cipher: its key as an object, or as bytes where skey is NULL. */
static void encrypt(
    EVP_CIPHER *cipher, EVP_SKEY *skey, const unsigned char *bytes, unsigned char out[80], int *len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char text[64];
    int n, more;
    const char *provider = OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher));

    memset(text, 'x', sizeof(text));
    memset(out, 0, 80);
    if (skey != NULL && strcmp(provider, "ersatz") == 0) { /* the key first, and then the IV alone */
        CHECK_EQ(EVP_CipherInit_SKEY(ctx, cipher, skey, NULL, 0, 1, NULL), 1);
        CHECK_EQ(
            EVP_CipherInit_SKEY(ctx, NULL, NULL, iv, (size_t)EVP_CIPHER_CTX_get_iv_length(ctx), 1, NULL), 1);
    } else if (skey != NULL) { /* without a key, libcrypto's own ciphers crash */
        CHECK_EQ(
            EVP_CipherInit_SKEY(ctx, cipher, skey, iv, (size_t)EVP_CIPHER_get_iv_length(cipher), 1, NULL), 1);
    } else {
        CHECK_EQ(EVP_EncryptInit_ex2(ctx, cipher, bytes, iv, NULL), 1);
    }
    if (EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE)
        CHECK_EQ(EVP_EncryptUpdate(ctx, NULL, &n, NULL, sizeof(text)), 1);
    CHECK_EQ(EVP_EncryptUpdate(ctx, out, &n, text, sizeof(text)), 1);
    CHECK_EQ(EVP_EncryptFinal_ex(ctx, out + n, &more), 1);
    *len = n + more;
    EVP_CIPHER_CTX_free(ctx);
}

static void use(const char *name, const char *type)
{
    EVP_CIPHER *ours = EVP_CIPHER_fetch(NULL, name, "provider=ersatz");
    EVP_CIPHER *theirs = EVP_CIPHER_fetch(NULL, name, "provider=default");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char with_object[80], with_bytes[80];
    size_t key_len;
    int len, other_len;
    EVP_SKEY *skey, *short_key;

    CHECK(ours != NULL && theirs != NULL);
    key_len = (size_t)EVP_CIPHER_get_key_length(ours);
    skey = EVP_SKEY_import_raw_key(NULL, type, key, key_len, "provider=ersatz");
    CHECK(skey != NULL);
    CHECK_EQ(strcmp(EVP_SKEY_get0_provider_name(skey), "ersatz"), 0);
    encrypt(ours, skey, NULL, with_object, &len);
    encrypt(theirs, NULL, key, with_bytes, &other_len);
    CHECK_EQ(len, other_len);
    CHECK_EQ(memcmp(with_object, with_bytes, sizeof(with_bytes)), 0);

    short_key = EVP_SKEY_import_raw_key(NULL, type, key, key_len == 16 ? 32 : 16, "provider=ersatz");
    CHECK(short_key != NULL);
    CHECK_EQ(EVP_CipherInit_SKEY(ctx, ours, short_key, iv, sizeof(iv), 1, NULL), 0);
    CHECK(ERR_peek_last_error() != 0);
    ERR_clear_error();
    EVP_SKEY_free(short_key);
    EVP_SKEY_free(skey);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(ours);
    EVP_CIPHER_free(theirs);
}

/* Brought to us from another provider. None is generated where libcrypto's provider cannot do it either. */
static void other_ways(OSSL_PROVIDER *provider)
{
    EVP_CIPHER *ours = EVP_CIPHER_fetch(NULL, "AES-256-CBC", "provider=ersatz");
    size_t key_len = 32;
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_size_t(OSSL_SKEY_PARAM_KEY_LENGTH, &key_len), OSSL_PARAM_END};
    EVP_SKEY *made = EVP_SKEY_generate(NULL, "AES", "provider=ersatz", params);
    EVP_SKEY *theirs = EVP_SKEY_generate(NULL, "AES", "provider=default", params), *elsewhere, *brought;
    unsigned char with_object[80], with_bytes[80];
    const unsigned char *bytes;
    int len, other_len;

    CHECK_EQ(made != NULL, theirs != NULL);
    if (made != NULL) {
        CHECK_EQ(EVP_SKEY_get0_raw_key(made, &bytes, &key_len), 1);
        CHECK_EQ(key_len, 32);
        encrypt(ours, made, NULL, with_object, &len);
        encrypt(ours, NULL, bytes, with_bytes, &other_len);
        CHECK_EQ(memcmp(with_object, with_bytes, sizeof(with_bytes)), 0);
    }
    ERR_clear_error();

    elsewhere = EVP_SKEY_import_raw_key(NULL, "AES", key, 32, "provider=default");
    CHECK(elsewhere != NULL);
    brought = EVP_SKEY_to_provider(elsewhere, NULL, provider, NULL);
    CHECK(brought != NULL);
    encrypt(ours, brought, NULL, with_object, &len);
    encrypt(ours, NULL, key, with_bytes, &other_len);
    CHECK_EQ(memcmp(with_object, with_bytes, sizeof(with_bytes)), 0);
    EVP_SKEY_free(brought);
    EVP_SKEY_free(elsewhere);
    EVP_SKEY_free(made);
    EVP_SKEY_free(theirs);
    EVP_CIPHER_free(ours);
}

/* A cipher of the default provider takes the key that libcrypto makes for it when this provider is asked
 * first. */
static void elsewhere(const char *name, const char *type)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, "?provider=ersatz");
    EVP_SKEY *skey;
    unsigned char with_object[80], with_bytes[80];
    int len, other_len;

    CHECK(cipher != NULL);
    CHECK_EQ(strcmp(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)), "default"), 0);
    skey = EVP_SKEY_import_raw_key(
        NULL, type, key, (size_t)EVP_CIPHER_get_key_length(cipher), "?provider=ersatz");
    CHECK(skey != NULL);
    encrypt(cipher, skey, NULL, with_object, &len);
    encrypt(cipher, NULL, key, with_bytes, &other_len);
    CHECK_EQ(len, other_len);
    CHECK_EQ(memcmp(with_object, with_bytes, sizeof(with_bytes)), 0);
    EVP_SKEY_free(skey);
    EVP_CIPHER_free(cipher);
}

/* A MAC of libcrypto's takes no key of ours. That would matter where it takes one of libcrypto's. */
static void mac(void)
{
    EVP_SKEY *skey = EVP_SKEY_import_raw_key(NULL, "GENERIC-SECRET", key, 32, "provider=default");
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0), OSSL_PARAM_END};

    CHECK(skey != NULL && ctx != NULL);
    CHECK_EQ(EVP_MAC_init_SKEY(ctx, skey, params), 0);
    ERR_clear_error();
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(hmac);
    EVP_SKEY_free(skey);
}

int main(void)
{
    static const char *const names[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "AES-128-ECB",
        "AES-256-CTR", "AES-192-CFB", "AES-256-OFB", "AES-128-XTS", "AES-128-GCM", "AES-256-GCM",
        "AES-256-CCM", "AES-128-CBC-HMAC-SHA1", "AES-256-CBC-HMAC-SHA256"};
    static const char *const others[] = {
        "DES-EDE3-CBC", "ARIA-256-CBC", "ChaCha20", "CAMELLIA-128-CBC", "AES-128-CBC-CTS", "AES-128-OCB"};
    OSSL_PROVIDER *provider = provider_load();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        use(names[i], "AES");
        use(names[i], names[i]);
    }
    use("AES-256-XTS", "AES-256-XTS"); /* whose key is too long for the other type */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        elsewhere(others[i], others[i]);
        elsewhere(others[i], "GENERIC-SECRET");
    }
    elsewhere("DES-EDE3-CBC", "DES");
    other_ways(provider);
    mac();
    provider_unload();
    return 0;
}
