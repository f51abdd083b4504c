/* SPDX-License-Identifier: Apache-2.0 */
/* NIST's and RSA Laboratories' RSA vectors through the card. */
#include <openssl/bn.h>
#include <openssl/err.h>

#include "check.h"
#include "records.h"
#include "ways.h"

/* How many there are; fewer handled is a failure. */
#define SIG_GEN_VECTORS 250
#define SIG_VER_VECTORS 450
#define SIG_VER_X931_VECTORS 360
#define OAEP_VECTORS 60
#define PSS_VECTORS 60
#define V15_CRYPT_VECTORS 300
#define V15_SIGN_VECTORS 300

#define DIGEST 20 /* bytes of SHA-1, and of the salts */
#define SIGNATURE_MAX 512

static struct card *card;

static const struct field *need(const struct record *record, const char *name)
{
    const struct field *field = record_field(record, name);

    if (field == NULL)
        fprintf(stderr, "no field %s\n", name);
    CHECK(field != NULL);
    return field;
}

static BIGNUM *number(const struct field *field)
{
    return field == NULL ? NULL : BN_bin2bn(field->bytes, (int)field->len, NULL);
}

/* ------------------------------------------------------------------------------------- NIST: verification */

struct check {
    EVP_PKEY *key;
    const EVP_MD *digest;
    int padding;
    const struct field *message, *signature;
    bool fails;
};

static int verify(void *arg)
{
    const struct check *check = *(struct check **)arg;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx;
    int result;

    /* The digest is libcrypto's; the key, or the properties, send the operation to the card. */
    CHECK(EVP_DigestVerifyInit_ex(ctx, &key_ctx, EVP_MD_get0_name(check->digest), card_context(card),
              card_properties(card), check->key, NULL) == 1);
    CHECK(EVP_PKEY_CTX_set_rsa_padding(key_ctx, check->padding) == 1);
    if (check->padding == RSA_PKCS1_PSS_PADDING)
        CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_AUTO) == 1);
    result = EVP_DigestVerify(
        ctx, check->signature->bytes, check->signature->len, check->message->bytes, check->message->len);
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return (result == 1) == !check->fails;
}

/* The card's key with these numbers, which are freed. */
static EVP_PKEY *key_of(RSA *numbers)
{
    EVP_PKEY *key = card_key(card, numbers);

    CHECK(key != NULL);
    RSA_free(numbers);
    return key;
}

static int padding;

static void handle_signature(const struct record *record)
{
    const struct field *result = record_field(record, "Result");
    struct check check = {
        .digest = EVP_get_digestbyname(need(record, "SHAAlg")->text),
        .padding = padding,
        .message = need(record, "Msg"),
        .signature = need(record, "S"),
        .fails = result != NULL && result->text[0] == 'F',
    };

    RSA *numbers = RSA_new();

    CHECK(numbers != NULL && check.digest != NULL);
    CHECK(RSA_set0_key(numbers, number(need(record, "n")), number(need(record, "e")), NULL));
    check.key = key_of(numbers);
    way_run(verify, &check);
    EVP_PKEY_free(check.key);
}

static void run_nist(const char *name, int with_padding, int count)
{
    static const char *const kept[] = {"n", "e", "p", "q", NULL};
    char path[512];

    padding = with_padding;
    snprintf(path, sizeof(path), "%s/asymmetric/RSA/FIPS_186-2/%s.rsp", vectors_directory(), name);
    CHECK_EQ(read_nist(path, "S", kept, handle_signature), count);
}

/* -------------------------------------------------------------------- RSA Laboratories: with private keys */

struct operation {
    EVP_PKEY *key;
    const struct field *message, *result;
};

static EVP_PKEY *private_key(const struct record *record)
{
    RSA *rsa = RSA_new();
    const struct field *e = record_field(record, "Public exponent");

    CHECK(rsa != NULL);
    CHECK(RSA_set0_key(rsa, number(need(record, "Modulus")), number(e != NULL ? e : need(record, "Exponent")),
        number(record_field(record, "Private exponent") != NULL ? need(record, "Private exponent")
                                                                : need(record, "Exponent"))));
    CHECK(RSA_set0_factors(rsa, number(need(record, "Prime 1")), number(need(record, "Prime 2"))));
    CHECK(RSA_set0_crt_params(rsa, number(need(record, "Prime exponent 1")),
        number(need(record, "Prime exponent 2")), number(need(record, "Coefficient"))));
    return key_of(rsa);
}

static int decrypt_with(const struct operation *operation, int with_padding)
{
    unsigned char out[512];
    int len = key_decrypt(
        card, operation->key, with_padding, operation->result->bytes, operation->result->len, out);

    return len == (int)operation->message->len && memcmp(out, operation->message->bytes, (size_t)len) == 0;
}

static int oaep(void *arg)
{
    return decrypt_with(*(struct operation **)arg, RSA_PKCS1_OAEP_PADDING);
}

static int v15_decrypt(void *arg)
{
    return decrypt_with(*(struct operation **)arg, RSA_PKCS1_PADDING);
}

static EVP_PKEY_CTX *signature_context(
    const struct operation *operation, int (*init)(EVP_PKEY_CTX *), int with_padding)
{
    EVP_PKEY_CTX *ctx = card_key_context(card, operation->key, init, with_padding);

    CHECK(ctx != NULL && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha1()) == 1);
    if (with_padding == RSA_PKCS1_PSS_PADDING)
        CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, DIGEST) == 1);
    return ctx;
}

static size_t sign(const struct operation *operation, int with_padding, unsigned char *out)
{
    EVP_PKEY_CTX *ctx = signature_context(operation, EVP_PKEY_sign_init, with_padding);
    unsigned char digest[DIGEST];
    size_t len = SIGNATURE_MAX;

    CHECK(EVP_Digest(operation->message->bytes, operation->message->len, digest, NULL, EVP_sha1(), NULL));
    CHECK(EVP_PKEY_sign(ctx, out, &len, digest, sizeof(digest)) == 1);
    EVP_PKEY_CTX_free(ctx);
    return len;
}

/* PKCS#1 v1.5 signatures are determined by key and message: to the bit. */
static int v15_sign(void *arg)
{
    const struct operation *operation = *(struct operation **)arg;
    unsigned char out[SIGNATURE_MAX];

    return sign(operation, RSA_PKCS1_PADDING, out) == operation->result->len &&
           memcmp(out, operation->result->bytes, operation->result->len) == 0;
}

static bool is_signed(const struct operation *operation, const unsigned char *signature, size_t len)
{
    EVP_PKEY_CTX *ctx = signature_context(operation, EVP_PKEY_verify_init, RSA_PKCS1_PSS_PADDING);
    unsigned char digest[DIGEST];
    int result;

    CHECK(EVP_Digest(operation->message->bytes, operation->message->len, digest, NULL, EVP_sha1(), NULL));
    result = EVP_PKEY_verify(ctx, signature, len, digest, sizeof(digest));
    EVP_PKEY_CTX_free(ctx);
    return result == 1;
}

/* The salt is random: verify theirs, and one of our own. */
static int pss(void *arg)
{
    const struct operation *operation = *(struct operation **)arg;
    unsigned char out[SIGNATURE_MAX];

    return is_signed(operation, operation->result->bytes, operation->result->len) &&
           is_signed(operation, out, sign(operation, RSA_PKCS1_PSS_PADDING, out));
}

static int (*current)(void *);
static const char *message_name, *result_name;

static void handle_operation(const struct record *record)
{
    struct operation operation = {
        .key = private_key(record),
        .message = need(record, message_name),
        .result = need(record, result_name),
    };

    way_run(current, &operation);
    EVP_PKEY_free(operation.key);
}

static void run_labs(
    const char *name, int (*work)(void *), const char *message, const char *result, int count)
{
    char path[512];

    current = work;
    message_name = message;
    result_name = result;
    snprintf(path, sizeof(path), "%s/asymmetric/RSA/%s", vectors_directory(), name);
    CHECK_EQ(read_labs(path, result, handle_operation), count);
}

int main(int argc, char **argv)
{
    const char *kernel = argc == 3 ? argv[2] : NULL; /* the one that KERNELS names: it is to do nearly all */

    test_begin(240);
    card = way_begin(2, argv);
    run_nist("SigGen15_186-2", RSA_PKCS1_PADDING, SIG_GEN_VECTORS);
    run_nist("SigGen15_186-3", RSA_PKCS1_PADDING, SIG_GEN_VECTORS);
    run_nist("SigGenPSS_186-2", RSA_PKCS1_PSS_PADDING, SIG_GEN_VECTORS);
    run_nist("SigGenPSS_186-3", RSA_PKCS1_PSS_PADDING, SIG_GEN_VECTORS);
    run_nist("SigVer15_186-3", RSA_PKCS1_PADDING, SIG_VER_VECTORS);
    run_nist("SigVerPSS_186-3", RSA_PKCS1_PSS_PADDING, SIG_VER_VECTORS);
    run_nist("SigVerRSA", RSA_X931_PADDING, SIG_VER_X931_VECTORS);
    way_check_card("rsa_pub", 4 * SIG_GEN_VECTORS + 2 * SIG_VER_VECTORS + SIG_VER_X931_VECTORS - 10);
    run_labs("pkcs-1v2-1d2-vec/oaep-vect.txt", oaep, "Message", "Encryption", OAEP_VECTORS);
    run_labs("pkcs-1v2-1d2-vec/pss-vect.txt", pss, "Message to be signed", "Signature", PSS_VECTORS);
    run_labs("pkcs1v15crypt-vectors.txt", v15_decrypt, "Message", "Encryption", V15_CRYPT_VECTORS);
    run_labs("pkcs1v15sign-vectors.txt", v15_sign, "Message to be signed", "Signature", V15_SIGN_VECTORS);
    way_check_card("rsa_priv", OAEP_VECTORS + PSS_VECTORS + V15_CRYPT_VECTORS + V15_SIGN_VECTORS);
    if (kernel != NULL)
        CHECK(card_count(card, kernel) >= card_count(card, "completed") * 9 / 10);
    card_unload(card);
    return 0;
}
