/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA through the card against libcrypto's own, to the bit: the same calls with the same random bytes, for
 * keys of many sizes and forms, and what must be refused.
 *
 * rsa_equivalence WAY ROUTE [KEY]; ROUTE is how a key comes to the card:
 *   default   decoded or built while the card is the default for RSA
 *   explicit  EVP_PKEY_CTX_new(key, engine), or properties that name the provider
 *   low       RSA_new_method(engine), and the RSA_...() functions
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "check.h"
#include "transcript.h"
#include "ways.h"

#define SIZE_MAX_BYTES 2048
#define RANDOM_SEED 71
#define LONG_BITS 3072

/* Keys, in as many forms as are tried: all; without the one of 16,384 bits; up to LONG_BITS. */
#define ALL_COMPARED 40
#define MOST_COMPARED 38
#define SHORT_COMPARED 29

enum form { WHOLE, NO_CRT, PUBLIC, FORMS };
enum work { FULL, SHORT, SHORTEST }; /* of what takes long there is less */

static const struct known {
    const char *name;
    int bits, primes;
    enum work work;
} keys[] = {
    {"512", 512, 2, FULL},
    {"1023", 1023, 2, FULL},
    {"1024_e3", 1024, 2, FULL},
    {"1536", 1536, 2, FULL},
    {"2047", 2047, 2, FULL},
    {"2048", 2048, 2, FULL},
    {"2048_e17", 2048, 2, SHORT},
    {"2048_long_e", 2048, 2, SHORT},
    {"2048_3_primes", 2048, 3, FULL},
    {"3072", 3072, 2, SHORT},
    {"4096", 4096, 2, SHORT},
    {"4096_4_primes", 4096, 4, SHORT},
    {"8192", 8192, 2, SHORTEST},
    {"8192_5_primes", 8192, 5, SHORTEST},
    {"16384", 16384, 2, SHORTEST},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* One of the two that are compared. */
struct side {
    EVP_PKEY *key;
    ENGINE *engine;    /* for EVP_PKEY_CTX_new() */
    struct card *card; /* the provider, where it is asked for by name */
    RSA *rsa;          /* for the low route */
    const BIGNUM *n;
    enum work work;
    bool tls; /* the route knows the padding of TLS */
    bool low;
    struct transcript transcript;
    long private_done, public_done;
};

/* ----------------------------------------------------------------------------------------------- keys */

static EVP_PKEY *read_key(const char *name)
{
    char path[512];
    BIO *file;
    EVP_PKEY *key;

    CHECK(getenv("ERSATZ_TEST_KEYS") != NULL);
    snprintf(path, sizeof(path), "%s/%s.pem", getenv("ERSATZ_TEST_KEYS"), name);
    file = BIO_new_file(path, "r");
    if (file == NULL)
        fprintf(stderr, "%s cannot be read\n", path);
    CHECK(file != NULL);
    key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    CHECK(key != NULL);
    BIO_free(file);
    return key;
}

static void push(OSSL_PARAM_BLD *builder, const EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;

    CHECK(EVP_PKEY_get_bn_param(key, name, &number) && OSSL_PARAM_BLD_push_BN(builder, name, number));
    /* freed by nobody: the builder refers to it until the parameters are made */
}

/* The same key with less in it. */
static EVP_PKEY *build_key(const EVP_PKEY *whole, enum form form)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM *parameters;
    EVP_PKEY *key = NULL;

    push(builder, whole, OSSL_PKEY_PARAM_RSA_N);
    push(builder, whole, OSSL_PKEY_PARAM_RSA_E);
    if (form == NO_CRT)
        push(builder, whole, OSSL_PKEY_PARAM_RSA_D);
    parameters = OSSL_PARAM_BLD_to_param(builder);
    CHECK(EVP_PKEY_fromdata_init(ctx) == 1 &&
          EVP_PKEY_fromdata(ctx, &key, form == NO_CRT ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters) ==
              1);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make_key(const char *name, enum form form)
{
    EVP_PKEY *whole = read_key(name), *key;

    if (form == WHOLE)
        return whole;
    key = build_key(whole, form);
    EVP_PKEY_free(whole);
    return key;
}

static BIGNUM *copy(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

/* The numbers of a key in an RSA with the engine's method, or libcrypto's. */
static RSA *make_rsa(const EVP_PKEY *key, enum form form, ENGINE *engine)
{
    const RSA *from = EVP_PKEY_get0_RSA(key);
    RSA *rsa = RSA_new_method(engine);
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    int extra = RSA_get_multi_prime_extra_count(from);

    RSA_get0_key(from, &n, &e, &d);
    RSA_get0_factors(from, &p, &q);
    RSA_get0_crt_params(from, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, copy(n), copy(e), form == PUBLIC ? NULL : copy(d)));
    if (form != WHOLE)
        return rsa;
    CHECK(RSA_set0_factors(rsa, copy(p), copy(q)) && RSA_set0_crt_params(rsa, copy(dp), copy(dq), copy(qi)));
    if (extra > 0) {
        const BIGNUM *r[3], *x[3], *t[3];
        BIGNUM *r_copy[3], *x_copy[3], *t_copy[3];

        CHECK(RSA_get0_multi_prime_factors(from, r) && RSA_get0_multi_prime_crt_params(from, x, t));
        for (int i = 0; i < extra; i++) {
            r_copy[i] = copy(r[i]);
            x_copy[i] = copy(x[i]);
            t_copy[i] = copy(t[i]);
        }
        CHECK(RSA_set0_multi_prime_params(rsa, r_copy, x_copy, t_copy, extra));
    }
    return rsa;
}

/* ------------------------------------------------------------------------------------- written down */

/* What a call returned and gave out, and why it was refused. */
static void note(struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();

    transcript_note(&side->transcript, result <= 0, "%s: %s, %zu, %llx", what,
        result > 0 ? "done" : "refused", result > 0 ? len : 0,
        result > 0 ? (unsigned long long)transcript_digest(out, len) : 0);
    transcript_note(&side->transcript, false, "%s: returned %ld, reasons %d and %d", what, result,
        result > 0 ? 0 : ERR_GET_REASON(first), result > 0 ? 0 : ERR_GET_REASON(last));
}

static void note_private(
    struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    note(side, what, result, out, len);
    side->private_done += result > 0;
}

static void note_public(
    struct side *side, const char *what, long result, const unsigned char *out, size_t len)
{
    note(side, what, result, out, len);
    side->public_done += result > 0;
}

static size_t size_of(const struct side *side)
{
    return (size_t)BN_num_bytes(side->n);
}

/* number + n, as large as it is: an input that must be refused. False: it is too long to be one. */
static bool add_modulus(const struct side *side, unsigned char *number)
{
    size_t size = size_of(side);
    BIGNUM *sum = BN_bin2bn(number, (int)size, NULL);
    bool fits;

    CHECK(BN_add(sum, sum, side->n));
    fits = (size_t)BN_num_bytes(sum) <= size;
    if (fits)
        CHECK(BN_bn2binpad(sum, number, (int)size) == (int)size);
    BN_free(sum);
    return fits;
}

static void put_modulus(const struct side *side, unsigned char *number)
{
    CHECK(BN_bn2binpad(side->n, number, (int)size_of(side)) > 0);
}

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
    note(side, how->name, 0, NULL, 0);
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static size_t digest_len(const struct side *side, const struct how *how)
{
    if (how->padding == RSA_NO_PADDING)
        return size_of(side);
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
    note_public(side, name, EVP_PKEY_verify(ctx, signature, len, digest, digest_len(side, how)), NULL, 0);
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
    note_public(side, "recover", done, out, out_len);
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
    if (add_modulus(side, signature))
        verify(side, how, "s + n", signature, len, digest);
    put_modulus(side, signature);
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
    note_private(side, how->name, done, signature, len);
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
    note_private(side, "sign a byte less", done, signature, len);
    len = sizeof(signature);
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given + 1);
    note_private(side, "sign a byte more", done, signature, len);
    len = size_of(side) - 1;
    done = EVP_PKEY_sign(ctx, signature, &len, digest, given);
    note_private(side, "sign into less room", done, signature, len);
    EVP_PKEY_CTX_free(ctx);
}

static void signatures(struct side *side)
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
    note_private(side, name, done, out, out_len);
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
    if (add_modulus(side, in))
        decrypt(side, how, "c + n", in, len);
    put_modulus(side, in);
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
    size_t len = sizeof(out), given = how->padding == RSA_NO_PADDING ? size_of(side) : 16;
    int done;

    if (ctx == NULL)
        return;
    memset(text, 0x36, sizeof(text));
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_encrypt(ctx, out, &len, text, given);
    note_public(side, how->name, done, out, len);
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
        done = EVP_PKEY_encrypt(ctx, out, &len, text, size_of(side) - left);
        note_public(side, "encrypt a longer text", done, out, len);
    }
    memset(text, 0xff, sizeof(text));
    len = sizeof(out);
    make_random_repeat(RANDOM_SEED);
    done = EVP_PKEY_encrypt(ctx, out, &len, text, given);
    note_public(side, "encrypt all ones", done, out, len);
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
        note_private(side, "TLS premaster", done, out, out_len);
        EVP_PKEY_CTX_free(ctx);
    }
}

static void encryption(struct side *side)
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

/* ------------------------------------------------------------------------------------ the RSA functions */

typedef int rsa_function(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding);

static int call(struct side *side, const char *name, rsa_function *function, bool is_private, int padding,
    int len, const unsigned char *in, unsigned char *out)
{
    char what[64];
    int done;

    snprintf(what, sizeof(what), "%s, padding %d, %d bytes", name, padding, len);
    make_random_repeat(RANDOM_SEED);
    done = function(len, in, out, side->rsa, padding);
    if (done == 0) /* no text is text too */
        transcript_note(&side->transcript, false, "%s: empty", what);
    else if (is_private)
        note_private(side, what, done, out, (size_t)(done < 0 ? 0 : done));
    else
        note_public(side, what, done, out, (size_t)(done < 0 ? 0 : done));
    return done;
}

/* There and back, and what must be refused on either way. */
static void low_pair(struct side *side, bool private_first, int padding)
{
    rsa_function *there = private_first ? RSA_private_encrypt : RSA_public_encrypt;
    rsa_function *back = private_first ? RSA_public_decrypt : RSA_private_decrypt;
    unsigned char text[SIZE_MAX_BYTES + 1], out[SIZE_MAX_BYTES + 1] = {0}, again[SIZE_MAX_BYTES + 1];
    int size = (int)size_of(side), len = padding == RSA_NO_PADDING ? size : 20;

    memset(text, 0x33, sizeof(text));
    text[0] = 0x01;
    if (call(side, "there", there, private_first, padding, len, text, out) == size) {
        call(side, "back", back, !private_first, padding, size, out, again);
        call(side, "back", back, !private_first, padding, size - 1, out, again);
        call(side, "back", back, !private_first, padding, 0, out, again);
        memmove(out + 1, out, (size_t)size);
        out[0] = 0;
        call(side, "back", back, !private_first, padding, size + 1, out, again);
        memmove(out, out + 1, (size_t)size);
        if (add_modulus(side, out))
            call(side, "back, too large", back, !private_first, padding, size, out, again);
    }
    if (side->work == SHORTEST)
        return;
    put_modulus(side, out);
    call(side, "back, the modulus", back, !private_first, padding, size, out, again);
    call(side, "there, the modulus", there, private_first, padding, size, out, again);
    for (int less = 0; less < 12; less++)
        call(side, "there", there, private_first, padding, size - less, text, out);
    call(side, "there", there, private_first, padding, size + 1, text, out);
    memset(text, 0, sizeof(text));
    call(side, "there, zeros", there, private_first, padding, size, text, out);
    call(side, "back, zeros", back, !private_first, padding, size, text, out);
}

static void low_signature(struct side *side, int nid, unsigned len)
{
    unsigned char digest[64] = {1, 2, 3}, signature[SIZE_MAX_BYTES];
    unsigned signature_len = 0;
    int done = RSA_sign(nid, digest, len, signature, &signature_len, side->rsa);

    note_private(side, "RSA_sign", done, signature, signature_len);
    if (done != 1)
        return;
    note_public(
        side, "RSA_verify", RSA_verify(nid, digest, len, signature, signature_len, side->rsa), NULL, 0);
    note_public(side, "RSA_verify, short",
        RSA_verify(nid, digest, len, signature, signature_len - 1, side->rsa), NULL, 0);
    if (add_modulus(side, signature))
        note_public(side, "RSA_verify, s + n",
            RSA_verify(nid, digest, len, signature, signature_len, side->rsa), NULL, 0);
}

static void low_level(struct side *side)
{
    low_pair(side, true, RSA_PKCS1_PADDING);
    low_pair(side, false, RSA_PKCS1_OAEP_PADDING);
    low_signature(side, NID_sha256, 32);
    if (side->work == SHORTEST)
        return;
    low_pair(side, true, RSA_NO_PADDING);
    low_pair(side, true, RSA_X931_PADDING);
    low_pair(side, false, RSA_PKCS1_PADDING);
    low_pair(side, false, RSA_NO_PADDING);
    low_pair(side, true, 99); /* no such padding */
    low_pair(side, false, 99);
    low_signature(side, NID_sha1, 20);
    low_signature(side, NID_md5_sha1, 36);
    low_signature(side, NID_sha512, 64);
    low_signature(side, NID_sha512, 63);
}

/* ------------------------------------------------------------------------------------------------ both */

static int exercise(void *arg)
{
    struct side *side = *(struct side **)arg;

    side->transcript.count = 0;
    ERR_clear_error();
    if (side->low) {
        low_level(side);
    } else {
        signatures(side);
        encryption(side);
    }
    RAND_set_rand_method(NULL);
    return 1;
}

#ifndef OPENSSL_NO_ENGINE
/* libcrypto's own older method, behind an ENGINE: what EVP does for an explicit engine is then the same for
 * both. */
static int plain_methods(ENGINE *engine, EVP_PKEY_METHOD **method, const int **nids, int nid)
{
    static const int none[] = {0};

    (void)engine;
    if (method == NULL) {
        *nids = none;
        return 0;
    }
    *method = nid == EVP_PKEY_RSA ? (EVP_PKEY_METHOD *)EVP_PKEY_meth_find(EVP_PKEY_RSA) : NULL;
    return *method != NULL;
}

static ENGINE *plain_engine(void)
{
    static ENGINE *engine;

    if (engine == NULL) {
        engine = ENGINE_new();
        CHECK(
            engine != NULL && ENGINE_set_id(engine, "plain") && ENGINE_set_pkey_meths(engine, plain_methods));
    }
    return engine;
}

static void set_default_method(ENGINE *engine, bool is_default)
{
    if (is_default)
        CHECK(ENGINE_set_default_RSA(engine));
    else
        ENGINE_unregister_RSA(engine);
}
#else
static ENGINE *plain_engine(void)
{
    return NULL;
}

static void set_default_method(ENGINE *engine, bool is_default)
{
    CHECK(engine == NULL && !is_default);
}
#endif

static void set_default(struct card *card, bool is_default)
{
    static OSSL_LIB_CTX *before;

    if (card_is_provider() && is_default) {
        CHECK(EVP_set_default_properties(card_context(card), card_properties(card)));
        before = OSSL_LIB_CTX_set0_default(card_context(card));
    } else if (card_is_provider()) {
        OSSL_LIB_CTX_set0_default(before);
    } else {
        set_default_method(card_engine(card), is_default);
    }
}

static void compare(const struct known *known, enum form form, const char *route, struct card *card)
{
    static struct side plain, tested;
    static const char *const forms[FORMS] = {"whole", "no CRT values", "public"};
    struct side *of_plain = &plain;
    bool is_default = strcmp(route, "default") == 0;
    char name[64];

    plain.key = make_key(known->name, form);
    plain.n = NULL;
    RSA_get0_key(EVP_PKEY_get0_RSA(plain.key), &plain.n, NULL, NULL);
    CHECK_EQ(BN_num_bits(plain.n), known->bits);
    plain.work = known->work;
    plain.low = strcmp(route, "low") == 0;
    plain.tls = is_default;
    tested.n = plain.n;
    tested.work = plain.work;
    tested.tls = plain.tls;
    tested.low = plain.low;
    if (is_default) {
        set_default(card, true);
        tested.key = make_key(known->name, form);
        set_default(card, false); /* the key has its method; the plain side shall not */
    } else if (plain.low) {
        plain.rsa = make_rsa(plain.key, form, NULL);
        tested.rsa = make_rsa(plain.key, form, card_engine(card));
    } else {
        tested.key = plain.key;
        if (card_is_provider()) {
            tested.card = card;
        } else {
            plain.engine = plain_engine();
            tested.engine = card_engine(card);
        }
        CHECK(EVP_PKEY_up_ref(tested.key));
    }
    exercise(&of_plain);
    if (is_default)
        set_default(card, true);
    way_run(exercise, &tested);
    if (is_default)
        set_default(card, false);
    snprintf(name, sizeof(name), "%s, %s", known->name, forms[form]);
    transcript_compare(name, &plain.transcript, &tested.transcript);
    CHECK(form == PUBLIC ? tested.private_done == plain.private_done : tested.private_done > 0);
    EVP_PKEY_free(plain.key);
    EVP_PKEY_free(tested.key);
    RSA_free(plain.rsa);
    RSA_free(tested.rsa);
    plain.rsa = tested.rsa = NULL;
    tested.key = NULL;
    printf("%s, %s: %d calls; so far %ld private and %ld public operations\n", known->name, forms[form],
        tested.transcript.count, tested.private_done, tested.public_done);
    fflush(stdout);
    way_check_card("rsa_priv", tested.private_done);
    way_check_card("rsa_pub", tested.public_done);
}

int main(int argc, char **argv)
{
    const char *only = argc > 3 ? argv[3] : NULL;
    struct card *card;
    int done = 0, longest = LONG_BITS;

    test_begin(240);
    CHECK(argc >= 3);
    if (strcmp(argv[1], "fd") == 0) /* long keys take long: one way is enough */
        longest = strcmp(argv[2], "default") == 0 ? 16384 : 8192;
    card = way_begin(2, argv);
    for (unsigned i = 0; i < KEYS; i++) {
        if (only != NULL && strcmp(only, keys[i].name) != 0)
            continue;
        if (keys[i].bits > longest && only == NULL)
            continue;
        for (enum form form = WHOLE; form < FORMS; form++) {
            /* Without CRT values a private operation takes four times as long, or with more primes nine. */
            if (form == NO_CRT && (keys[i].bits > 4096 || keys[i].primes > 2))
                continue;
            compare(&keys[i], form, argv[2], card);
            done++;
        }
    }
    if (only == NULL)
        CHECK_EQ(done, longest > 8192 ? ALL_COMPARED : longest == 8192 ? MOST_COMPARED : SHORT_COMPARED);
    card_unload(card);
    return 0;
}
