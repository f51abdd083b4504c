/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA for a key that is given to the engine explicitly: EVP_PKEY_CTX_new(key, engine), `openssl pkeyutl
 * -engine_impl`. ENGINE asks for an EVP_PKEY_METHOD there. Ours passes everything on to an inner context, an
 * ordinary one, for the key with our RSA_METHOD. It must not be a default: libcrypto would then take it for
 * every RSA key, provider keys included, and lose the operations it does not have. So rsa_pkey_methods()
 * answers when it is asked for RSA, and lists nothing.
 */
#include <openssl/evp.h>

#include "driver/error.h"
#include "driver/rsa.h"
#include "rsa_pkey.h"

static EVP_PKEY_METHOD *method;

/* The inner context is the outer one's data. NULL: none yet. */
static EVP_PKEY_CTX *inner_of(const EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_CTX_get_data(ctx);
}

static int set_inner(EVP_PKEY_CTX *ctx, EVP_PKEY_CTX *inner)
{
    EVP_PKEY_CTX_free(inner_of(ctx));
    EVP_PKEY_CTX_set_data(ctx, inner);
    return inner != NULL;
}

/*
 * After this EVP_PKEY_CTX_free(3) calls ENGINE_finish(3), and crashes there if that is after
 * OPENSSL_cleanup(3): the lock of engines is gone. A cipher's cleanup function can fail, and prevents that;
 * this one has no result, and no function of libcrypto takes the engine out of a context.
 */
static void cleanup(EVP_PKEY_CTX *ctx)
{
    set_inner(ctx, NULL);
}

static int copy(EVP_PKEY_CTX *to, const EVP_PKEY_CTX *from)
{
    return inner_of(from) == NULL || set_inner(to, EVP_PKEY_CTX_dup(inner_of(from)));
}

/* The key itself if it has our method, or a copy that has. The outer context holds a reference to the engine,
 * and outlives it. NULL: an error is raised. */
static RSA *with_our_method(EVP_PKEY *key)
{
    const RSA *given = key == NULL ? NULL : EVP_PKEY_get0_RSA(key);
    EVP_PKEY *copied;
    RSA *rsa;

    if (given == NULL) {
        error_raise(REASON_INPUT, "no RSA key was given to the context");
        return NULL;
    }
    if (RSA_get_method(given) == rsa_method())
        return EVP_PKEY_get1_RSA(key);
    copied = EVP_PKEY_dup(key);
    rsa = copied == NULL ? NULL : EVP_PKEY_get1_RSA(copied);
    EVP_PKEY_free(copied);
    if (rsa == NULL) {
        error_raise(REASON_INPUT, "libcrypto cannot copy the RSA key, which has a method of its own");
    } else if (!RSA_set_method(rsa, rsa_method())) {
        RSA_free(rsa);
        rsa = NULL;
    }
    return rsa;
}

/* Make the inner context for the key of the outer one. */
static int open_inner(EVP_PKEY_CTX *ctx)
{
    RSA *rsa = with_our_method(EVP_PKEY_CTX_get0_pkey(ctx));
    EVP_PKEY *key = rsa == NULL ? NULL : EVP_PKEY_new();
    EVP_PKEY_CTX *inner = NULL;

    if (key != NULL && EVP_PKEY_set1_RSA(key, rsa))
        inner = EVP_PKEY_CTX_new(key, NULL);
    RSA_free(rsa);
    EVP_PKEY_free(key); /* the context keeps it */
    return set_inner(ctx, inner);
}

/* An operation's two functions. */
#define HAND_ON(operation)                                                                                   \
    static int operation##_init(EVP_PKEY_CTX *ctx)                                                           \
    {                                                                                                        \
        return open_inner(ctx) ? EVP_PKEY_##operation##_init(inner_of(ctx)) : 0;                             \
    }                                                                                                        \
    static int operation(                                                                                    \
        EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *in, size_t in_len)      \
    {                                                                                                        \
        return EVP_PKEY_##operation(inner_of(ctx), out, out_len, in, in_len);                                \
    }

HAND_ON(sign)
HAND_ON(verify_recover)
HAND_ON(encrypt)
HAND_ON(decrypt)

static int verify_init(EVP_PKEY_CTX *ctx)
{
    return open_inner(ctx) ? EVP_PKEY_verify_init(inner_of(ctx)) : 0;
}

static int verify(
    EVP_PKEY_CTX *ctx, const unsigned char *signature, size_t len, const unsigned char *in, size_t in_len)
{
    return EVP_PKEY_verify(inner_of(ctx), signature, len, in, in_len);
}

/* libcrypto makes keys: that is no operation of the card. */
static int generate_init(EVP_PKEY_CTX *ctx)
{
    return set_inner(ctx, EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL)) ? EVP_PKEY_keygen_init(inner_of(ctx))
                                                                         : 0;
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
    case EVP_PKEY_CTRL_DIGESTINIT: /* of the outer context's digest, whose result is signed or verified */
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
    EVP_PKEY_meth_set_copy(method, copy);
    EVP_PKEY_meth_set_cleanup(method, cleanup);
    EVP_PKEY_meth_set_sign(method, sign_init, sign);
    EVP_PKEY_meth_set_verify(method, verify_init, verify);
    EVP_PKEY_meth_set_verify_recover(method, verify_recover_init, verify_recover);
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
