/* SPDX-License-Identifier: Apache-2.0 */
/* What is compared through EVP_PKEY: signatures and encryption, of all paddings and settings. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "check.h"
#include "rsa_side.h"

/* -------------------------------------------------------------------------------------- EVP_PKEY: how */

struct how {
    const char *name;
    int padding;
    const char *digest, *mgf1; /* NULL: none is set */
    int salt;
    const char *label;
};

static int set_up(EVP_PKEY_CTX *ctx, const struct how *how)
{
    const EVP_MD *digest = how->digest == NULL ? NULL : EVP_get_digestbyname(how->digest);
    const EVP_MD *mgf1 = how->mgf1 == NULL ? NULL : EVP_get_digestbyname(how->mgf1);

    /* The digest first: X9.31 asks for one. */
    if (how->padding != RSA_PKCS1_OAEP_PADDING && digest != NULL &&
        EVP_PKEY_CTX_set_signature_md(ctx, digest) <= 0)
        return 0;
    if (EVP_PKEY_CTX_set_rsa_padding(ctx, how->padding) <= 0)
        return 0;
    if (how->padding == RSA_PKCS1_OAEP_PADDING) {
        if (EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest) <= 0)
            return 0;
        if (how->label != NULL &&
            EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup(how->label), (int)strlen(how->label)) <= 0)
            return 0;
    }
    if (mgf1 != NULL && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, mgf1) <= 0)
        return 0;
    return how->padding != RSA_PKCS1_PSS_PADDING || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how->salt) > 0;
}

static EVP_PKEY_CTX *new_ctx(struct side *side)
{
    if (side->card == NULL)
        return EVP_PKEY_CTX_new(side->key, side->engine);
    return EVP_PKEY_CTX_new_from_pkey(card_context(side->card), side->key, card_properties(side->card));
}

/* NULL, and a line that says so, if the operation does not take these settings. */
static EVP_PKEY_CTX *open_ctx(struct side *side, int (*init)(EVP_PKEY_CTX *), const struct how *how)
{
    EVP_PKEY_CTX *ctx = new_ctx(side);

    CHECK(ctx != NULL && init(ctx) == 1);
    if (set_up(ctx, how))
        return ctx;
    rsa_note(side, how->name, 0, NULL, 0);
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static size_t digest_len(const struct side *side, const struct how *how)
{
    if (how->padding == RSA_NO_PADDING)
        return rsa_side_size(side);
    return how->digest == NULL ? 20 : (size_t)EVP_MD_get_size(EVP_get_digestbyname(how->digest));
}

/* ----------------------------------------------------------------------------- EVP_PKEY: signatures */

static void verify(struct side *side, const struct how *how, const char *what, const unsigned char *signature,
    size_t len, const unsigned char *digest)
{
    EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_verify_init, how);
    char name[64];

    if (ctx == NULL)
        return;
    snprintf(name, sizeof(name), "%s verify %s", how->name, what);
    rsa_note_public(side, name, EVP_PKEY_verify(ctx, signature, len, digest, digest_len(side, how)), NULL, 0);
    EVP_PKEY_CTX_free(ctx);
}

static void recover(struct side *side, const struct how *how, const unsigned char *signature, size_t len)
{
    EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_verify_recover_init, how);
    unsigned char out[SIZE_MAX_BYTES] = {0};
    size_t out_len = sizeof(out);
    int done;

    if (ctx == NULL)
        return;
    done = EVP_PKEY_verify_recover(ctx, out, &out_len, signature, len);
    rsa_note_public(side, "recover", done, out, out_len);
    EVP_PKEY_CTX_free(ctx);
}

static void verify_wrong(
    struct side *side, const struct how *how, unsigned char *signature, size_t len, unsigned char *digest)
{
    unsigned char longer[SIZE_MAX_BYTES + 1] = {0};

    digest[0] ^= 1;
    verify(side, how, "another digest", signature, len, digest);
    digest[0] ^= 1;
    signature[len / 2] ^= 4;
    verify(side, how, "another bit", signature, len, digest);
    signature[len / 2] ^= 4;
    verify(side, how, "a byte less", signature, len - 1, digest);
    verify(side, how, "nothing", signature, 0, digest);
    memcpy(longer + 1, signature, len);
    verify(side, how, "a zero in front", longer, len + 1, digest);
    if (rsa_add_modulus(side, signature))
        verify(side, how, "s + n", signature, len, digest);
    rsa_put_modulus(side, signature);
    verify(side, how, "n", signature, len, digest);
    memset(signature, 0, len);
    verify(side, how, "0", signature, len, digest);
    signature[len - 1] = 1;
    verify(side, how, "1", signature, len, digest);
    memset(signature, 0xff, len);
    verify(side, how, "all ones", signature, len, digest);
}

static void sign(struct side *side, const struct how *how)
{
    EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_sign_init, how);
    unsigned char digest[SIZE_MAX_BYTES], signature[SIZE_MAX_BYTES] = {0};
    size_t len = sizeof(signature), given = digest_len(side, how);
    int done;

    if (ctx == NULL)
        return;
    memset(digest, 0x35, sizeof(digest)); /* below any modulus */
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given);
    rsa_note_private(side, how->name, done, signature, len);
    EVP_PKEY_CTX_free(ctx);
    if (done == 1) {
        verify(side, how, "", signature, len, digest);
        if (how->padding != RSA_PKCS1_PSS_PADDING)
            recover(side, how, signature, len);
        if (side->work != SHORTEST)
            verify_wrong(side, how, signature, len, digest);
    }
    if (side->work != FULL)
        return;
    ctx = open_ctx(side, EVP_PKEY_sign_init, how);
    len = sizeof(signature);
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given - 1);
    rsa_note_private(side, "sign a byte less", done, signature, len);
    len = sizeof(signature);
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given + 1);
    rsa_note_private(side, "sign a byte more", done, signature, len);
    len = rsa_side_size(side) - 1;
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given);
    rsa_note_private(side, "sign into less room", done, signature, len);
    EVP_PKEY_CTX_free(ctx);
}

void rsa_signatures(struct side *side)
{
    static const struct how hows[] = {
        {"PKCS#1 SHA-256", RSA_PKCS1_PADDING, "SHA256", NULL, 0, NULL},
        {"PSS SHA-256", RSA_PKCS1_PSS_PADDING, "SHA256", NULL, RSA_PSS_SALTLEN_DIGEST, NULL},
        {"none", RSA_NO_PADDING, NULL, NULL, 0, NULL},
        {"X9.31 SHA-1", RSA_X931_PADDING, "SHA1", NULL, 0, NULL},
        {"PKCS#1", RSA_PKCS1_PADDING, NULL, NULL, 0, NULL},
        {"PKCS#1 MD5-SHA1", RSA_PKCS1_PADDING, "MD5-SHA1", NULL, 0, NULL},
        {"PKCS#1 SHA-512", RSA_PKCS1_PADDING, "SHA512", NULL, 0, NULL},
        {"PSS SHA-1, longest salt", RSA_PKCS1_PSS_PADDING, "SHA1", NULL, RSA_PSS_SALTLEN_MAX, NULL},
        {"PSS SHA-512 MGF1 SHA-1", RSA_PKCS1_PSS_PADDING, "SHA512", "SHA1", 0, NULL},
        {"X9.31 SHA-256", RSA_X931_PADDING, "SHA256", NULL, 0, NULL},
    };
    unsigned count = side->work == FULL ? sizeof(hows) / sizeof(hows[0]) : side->work == SHORT ? 4 : 2;

    for (unsigned i = 0; i < count; i++)
        sign(side, &hows[i]);
}

/* ----------------------------------------------------------------------------- EVP_PKEY: encryption */

static void decrypt(
    struct side *side, const struct how *how, const char *what, const unsigned char *in, size_t len)
{
    EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_decrypt_init, how);
    unsigned char out[SIZE_MAX_BYTES] = {0};
    size_t out_len = sizeof(out);
    char name[64];
    int done;

    if (ctx == NULL)
        return;
    snprintf(name, sizeof(name), "%s decrypt %s", how->name, what);
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_decrypt(ctx, out, &out_len, in, len);
    rsa_note_private(side, name, done, out, out_len);
    EVP_PKEY_CTX_free(ctx);
}

static void decrypt_wrong(struct side *side, const struct how *how, unsigned char *in, size_t len)
{
    struct how other = *how;
    unsigned char longer[SIZE_MAX_BYTES + 1] = {0};

    other.label = "another label";
    if (how->padding == RSA_PKCS1_OAEP_PADDING)
        decrypt(side, &other, "with another label", in, len);
    in[len - 1] ^= 1;
    decrypt(side, how, "another bit", in, len);
    in[len - 1] ^= 1;
    decrypt(side, how, "a byte less", in, len - 1);
    decrypt(side, how, "nothing", in, 0);
    memcpy(longer + 1, in, len);
    decrypt(side, how, "a zero in front", longer, len + 1);
    if (rsa_add_modulus(side, in))
        decrypt(side, how, "c + n", in, len);
    rsa_put_modulus(side, in);
    decrypt(side, how, "n", in, len);
    memset(in, 0, len);
    decrypt(side, how, "0", in, len);
    in[len - 1] = 1;
    decrypt(side, how, "1", in, len);
}

static void encrypt(struct side *side, const struct how *how)
{
    EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_encrypt_init, how);
    unsigned char text[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES] = {0};
    size_t len = sizeof(out), given = how->padding == RSA_NO_PADDING ? rsa_side_size(side) : 16;
    int done;

    if (ctx == NULL)
        return;
    memset(text, 0x36, sizeof(text));
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_encrypt(ctx, out, &len, text, given);
    rsa_note_public(side, how->name, done, out, len);
    EVP_PKEY_CTX_free(ctx);
    if (done == 1) {
        decrypt(side, how, "", out, len);
        if (side->work != SHORTEST)
            decrypt_wrong(side, how, out, len);
    }
    if (side->work == SHORTEST)
        return;
    ctx = open_ctx(side, EVP_PKEY_encrypt_init, how);
    for (size_t left = 0; left < 12; left++) { /* about what PKCS#1 leaves of the room */
        len = sizeof(out);
        make_random_repeat(RANDOM_SEED);
        done = EVP_PKEY_encrypt(ctx, out, &len, text, rsa_side_size(side) - left);
        rsa_note_public(side, "encrypt a longer text", done, out, len);
    }
    memset(text, 0xff, sizeof(text));
    len = sizeof(out);
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_encrypt(ctx, out, &len, text, given);
    rsa_note_public(side, "encrypt all ones", done, out, len);
    EVP_PKEY_CTX_free(ctx);
}

/* The premaster secret of TLS: whatever is wrong with it, 48 bytes come out. */
static void tls_premaster(struct side *side)
{
    const struct how pkcs1 = {"TLS", RSA_PKCS1_PADDING, NULL, NULL, 0, NULL};
    unsigned char secret[48] = {3, 3}, in[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES];

    for (unsigned wrong = 0; wrong < 4; wrong++) {
        EVP_PKEY_CTX *ctx = open_ctx(side, EVP_PKEY_encrypt_init, &pkcs1);
        unsigned version = 0x0303, alternative = 0x0302;
        OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
            OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, &alternative),
            OSSL_PARAM_construct_end()};
        size_t len = sizeof(in), out_len = sizeof(out);
        int done;

        secret[1] = wrong == 1 ? 9 : 3;
        make_random_repeat(RANDOM_SEED);
        CHECK(EVP_PKEY_encrypt(ctx, in, &len, secret, wrong == 2 ? 47 : 48) == 1);
        side->public_done++;
        EVP_PKEY_CTX_free(ctx);
        in[len - 1] ^= wrong == 3;
        ctx = new_ctx(side);
        CHECK(EVP_PKEY_decrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_WITH_TLS_PADDING) == 1 &&
              EVP_PKEY_CTX_set_params(ctx, parameters) == 1);
        make_random_repeat(RANDOM_SEED);
        done = EVP_PKEY_decrypt(ctx, out, &out_len, in, len);
        rsa_note_private(side, "TLS premaster", done, out, out_len);
        EVP_PKEY_CTX_free(ctx);
    }
}

void rsa_encryption(struct side *side)
{
    static const struct how hows[] = {
        {"PKCS#1", RSA_PKCS1_PADDING, NULL, NULL, 0, NULL},
        {"OAEP SHA-1", RSA_PKCS1_OAEP_PADDING, "SHA1", "SHA1", 0, NULL},
        {"none", RSA_NO_PADDING, NULL, NULL, 0, NULL},
        {"OAEP SHA-256 with a label", RSA_PKCS1_OAEP_PADDING, "SHA256", "SHA256", 0, "label"},
        {"OAEP SHA-512 MGF1 SHA-1", RSA_PKCS1_OAEP_PADDING, "SHA512", "SHA1", 0, "a longer label"},
    };
    unsigned count = side->work == FULL ? sizeof(hows) / sizeof(hows[0]) : side->work == SHORT ? 3 : 2;

    for (unsigned i = 0; i < count; i++)
        encrypt(side, &hows[i]);
    if (side->work == FULL && side->tls)
        tls_premaster(side);
}
