/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA of the provider against libcrypto's own, with one key that both have: every padding and parameter, each
 * side undoing what the other did; what both are to answer the same; and that the private operations of ours
 * were on the card.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "provider.h"

#define SIDES 2 /* ours, libcrypto's */
#define SIZE_MAX_BYTES 512

/* Of algorithms; and of contexts, where they are the digests', too, which ours has not. */
static const char *const owners[SIDES] = {"provider=ersatz", "provider=default"};
static const char *const properties[SIDES] = {"?provider=ersatz", "provider=default"};
static OSSL_PROVIDER *provider;
static size_t size; /* of the key, in bytes */

/* The same key on both sides. */
static void make_keys(EVP_PKEY *keys[SIDES], const char *type, unsigned bits)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, owners[0]);
    OSSL_PARAM *params = NULL;

    keys[0] = keys[1] = NULL;
    CHECK(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) == 1);
    CHECK_EQ(EVP_PKEY_generate(ctx, &keys[0]), 1);
    EVP_PKEY_CTX_free(ctx);
    CHECK_EQ(EVP_PKEY_todata(keys[0], EVP_PKEY_KEYPAIR, &params), 1);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, owners[1]);
    CHECK_EQ(EVP_PKEY_fromdata_init(ctx), 1);
    CHECK_EQ(EVP_PKEY_fromdata(ctx, &keys[1], EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    size = (size_t)EVP_PKEY_get_size(keys[0]);
    CHECK(size <= SIZE_MAX_BYTES);
}

static void free_keys(EVP_PKEY *keys[SIDES])
{
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

struct scheme {
    int padding;
    const char *digest, *mgf1; /* of the OAEP or the signature; NULL: not set */
    int salt;                  /* of PSS */
    bool same_each_time;
};

/* libcrypto's answer whether the scheme can be had is the one that counts. */
static EVP_PKEY_CTX *begin(
    EVP_PKEY *key, int side, int (*init)(EVP_PKEY_CTX *), const struct scheme *scheme, bool *can)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, properties[side]);
    bool is_oaep = scheme->padding == RSA_PKCS1_OAEP_PADDING;

    CHECK(ctx != NULL);
    *can = init(ctx) == 1;
    if (*can && scheme->digest != NULL && !is_oaep) { /* X9.31 asks for its digest */
        EVP_MD *digest = EVP_MD_fetch(NULL, scheme->digest, NULL);

        *can = digest != NULL && EVP_PKEY_CTX_set_signature_md(ctx, digest) > 0;
        EVP_MD_free(digest);
    }
    *can = *can && EVP_PKEY_CTX_set_rsa_padding(ctx, scheme->padding) > 0;
    if (*can && is_oaep && scheme->digest != NULL)
        *can = EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, scheme->digest, NULL) > 0 &&
               EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup("label"), 5) > 0;
    if (*can && scheme->mgf1 != NULL)
        *can = EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, scheme->mgf1, NULL) > 0;
    if (*can && scheme->padding == RSA_PKCS1_PSS_PADDING)
        *can = EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, scheme->salt) > 0;
    if (*can && scheme->padding == RSA_PKCS1_WITH_TLS_PADDING) {
        unsigned version = 0x0303;
        OSSL_PARAM params[] = {OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
            OSSL_PARAM_construct_end()};

        *can = EVP_PKEY_CTX_set_params(ctx, params) > 0;
    }
    return ctx;
}

/* ------------------------------------------------------------------------------------------- signatures */

static size_t algorithm_id(EVP_PKEY_CTX *ctx, unsigned char id[256])
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, id, 256),
        OSSL_PARAM_construct_end()};

    params[0].return_size = 0;
    (void)EVP_PKEY_CTX_get_params(ctx, params);
    ERR_clear_error();
    return params[0].return_size;
}

static void sign(EVP_PKEY *keys[SIDES], const struct scheme *scheme)
{
    unsigned char signatures[SIDES][SIZE_MAX_BYTES], ids[SIDES][256] = {{0}}, text[SIZE_MAX_BYTES];
    size_t id_lens[SIDES];
    bool can[SIDES];
    int recovers[SIDES] = {0, 0};
    long before = provider_count(provider, "rsa_priv");
    EVP_MD *digest = scheme->digest == NULL ? NULL : EVP_MD_fetch(NULL, scheme->digest, NULL);
    size_t len = digest == NULL ? size : (size_t)EVP_MD_get_size(digest);

    EVP_MD_free(digest);
    memset(text, 7, sizeof(text));
    text[0] = 0; /* below the modulus */
    for (int side = 0; side < SIDES; side++) {
        EVP_PKEY_CTX *ctx = begin(keys[side], side, EVP_PKEY_sign_init, scheme, &can[side]);
        size_t written = size;

        can[side] = can[side] && EVP_PKEY_sign(ctx, signatures[side], &written, text, len) > 0;
        id_lens[side] = can[side] ? algorithm_id(ctx, ids[side]) : 0;
        EVP_PKEY_CTX_free(ctx);
        ERR_clear_error();
    }
    CHECK_EQ(can[0], can[1]);
    if (!can[0])
        return; /* too long for the key, or unknown to this libcrypto */
    CHECK_EQ(provider_count(provider, "rsa_priv"), before + 1);
    CHECK_EQ(id_lens[0], id_lens[1]);
    CHECK_EQ(memcmp(ids[0], ids[1], sizeof(ids[0])), 0);
    if (scheme->same_each_time)
        CHECK_EQ(memcmp(signatures[0], signatures[1], size), 0);
    for (int side = 0; side < SIDES; side++) {
        EVP_PKEY_CTX *ctx = begin(keys[side], side, EVP_PKEY_verify_init, scheme, &can[side]);
        unsigned char *other = signatures[1 - side], recovered[SIZE_MAX_BYTES];
        size_t recovered_len = sizeof(recovered);

        CHECK(can[side]);
        CHECK_EQ(EVP_PKEY_verify(ctx, other, size, text, len), 1);
        EVP_PKEY_CTX_free(ctx);
        if (scheme->padding != RSA_PKCS1_PSS_PADDING) {
            ctx = begin(keys[side], side, EVP_PKEY_verify_recover_init, scheme, &can[side]);
            CHECK(can[side]);
            recovers[side] = EVP_PKEY_verify_recover(ctx, recovered, &recovered_len, other, size);
            CHECK(recovers[side] != 1 || (recovered_len == len && memcmp(recovered, text, len) == 0));
            EVP_PKEY_CTX_free(ctx);
        }
        ctx = begin(keys[side], side, EVP_PKEY_verify_init, scheme, &can[side]);
        other[size / 2] ^= 1;
        CHECK(EVP_PKEY_verify(ctx, other, size, text, len) != 1);
        other[size / 2] ^= 1;
        EVP_PKEY_CTX_free(ctx);
        ERR_clear_error();
    }
    CHECK_EQ(recovers[0], recovers[1]);
    CHECK(recovers[0] == 1 || scheme->padding == RSA_PKCS1_PSS_PADDING || strcmp(scheme->digest, "SM3") == 0);
}

static const char *const digests[] = {"MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224",
    "SHA512-256", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "RIPEMD160", "MD5-SHA1", "SM3"};

static void signatures(EVP_PKEY *keys[SIDES], bool is_pss)
{
    static const int salts[] = {0, 20, RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX, RSA_PSS_SALTLEN_AUTO};

    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        if (!is_pss) {
            sign(keys, &(struct scheme){RSA_PKCS1_PADDING, digests[i], NULL, 0, true});
            sign(keys, &(struct scheme){RSA_X931_PADDING, digests[i], NULL, 0, true});
        }
        for (size_t j = 0; j < sizeof(salts) / sizeof(salts[0]); j++)
            sign(keys, &(struct scheme){RSA_PKCS1_PSS_PADDING, digests[i], NULL, salts[j], salts[j] == 0});
        sign(keys,
            &(struct scheme){RSA_PKCS1_PSS_PADDING, digests[i], "SHA512", RSA_PSS_SALTLEN_DIGEST, false});
    }
    if (!is_pss)
        sign(keys, &(struct scheme){RSA_NO_PADDING, NULL, NULL, 0, true});
}

/* A certificate that is signed by one side and verified by the other. */
static void certify(EVP_PKEY *keys[SIDES], int padding)
{
    for (int side = 0; side < SIDES; side++) {
        X509 *certificate = X509_new();
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *key;

        CHECK(X509_set_version(certificate, X509_VERSION_3) && X509_set_pubkey(certificate, keys[side]) &&
              X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(certificate), 60) != NULL);
        CHECK_EQ(EVP_DigestSignInit_ex(ctx, &key, "SHA256", NULL, properties[side], keys[side], NULL), 1);
        CHECK(EVP_PKEY_CTX_set_rsa_padding(key, padding) > 0);
        CHECK(X509_sign_ctx(certificate, ctx) > 0);
        CHECK_EQ(X509_verify(certificate, keys[1 - side]), 1);
        EVP_MD_CTX_free(ctx);
        X509_free(certificate);
    }
}

#if OPENSSL_VERSION_NUMBER >= 0x30400000L
/* The signatures that have their digest in their name, and the functions that sign a whole message. */
static void composite(EVP_PKEY *keys[SIDES])
{
    static const char *const names[] = {"RSA-MD5", "RSA-SHA1", "RSA-SHA2-224", "RSA-SHA2-256", "RSA-SHA2-384",
        "RSA-SHA2-512", "RSA-SHA2-512/224", "RSA-SHA2-512/256", "RSA-SHA3-224", "RSA-SHA3-256",
        "RSA-SHA3-384", "RSA-SHA3-512", "RSA-RIPEMD160", "RSA-SM3"};
    unsigned known = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unsigned char made[SIDES][SIZE_MAX_BYTES], text[1000] = "a message";
        EVP_SIGNATURE *algorithms[SIDES];
        size_t len = size;

        for (int side = 0; side < SIDES; side++)
            algorithms[side] = EVP_SIGNATURE_fetch(NULL, names[i], owners[side]);
        CHECK_EQ(algorithms[0] != NULL, algorithms[1] != NULL);
        ERR_clear_error();
        if (algorithms[0] == NULL)
            continue;
        known++;
        for (int side = 0; side < SIDES; side++) {
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[side], properties[side]);

            CHECK_EQ(EVP_PKEY_sign_message_init(ctx, algorithms[side], NULL), 1);
            CHECK_EQ(EVP_PKEY_sign_message_update(ctx, text, 500), 1);
            CHECK_EQ(EVP_PKEY_sign_message_update(ctx, text + 500, 500), 1);
            CHECK_EQ(EVP_PKEY_sign_message_final(ctx, made[side], &len), 1);
            EVP_PKEY_CTX_free(ctx);
        }
        CHECK_EQ(memcmp(made[0], made[1], size), 0);
        for (int side = 0; side < SIDES; side++) {
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[side], properties[side]);

            CHECK_EQ(EVP_PKEY_verify_message_init(ctx, algorithms[side], NULL), 1);
            CHECK_EQ(EVP_PKEY_CTX_set_signature(ctx, made[0], size), 1);
            CHECK_EQ(EVP_PKEY_verify_message_update(ctx, text, sizeof(text)), 1);
            CHECK_EQ(EVP_PKEY_verify_message_final(ctx), 1);
            EVP_PKEY_CTX_free(ctx);
            EVP_SIGNATURE_free(algorithms[side]);
        }
    }
    CHECK(known >= 10);
}
#endif

/* ------------------------------------------------------------------------------------------ encryption */

static void encrypt(EVP_PKEY *keys[SIDES], const struct scheme *scheme)
{
    unsigned char text[SIZE_MAX_BYTES], sealed[SIDES][SIZE_MAX_BYTES], opened[SIDES][SIZE_MAX_BYTES];
    size_t len = scheme->padding == RSA_NO_PADDING ? size : 48, opened_lens[SIDES];
    struct scheme sealing = *scheme;
    bool can[SIDES];

    memset(text, 5, sizeof(text));
    text[0] = text[1] = 3; /* a premaster secret of TLS 1.2 */
    if (scheme->padding == RSA_NO_PADDING)
        text[0] = 0;
    if (scheme->padding == RSA_PKCS1_WITH_TLS_PADDING)
        sealing.padding = RSA_PKCS1_PADDING;
    for (int side = 0; side < SIDES; side++) {
        EVP_PKEY_CTX *ctx = begin(keys[side], side, EVP_PKEY_encrypt_init, &sealing, &can[side]);
        size_t written = size;

        can[side] = can[side] && EVP_PKEY_encrypt(ctx, sealed[side], &written, text, len) > 0;
        EVP_PKEY_CTX_free(ctx);
        ERR_clear_error();
    }
    CHECK_EQ(can[0], can[1]);
    if (!can[0])
        return;
    for (int wrong = 0; wrong < 2; wrong++) {
        for (int side = 0; side < SIDES; side++) {
            EVP_PKEY_CTX *ctx = begin(keys[side], side, EVP_PKEY_decrypt_init, scheme, &can[side]);

            CHECK(can[side]);
            opened_lens[side] = sizeof(opened[side]);
            memset(opened[side], 0, sizeof(opened[side]));
            /* A wrong text is the same for both, since some libcryptos answer it by one made from it. */
            sealed[1][size - 1] ^= (unsigned char)(wrong && side == 0);
            can[side] = EVP_PKEY_decrypt(
                            ctx, opened[side], &opened_lens[side], sealed[wrong ? 1 : 1 - side], size) > 0;
            EVP_PKEY_CTX_free(ctx);
            ERR_clear_error();
        }
        CHECK_EQ(can[0], can[1]);
        CHECK(can[0] || wrong);
        if (!can[0] || (wrong && scheme->padding == RSA_PKCS1_WITH_TLS_PADDING)) /* made up at random */
            continue;
        CHECK_EQ(opened_lens[0], opened_lens[1]);
        CHECK_EQ(memcmp(opened[0], opened[1], opened_lens[0]), 0);
        CHECK(wrong || (opened_lens[0] == len && memcmp(opened[0], text, len) == 0));
    }
}

static void encryptions(EVP_PKEY *keys[SIDES])
{
    encrypt(keys, &(struct scheme){.padding = RSA_PKCS1_PADDING});
    encrypt(keys, &(struct scheme){.padding = RSA_PKCS1_WITH_TLS_PADDING});
    encrypt(keys, &(struct scheme){.padding = RSA_NO_PADDING});
    encrypt(keys, &(struct scheme){.padding = RSA_PKCS1_OAEP_PADDING});
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        encrypt(keys, &(struct scheme){RSA_PKCS1_OAEP_PADDING, digests[i], NULL, 0, false});
        encrypt(keys, &(struct scheme){RSA_PKCS1_OAEP_PADDING, digests[i], "SHA1", 0, false});
    }
}

/* RSASVE: a secret that one side makes for the key, and the other opens. */
static void encapsulate(EVP_PKEY *keys[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[side], properties[side]);
        unsigned char sealed[SIZE_MAX_BYTES], secret[SIZE_MAX_BYTES], opened[SIZE_MAX_BYTES];
        size_t sealed_len = sizeof(sealed), secret_len = sizeof(secret), opened_len = sizeof(opened);

        CHECK(EVP_PKEY_encapsulate_init(ctx, NULL) == 1 && EVP_PKEY_CTX_set_kem_op(ctx, "RSASVE") == 1);
        CHECK_EQ(EVP_PKEY_encapsulate(ctx, sealed, &sealed_len, secret, &secret_len), 1);
        EVP_PKEY_CTX_free(ctx);
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[1 - side], properties[1 - side]);
        CHECK(EVP_PKEY_decapsulate_init(ctx, NULL) == 1 && EVP_PKEY_CTX_set_kem_op(ctx, "RSASVE") == 1);
        CHECK_EQ(EVP_PKEY_decapsulate(ctx, opened, &opened_len, sealed, sealed_len), 1);
        CHECK_EQ(opened_len, secret_len);
        CHECK_EQ(memcmp(opened, secret, secret_len), 0);
        EVP_PKEY_CTX_free(ctx);
    }
}

/* --------------------------------------------------------------------------------------------- the key */

static void compare_keys(EVP_PKEY *keys[SIDES])
{
    const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
        OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_BITS, OSSL_PKEY_PARAM_SECURITY_BITS, OSSL_PKEY_PARAM_MAX_SIZE,
        OSSL_PKEY_PARAM_DEFAULT_DIGEST, OSSL_PKEY_PARAM_MANDATORY_DIGEST};
    BIO *printed[SIDES], *coded[SIDES];
    char *text[SIDES];
    long lens[SIDES];

    CHECK_EQ(EVP_PKEY_eq(keys[0], keys[1]), 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unsigned char values[SIDES][1024] = {{0}};
        int done[SIDES];

        for (int side = 0; side < SIDES; side++) {
            OSSL_PARAM params[] = {
                {names[i], OSSL_PARAM_UNSIGNED_INTEGER, values[side], 1024, 0}, OSSL_PARAM_construct_end()};

            if (strstr(names[i], "digest") != NULL)
                params[0].data_type = OSSL_PARAM_UTF8_STRING;
            if (i >= 6 && i <= 8)
                params[0].data_size = sizeof(int);
            done[side] = EVP_PKEY_get_params(keys[side], params);
        }
        CHECK_EQ(done[0], done[1]);
        CHECK_EQ(memcmp(values[0], values[1], sizeof(values[0])), 0);
    }
    for (int side = 0; side < SIDES; side++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[side], properties[side]);

        CHECK(
            EVP_PKEY_check(ctx) == 1 && EVP_PKEY_public_check(ctx) == 1 && EVP_PKEY_pairwise_check(ctx) == 1);
        EVP_PKEY_CTX_free(ctx);
        printed[side] = BIO_new(BIO_s_mem());
        coded[side] = BIO_new(BIO_s_mem());
        CHECK_EQ(EVP_PKEY_print_private(printed[side], keys[side], 0, NULL), 1);
        CHECK_EQ(i2d_PrivateKey_bio(coded[side], keys[side]), 1);
    }
    for (BIO **bios = printed; bios != NULL; bios = bios == printed ? coded : NULL) {
        for (int side = 0; side < SIDES; side++)
            lens[side] = BIO_get_mem_data(bios[side], &text[side]);
        CHECK_EQ(lens[0], lens[1]);
        CHECK_EQ(memcmp(text[0], text[1], (size_t)lens[0]), 0);
        BIO_free(bios[0]);
        BIO_free(bios[1]);
    }
    ERR_clear_error();
}

int main(void)
{
    static const unsigned sizes[] = {512, 1024, 2048, 3072};
    EVP_PKEY *keys[SIDES];

    test_begin(110);
    provider = provider_load();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_keys(keys, "RSA", sizes[i]);
        compare_keys(keys);
        signatures(keys, false);
        encryptions(keys);
        encapsulate(keys);
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
        if (sizes[i] >= 1024)
            composite(keys);
#endif
        if (sizes[i] >= 1024) {
            certify(keys, RSA_PKCS1_PADDING);
            certify(keys, RSA_PKCS1_PSS_PADDING);
        }
        free_keys(keys);
    }
    make_keys(keys, "RSA-PSS", 2048);
    compare_keys(keys);
    signatures(keys, true);
    certify(keys, RSA_PKCS1_PSS_PADDING);
    free_keys(keys);
    provider_unload();
    return 0;
}
