/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA for a key that is given to the engine explicitly: EVP_PKEY_CTX_new(key, engine), `openssl pkeyutl
 * -engine_impl`. ENGINE asks for an EVP_PKEY_METHOD there. Ours hands everything on to an ordinary context,
 * for a copy of the key that has our RSA_METHOD. It must not be a default: libcrypto would then take it for
 * every RSA key, provider keys included, and lose the operations it does not have. So rsa_pkey_methods()
 * answers when asked, and lists nothing.
 */
#include <openssl/evp.h>

#include "driver/error.h"
#include "driver/rsa.h"
#include "rsa_pkey.h"

struct data {
    EVP_PKEY_CTX *inner;
};

static EVP_PKEY_METHOD *method;

static int init(EVP_PKEY_CTX *ctx)
{
    struct data *data = OPENSSL_zalloc(sizeof(*data));

    if (data == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return 0;
    }
    EVP_PKEY_CTX_set_data(ctx, data);
    return 1;
}

static void cleanup(EVP_PKEY_CTX *ctx)
{
    struct data *data = EVP_PKEY_CTX_get_data(ctx);

    if (data == NULL)
        return;
    EVP_PKEY_CTX_free(data->inner);
    OPENSSL_free(data);
    EVP_PKEY_CTX_set_data(ctx, NULL);
}

static int copy(EVP_PKEY_CTX *to, const EVP_PKEY_CTX *from)
{
    const struct data *source = EVP_PKEY_CTX_get_data((EVP_PKEY_CTX *)from);
    struct data *data;

    if (!init(to))
        return 0;
    data = EVP_PKEY_CTX_get_data(to);
    if (source->inner != NULL)
        data->inner = EVP_PKEY_CTX_dup(source->inner);
    return source->inner == NULL || data->inner != NULL;
}

/* 1 if there is nothing to copy. */
static int copy_private_parts(RSA *to, const RSA *from)
{
    const BIGNUM *p, *q, *dmp1, *dmq1, *iqmp;

    RSA_get0_factors(from, &p, &q);
    RSA_get0_crt_params(from, &dmp1, &dmq1, &iqmp);
    if (p != NULL && q != NULL && !RSA_set0_factors(to, BN_dup(p), BN_dup(q)))
        return 0;
    return dmp1 == NULL || dmq1 == NULL || iqmp == NULL ||
           RSA_set0_crt_params(to, BN_dup(dmp1), BN_dup(dmq1), BN_dup(iqmp));
}

static int copy_extra_primes(RSA *to, const RSA *from)
{
    const BIGNUM *r[ERSATZ_RSA_EXTRA_PRIMES_MAX], *d[ERSATZ_RSA_EXTRA_PRIMES_MAX],
        *t[ERSATZ_RSA_EXTRA_PRIMES_MAX];
    BIGNUM *new_r[ERSATZ_RSA_EXTRA_PRIMES_MAX], *new_d[ERSATZ_RSA_EXTRA_PRIMES_MAX],
        *new_t[ERSATZ_RSA_EXTRA_PRIMES_MAX];
    int extra = RSA_get_multi_prime_extra_count(from);

    if (extra == 0)
        return 1;
    if (extra > (int)ERSATZ_RSA_EXTRA_PRIMES_MAX || !RSA_get0_multi_prime_factors(from, r) ||
        !RSA_get0_multi_prime_crt_params(from, d, t))
        return 0;
    for (int i = 0; i < extra; i++) {
        new_r[i] = BN_dup(r[i]);
        new_d[i] = BN_dup(d[i]);
        new_t[i] = BN_dup(t[i]);
    }
    return RSA_set0_multi_prime_params(to, new_r, new_d, new_t, extra);
}

/* The key's numbers in an RSA with our method. The outer context holds a reference to the engine, and
 * outlives this. */
static RSA *copy_of(const RSA *rsa)
{
    const BIGNUM *n, *e, *d;
    RSA *own = RSA_new();

    RSA_get0_key(rsa, &n, &e, &d);
    if (own == NULL || !RSA_set_method(own, rsa_method()) ||
        !RSA_set0_key(own, BN_dup(n), BN_dup(e), d == NULL ? NULL : BN_dup(d)) ||
        !copy_private_parts(own, rsa) || !copy_extra_primes(own, rsa)) {
        RSA_free(own);
        error_raise_result(ERSATZ_NO_MEMORY);
        return NULL;
    }
    return own;
}

/* Make the inner context for the key of the outer one. */
static int open_inner(EVP_PKEY_CTX *ctx)
{
    struct data *data = EVP_PKEY_CTX_get_data(ctx);
    EVP_PKEY *key = EVP_PKEY_CTX_get0_pkey(ctx);
    const RSA *rsa = key == NULL ? NULL : EVP_PKEY_get0_RSA(key);
    RSA *own;
    EVP_PKEY *own_key = EVP_PKEY_new();

    EVP_PKEY_CTX_free(data->inner);
    data->inner = NULL;
    if (rsa == NULL) {
        error_raise(REASON_INPUT, "no RSA key was given to the context");
        EVP_PKEY_free(own_key);
        return 0;
    }
    own = own_key == NULL ? NULL : copy_of(rsa);
    if (own == NULL || !EVP_PKEY_assign_RSA(own_key, own)) {
        RSA_free(own);
        EVP_PKEY_free(own_key);
        return 0;
    }
    data->inner = EVP_PKEY_CTX_new(own_key, NULL);
    EVP_PKEY_free(own_key); /* the context keeps it */
    return data->inner != NULL;
}

static EVP_PKEY_CTX *inner_of(EVP_PKEY_CTX *ctx)
{
    return ((struct data *)EVP_PKEY_CTX_get_data(ctx))->inner;
}

static int sign_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_sign_init(inner_of(ctx)) : 0;
}

static int sign(
    EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_sign(inner_of(ctx), out, out_len, in, in_len);
}

static int verify_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_verify_init(inner_of(ctx)) : 0;
}

static int verify(
    EVP_PKEY_CTX *ctx, const unsigned char *signature, size_t len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_verify(inner_of(ctx), signature, len, in, in_len);
}

static int recover_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_verify_recover_init(inner_of(ctx)) : 0;
}

static int recover(
    EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_verify_recover(inner_of(ctx), out, out_len, in, in_len);
}

static int encrypt_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_encrypt_init(inner_of(ctx)) : 0;
}

static int encrypt(
    EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_encrypt(inner_of(ctx), out, out_len, in, in_len);
}

static int decrypt_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_decrypt_init(inner_of(ctx)) : 0;
}

static int decrypt(
    EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_decrypt(inner_of(ctx), out, out_len, in, in_len);
}

/* Keys are made by libcrypto; making one is no operation of the card. */
static int generate_init(EVP_PKEY_CTX *ctx)
{
    struct data *data = EVP_PKEY_CTX_get_data(ctx);

    EVP_PKEY_CTX_free(data->inner);
    data->inner = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    return data->inner == NULL ? 0 : EVP_PKEY_keygen_init(data->inner);
}

static int generate(EVP_PKEY_CTX *ctx, EVP_PKEY *key)
{
    EVP_PKEY *made = NULL;
    RSA *rsa = NULL;
    int ok = EVP_PKEY_keygen(inner_of(ctx), &made) > 0 && (rsa = EVP_PKEY_get1_RSA(made)) != NULL &&
             EVP_PKEY_assign_RSA(key, rsa);

    if (!ok)
        RSA_free(rsa);
    EVP_PKEY_free(made);
    return ok;
}

static int ctrl(EVP_PKEY_CTX *ctx, int type, int number, void *pointer)
{
    EVP_PKEY_CTX *inner = inner_of(ctx);

    switch (type) {
    case EVP_PKEY_CTRL_DIGESTINIT: /* of the outer context's digest, which feeds sign and verify */
    case EVP_PKEY_CTRL_PKCS7_ENCRYPT:
    case EVP_PKEY_CTRL_PKCS7_DECRYPT:
    case EVP_PKEY_CTRL_PKCS7_SIGN:
    case EVP_PKEY_CTRL_CMS_ENCRYPT:
    case EVP_PKEY_CTRL_CMS_DECRYPT:
    case EVP_PKEY_CTRL_CMS_SIGN:
        return 1;
    default:
        return inner == NULL ? -2 : EVP_PKEY_CTX_ctrl(inner, -1, -1, type, number, pointer);
    }
}

static int ctrl_text(EVP_PKEY_CTX *ctx, const char *type, const char *value)
{
    EVP_PKEY_CTX *inner = inner_of(ctx);

    return inner == NULL ? -2 : EVP_PKEY_CTX_ctrl_str(inner, type, value);
}

int rsa_pkey_create(void)
{
    if (method != NULL)
        return 1;
    method = EVP_PKEY_meth_new(EVP_PKEY_RSA, EVP_PKEY_FLAG_AUTOARGLEN);
    if (method == NULL)
        return 0;
    EVP_PKEY_meth_set_init(method, init);
    EVP_PKEY_meth_set_copy(method, copy);
    EVP_PKEY_meth_set_cleanup(method, cleanup);
    EVP_PKEY_meth_set_sign(method, sign_init, sign);
    EVP_PKEY_meth_set_verify(method, verify_init, verify);
    EVP_PKEY_meth_set_verify_recover(method, recover_init, recover);
    EVP_PKEY_meth_set_encrypt(method, encrypt_init, encrypt);
    EVP_PKEY_meth_set_decrypt(method, decrypt_init, decrypt);
    EVP_PKEY_meth_set_keygen(method, generate_init, generate);
    EVP_PKEY_meth_set_ctrl(method, ctrl, ctrl_text);
    return 1;
}

void rsa_pkey_destroy(void)
{
    EVP_PKEY_meth_free(method);
    method = NULL;
}

int rsa_pkey_methods(ENGINE *engine, EVP_PKEY_METHOD **out, const int **nids, int nid)
{
    static const int none[] = {0};

    (void)engine;
    if (out == NULL) {
        *nids = none;
        return 0;
    }
    *out = nid == EVP_PKEY_RSA ? method : NULL;
    return *out != NULL;
}
