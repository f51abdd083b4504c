/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RSA_METHOD. It is a copy of libcrypto's, which does padding, range checks and implicit rejection; only
 * the two modular exponentiations are replaced, and go to the card.
 */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "ersatz/undisturbed.h"
#include "offload.h"
#include "rsa.h"
#include "rsa_blinding.h"

/* What the device takes. libcrypto computes with other keys. */
#define MODULUS_BITS_MIN 512
#define MODULUS_BITS_MAX 16384
#define MODULUS_BYTES_MAX (MODULUS_BITS_MAX / 8)

typedef int rsa_fn(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding);

/* libcrypto's method, and our copy of it, which is made when the module is first bound. */
static const RSA_METHOD *original;
static RSA_METHOD *method;

static struct ersatz_lock lending_lock = ERSATZ_LOCK_INITIALIZER;
static const RSA_METHOD *default_before; /* the process's default method before ours was lent */
static unsigned lent;
static bool was_lent;         /* keys may have the method that nothing else keeps */
static _Atomic bool is_alone; /* no door is open: such keys must not start the card */

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lending_lock);
}

/*
 * libcrypto does not pass the key to bn_mod_exp, so it is remembered between the call of the method and the
 * call of the exponentiation. There is no pause in between, so both run on one thread.
 */
struct pending {
    RSA *rsa;
    enum ersatz_op_kind kind;
};

static _Thread_local struct pending *pending;

/* Not inlined: after a pause a job may go on in another thread, and a compiler that inlines could use this
 * thread's address of `pending` there. */
__attribute__((noinline)) static void set_pending(struct pending *what)
{
    pending = what;
}

__attribute__((noinline)) static struct pending *take_pending(void)
{
    struct pending *what = pending;

    pending = NULL;
    return what;
}

static int is_for_card(const RSA *rsa)
{
    int bits = RSA_bits(rsa);

    return bits >= MODULUS_BITS_MIN && bits <= MODULUS_BITS_MAX;
}

static bool stays_here(void)
{
    return atomic_load_explicit(&is_alone, memory_order_relaxed);
}

/*
 * result = base to the private or public exponent, on the card.
 *
 * BN_bin2bn() takes less time for a number with leading zeros. So what comes back from a private operation is
 * still blinded there. The input of a public operation may be a secret, too: a padded one to be encrypted.
 */
static int compute(RSA *rsa, enum ersatz_op_kind kind, const BIGNUM *base, BIGNUM *result, BN_CTX *ctx)
{
    unsigned char in[MODULUS_BYTES_MAX], out[MODULUS_BYTES_MAX];
    bool is_private = kind == ERSATZ_RSA_PRIVATE;
    struct ersatz_op op = {.kind = kind, .u.rsa = {.in = in, .out = out, .blinded = is_private}};
    const struct rsa_copy *copy = rsa_device_key(rsa);
    BIGNUM *blinded = NULL, *unblind = NULL;
    int size, ok = 1;

    if (copy == NULL)
        return 0;
    if (is_private && copy->blinding == NULL) {
        error_raise(REASON_OPERATION, "the RSA key cannot be blinded, so no private operation is possible");
        return 0;
    }
    BN_CTX_start(ctx);
    if (is_private) {
        blinded = BN_CTX_get(ctx);
        unblind = BN_CTX_get(ctx);
        ok = blinded != NULL && unblind != NULL && BN_copy(blinded, base) != NULL &&
             rsa_blinding_apply(copy->blinding, blinded, unblind, ctx);
        base = blinded;
    }
    op.u.rsa.key = copy->key;
    size = (int)ersatz_rsa_key_size(copy->key);
    /* Room for any result: libcrypto looks into the words of one even if it is zero. */
    ok = ok && BN_bn2binpad(base, in, size) == size && offload(&op, 1, stays_here()) == ERSATZ_OK &&
         BN_lshift(result, BN_value_one(), 8 * size - 1) && BN_bin2bn(out, size, result) != NULL &&
         (!is_private || rsa_blinding_remove(copy->blinding, result, unblind, ctx));
    OPENSSL_cleanse(in, (size_t)size);
    OPENSSL_cleanse(out, (size_t)size);
    BN_CTX_end(ctx);
    return ok;
}

/* Called by libcrypto for private operations of keys with CRT values. */
static int mod_exp(BIGNUM *result, const BIGNUM *base, RSA *rsa, BN_CTX *ctx)
{
    take_pending();
    if (is_for_card(rsa))
        return compute(rsa, ERSATZ_RSA_PRIVATE, base, result, ctx);
    return RSA_meth_get_mod_exp(original)(result, base, rsa, ctx);
}

/* Called by libcrypto for public operations, and for private ones of keys without CRT values. */
static int bn_mod_exp(BIGNUM *result, const BIGNUM *base, const BIGNUM *exponent, const BIGNUM *modulus,
    BN_CTX *ctx, BN_MONT_CTX *montgomery)
{
    struct pending *what = take_pending();

    if (what != NULL && is_for_card(what->rsa))
        return compute(what->rsa, what->kind, base, result, ctx);
    return RSA_meth_get_bn_mod_exp(original)(result, base, exponent, modulus, ctx, montgomery);
}

static int run(rsa_fn *function, enum ersatz_op_kind kind, int len, const unsigned char *from,
    unsigned char *to, RSA *rsa, int padding)
{
    struct pending what = {.rsa = rsa, .kind = kind};
    int done;

    set_pending(&what);
    done = function(len, from, to, rsa, padding);
    /* If libcrypto refused the input before the exponentiation, it was not taken. Then nothing has paused,
     * and this is the same thread. */
    take_pending();
    return done;
}

/*
 * libcrypto would blind between its padding and our exponentiation. It keeps the blinding factor in the key,
 * where a second job on the same thread changes it while the first is paused, so that the first would unblind
 * with the wrong factor. So compute() blinds instead: see rsa_blinding.h.
 */
static void leave_blinding_to_us(RSA *rsa)
{
    if (is_for_card(rsa) && !RSA_test_flags(rsa, RSA_FLAG_NO_BLINDING))
        RSA_set_flags(rsa, RSA_FLAG_NO_BLINDING);
}

static int public_encrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    return run(RSA_meth_get_pub_enc(original), ERSATZ_RSA_PUBLIC, len, from, to, rsa, padding);
}

/*
 * Verification takes the card less time than libcrypto's four conversions between bytes and numbers. So it is
 * done here on bytes, if the input has the modulus's length and is below it, libcrypto would not check the
 * exponent for a modulus of that size, and the padding is that of signatures. Returns the operation's result,
 * or CANNOT if libcrypto has to do it, or to refuse it.
 */
#define CANNOT (-2)
#define ANY_EXPONENT_BITS 3072 /* OPENSSL_RSA_SMALL_MODULUS_BITS */

static int verify_bytes(int len, const unsigned char *from, unsigned char *to, RSA *rsa)
{
    unsigned char out[ANY_EXPONENT_BITS / 8];
    struct ersatz_op op = {.kind = ERSATZ_RSA_PUBLIC, .u.rsa = {.in = from, .out = out}};
    const struct rsa_copy *copy = rsa_device_key(rsa);
    int got;

    if (copy == NULL)
        return -1;
    op.u.rsa.key = copy->key;
    if ((size_t)len != ersatz_rsa_key_size(op.u.rsa.key) || !ersatz_rsa_key_takes(op.u.rsa.key, from))
        return CANNOT;
    if (offload(&op, 1, stays_here()) != ERSATZ_OK)
        return -1;
    got = RSA_padding_check_PKCS1_type_1(to, len, out, len, len);
    if (got < 0)
        ERR_raise(ERR_LIB_RSA, RSA_R_PADDING_CHECK_FAILED);
    return got;
}

static int public_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    int bits = RSA_bits(rsa);

    if (padding == RSA_PKCS1_PADDING && bits >= MODULUS_BITS_MIN && bits <= ANY_EXPONENT_BITS &&
        BN_ucmp(RSA_get0_n(rsa), RSA_get0_e(rsa)) > 0) {
        int got = verify_bytes(len, from, to, rsa);

        if (got != CANNOT)
            return got;
    }
    return run(RSA_meth_get_pub_dec(original), ERSATZ_RSA_PUBLIC, len, from, to, rsa, padding);
}

static int private_encrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    leave_blinding_to_us(rsa);
    return run(RSA_meth_get_priv_enc(original), ERSATZ_RSA_PRIVATE, len, from, to, rsa, padding);
}

static int private_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    leave_blinding_to_us(rsa);
    return run(RSA_meth_get_priv_dec(original), ERSATZ_RSA_PRIVATE, len, from, to, rsa, padding);
}

static int init(RSA *rsa)
{
    return rsa_device_key_attach(rsa) && RSA_meth_get_init(original)(rsa);
}

static int finish(RSA *rsa)
{
    rsa_device_key_detach(rsa);
    return RSA_meth_get_finish(original)(rsa);
}

RSA_METHOD *rsa_method(void)
{
    return method;
}

int rsa_method_create(void)
{
    atomic_store_explicit(&is_alone, false, memory_order_relaxed);
    if (method != NULL)
        return 1;
    if (!rsa_device_key_create_index())
        return 0;
    original = RSA_PKCS1_OpenSSL();
    method = RSA_meth_dup(original);
    if (method == NULL)
        return 0;
    return RSA_meth_set1_name(method, "ersatz RSA") && RSA_meth_set_pub_enc(method, public_encrypt) &&
           RSA_meth_set_pub_dec(method, public_decrypt) && RSA_meth_set_priv_enc(method, private_encrypt) &&
           RSA_meth_set_priv_dec(method, private_decrypt) && RSA_meth_set_mod_exp(method, mod_exp) &&
           RSA_meth_set_bn_mod_exp(method, bn_mod_exp) && RSA_meth_set_init(method, init) &&
           RSA_meth_set_finish(method, finish);
}

void rsa_method_destroy(void)
{
    if (was_lent) {
        atomic_store_explicit(&is_alone, true, memory_order_relaxed);
        return;
    }
    RSA_meth_free(method);
    method = NULL;
}

void rsa_method_lend(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&lending_lock, &locked);
    if (lent++ == 0) {
        default_before = RSA_get_default_method();
        RSA_set_default_method(method);
        was_lent = true;
    }
    ersatz_unlock(&locked);
}

void rsa_method_take_back(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&lending_lock, &locked);
    if (--lent == 0 && RSA_get_default_method() == method)
        RSA_set_default_method(default_before);
    ersatz_unlock(&locked);
}
