/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA keys, and the portable kernel: libcrypto's own RSA on a copy of the key that belongs to the device.
 * libcrypto blinds the private operation, computes in constant time, and verifies a CRT result before it
 * gives it out (it falls back to the plain exponent if a half was wrong).
 */
#include "rsa_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fork.h"
#include "rsa_ifma_key.h"
#include "selection.h"

#define MODULUS_BITS_MIN 512
#define MODULUS_BITS_MAX 16384 /* OPENSSL_RSA_MAX_MODULUS_BITS */
#define WRONG_BITS 64 /* a wrong half has one of the lowest of its exponent wrong, which keeps its length */

#define USER_LINES 16u
#define ABANDONED (1u << 31) /* the last reference was dropped; only users are left */

/* Until the last reference is dropped, `users` holds this much, which no number of users reaches. */
#define REFERENCED (1u << 30)

struct ersatz_rsa_key {
    /* Requests that use the key, by who they are; and ABANDONED, after which a request that leaves counts
     * itself in `users` below, too. Acquire and release. */
    struct {
        _Alignas(64) _Atomic unsigned users;
    } lines[USER_LINES];
    _Alignas(64) _Atomic unsigned references; /* acquire and release on the last one: see
                                                 ersatz_rsa_key_free() */
    _Atomic unsigned users;                   /* REFERENCED, then how many are left; acquire and release */
    unsigned generation;                      /* the process it was made in: the RSA holds locks */
    size_t size;
    uint8_t *modulus; /* size bytes */
    bool is_private;
    RSA *rsa;                  /* libcrypto locks what it caches in it; any worker may use it */
    RSA *without_blinding;     /* the same, for inputs that are blinded; NULL for a public key */
    struct rsa_ifma_key *ifma; /* NULL: not for the batch kernel */
};

/* NULL for a number that is not given; *bad if memory ran out. */
static BIGNUM *number(struct ersatz_bytes bytes, bool *bad)
{
    BIGNUM *bn;

    if (bytes.data == NULL)
        return NULL;
    bn = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
    *bad |= bn == NULL;
    return bn;
}

static bool set_public_and_exponent(RSA *rsa, const struct ersatz_rsa_numbers *numbers)
{
    bool bad = false;
    BIGNUM *n = number(numbers->n, &bad), *e = number(numbers->e, &bad), *d = number(numbers->d, &bad);

    if (bad || n == NULL || e == NULL || !RSA_set0_key(rsa, n, e, d)) {
        BN_free(n);
        BN_free(e);
        BN_clear_free(d);
        return false;
    }
    return true;
}

static bool set_factors(RSA *rsa, const struct ersatz_rsa_numbers *numbers)
{
    bool bad = false;
    BIGNUM *p = number(numbers->p, &bad), *q = number(numbers->q, &bad);

    if (bad || p == NULL || q == NULL || !RSA_set0_factors(rsa, p, q)) {
        BN_clear_free(p);
        BN_clear_free(q);
        return false;
    }
    return true;
}

static bool set_crt(RSA *rsa, const struct ersatz_rsa_numbers *numbers)
{
    bool bad = false;
    BIGNUM *dmp1 = number(numbers->dmp1, &bad), *dmq1 = number(numbers->dmq1, &bad),
           *iqmp = number(numbers->iqmp, &bad);

    if (bad || dmp1 == NULL || dmq1 == NULL || iqmp == NULL || !RSA_set0_crt_params(rsa, dmp1, dmq1, iqmp)) {
        BN_clear_free(dmp1);
        BN_clear_free(dmq1);
        BN_clear_free(iqmp);
        return false;
    }
    return true;
}

static bool set_extra_primes(RSA *rsa, const struct ersatz_rsa_numbers *numbers)
{
    BIGNUM *r[ERSATZ_RSA_EXTRA_PRIMES_MAX] = {NULL}, *d[ERSATZ_RSA_EXTRA_PRIMES_MAX] = {NULL},
           *t[ERSATZ_RSA_EXTRA_PRIMES_MAX] = {NULL};
    /* libcrypto follows the first two primes and their CRT values without looking whether they are there. */
    bool bad = numbers->extra_primes > ERSATZ_RSA_EXTRA_PRIMES_MAX || RSA_get0_p(rsa) == NULL ||
               RSA_get0_iqmp(rsa) == NULL || RSA_get0_d(rsa) == NULL;

    for (unsigned i = 0; !bad && i < numbers->extra_primes; i++) {
        r[i] = number(numbers->extra[i].r, &bad);
        d[i] = number(numbers->extra[i].d, &bad);
        t[i] = number(numbers->extra[i].t, &bad);
        bad |= r[i] == NULL || d[i] == NULL || t[i] == NULL;
    }
    if (!bad && RSA_set0_multi_prime_params(rsa, r, d, t, (int)numbers->extra_primes))
        return true;
    for (unsigned i = 0; i < ERSATZ_RSA_EXTRA_PRIMES_MAX; i++) {
        BN_clear_free(r[i]);
        BN_clear_free(d[i]);
        BN_clear_free(t[i]);
    }
    return false;
}

/*
 * A private key may come with CRT values only. libcrypto needs the exponent all the same: where a result of
 * CRT does not verify, it computes the result again from the exponent, without looking whether there is one.
 */
static void set_exponent_from_factors(RSA *rsa)
{
    const BIGNUM *p = RSA_get0_p(rsa), *q = RSA_get0_q(rsa);
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *less_p = BN_dup(p), *less_q = BN_dup(q), *order = BN_new(), *d = NULL;

    if (ctx != NULL && less_p != NULL && less_q != NULL && order != NULL && BN_is_odd(p) && BN_is_odd(q) &&
        BN_sub_word(less_p, 1) && BN_sub_word(less_q, 1) && BN_mul(order, less_p, less_q, ctx)) {
        BN_set_flags(order, BN_FLG_CONSTTIME);
        d = BN_mod_inverse(NULL, RSA_get0_e(rsa), order, ctx);
        if (d != NULL && !RSA_set0_key(rsa, NULL, NULL, d))
            BN_clear_free(d);
    }
    BN_clear_free(less_p);
    BN_clear_free(less_q);
    BN_clear_free(order);
    BN_CTX_free(ctx);
}

static bool set_numbers(RSA *rsa, const struct ersatz_rsa_numbers *numbers)
{
    bool any_factor = numbers->p.data != NULL || numbers->q.data != NULL;
    bool any_crt = numbers->dmp1.data != NULL || numbers->dmq1.data != NULL || numbers->iqmp.data != NULL;

    if (!set_public_and_exponent(rsa, numbers))
        return false;
    if (any_factor && !set_factors(rsa, numbers))
        return false;
    if (any_crt && !set_crt(rsa, numbers))
        return false;
    if (numbers->d.data == NULL && any_factor && any_crt && numbers->extra_primes == 0)
        set_exponent_from_factors(rsa); /* without one it is a public key */
    return numbers->extra_primes == 0 || set_extra_primes(rsa, numbers);
}

/*
 * Have a new RSA compute by itself. RSA_new() gives it the method of the engine that is the default for RSA,
 * which may be the engine in front of this device.
 */
static bool make_plain(RSA *rsa, bool blinding)
{
    if (!RSA_set_method(rsa, RSA_PKCS1_OpenSSL()))
        return false;
    /* A method may have set it for its own keys. */
    if (blinding)
        RSA_clear_flags(rsa, RSA_FLAG_NO_BLINDING);
    else
        RSA_set_flags(rsa, RSA_FLAG_NO_BLINDING);
    return true;
}

/* On failure *rsa may be there, incomplete; it is freed with the key. */
static enum ersatz_result make_rsa(const struct ersatz_rsa_numbers *numbers, bool blinding, RSA **rsa)
{
    *rsa = RSA_new();
    if (*rsa == NULL || !make_plain(*rsa, blinding))
        return ERSATZ_NO_MEMORY;
    return set_numbers(*rsa, numbers) ? ERSATZ_OK : ERSATZ_BAD_KEY;
}

static struct ersatz_rsa_key *new_key(void)
{
    struct ersatz_rsa_key *key = aligned_alloc(64, sizeof(*key));

    if (key == NULL)
        return NULL;
    memset(key, 0, sizeof(*key));
    atomic_init(&key->references, 1);
    atomic_init(&key->users, REFERENCED);
    key->generation = process_generation();
    return key;
}

/* Out of the RSA. False: out of memory. */
static bool set_modulus(struct ersatz_rsa_key *key)
{
    key->size = (size_t)RSA_size(key->rsa);
    key->modulus = malloc(key->size);
    if (key->modulus == NULL)
        return false;
    BN_bn2bin(RSA_get0_n(key->rsa), key->modulus);
    return true;
}

enum ersatz_result ersatz_rsa_key_new(const struct ersatz_rsa_numbers *numbers, struct ersatz_rsa_key **out)
{
    struct ersatz_rsa_key *key = new_key();
    enum ersatz_result result;
    int bits;

    *out = NULL;
    if (key == NULL)
        return ERSATZ_NO_MEMORY;
    result = make_rsa(numbers, true, &key->rsa);
    if (result == ERSATZ_OK) {
        key->is_private = RSA_get0_d(key->rsa) != NULL;
        if (key->is_private)
            result = make_rsa(numbers, false, &key->without_blinding);
    }
    if (result != ERSATZ_OK) {
        ersatz_rsa_key_free(key);
        return result;
    }
    bits = RSA_bits(key->rsa);
    if (bits < MODULUS_BITS_MIN || bits > MODULUS_BITS_MAX) {
        ersatz_rsa_key_free(key);
        return ERSATZ_BAD_KEY;
    }
    if (!set_modulus(key) ||
        (kernel_is_available(ERSATZ_KERNEL_IFMA) && !rsa_ifma_key_new(numbers, &key->ifma))) {
        ersatz_rsa_key_free(key);
        return ERSATZ_NO_MEMORY;
    }
    *out = key;
    return ERSATZ_OK;
}

void ersatz_rsa_key_reference(struct ersatz_rsa_key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
}

static void drop_users(struct ersatz_rsa_key *key, unsigned count)
{
    if (atomic_fetch_sub_explicit(&key->users, count, memory_order_acq_rel) != count)
        return;
    RSA_free(key->rsa); /* cleanses the private numbers */
    RSA_free(key->without_blinding);
    rsa_ifma_key_free(key->ifma);
    free(key->modulus);
    free(key);
}

void ersatz_rsa_key_free(struct ersatz_rsa_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
        return;
    /* Count and flag are one word: a request has left before, and is not counted here, or sees the flag. */
    for (unsigned i = 0; i < USER_LINES; i++)
        atomic_fetch_add_explicit(&key->users,
            atomic_fetch_or_explicit(&key->lines[i].users, ABANDONED, memory_order_acq_rel),
            memory_order_acq_rel);
    drop_users(key, REFERENCED);
}

void rsa_key_use(struct ersatz_rsa_key *key, unsigned who)
{
    atomic_fetch_add_explicit(&key->lines[who % USER_LINES].users, 1, memory_order_relaxed);
}

void rsa_key_leave(struct ersatz_rsa_key *key, unsigned who)
{
    if (atomic_fetch_sub_explicit(&key->lines[who % USER_LINES].users, 1, memory_order_acq_rel) & ABANDONED)
        drop_users(key, 1);
}

size_t ersatz_rsa_key_size(const struct ersatz_rsa_key *key)
{
    return key->size;
}

bool ersatz_rsa_key_takes(const struct ersatz_rsa_key *key, const uint8_t *in)
{
    return memcmp(in, key->modulus, key->size) < 0;
}

bool ersatz_rsa_key_is_current(const struct ersatz_rsa_key *key)
{
    return key->generation == process_generation();
}

/* ------------------------------------------------------------------------------------------- a wrong copy */

bool rsa_key_has_halves(const struct ersatz_rsa_key *key)
{
    return RSA_get0_dmp1(key->rsa) != NULL;
}

/* RSAPrivateKey_dup() would leave the private numbers in freed memory. NULL: out of memory. */
static RSA *copy_rsa(const RSA *rsa)
{
    uint8_t *der = NULL;
    int len = i2d_RSAPrivateKey(rsa, &der);
    const uint8_t *at = der;
    RSA *copy = len > 0 ? d2i_RSAPrivateKey(NULL, &at, len) : NULL;

    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return copy;
}

/* A copy whose exponent modulo p - 1 has that bit turned. NULL: out of memory. */
static RSA *copy_with_wrong_half(const RSA *rsa, int bit, bool blinding)
{
    RSA *copy = copy_rsa(rsa);
    BIGNUM *dmp1 = BN_dup(RSA_get0_dmp1(rsa));
    bool ok = copy != NULL && dmp1 != NULL && make_plain(copy, blinding);

    ok = ok && (BN_is_bit_set(dmp1, bit) ? BN_clear_bit(dmp1, bit) : BN_set_bit(dmp1, bit)) &&
         RSA_set0_crt_params(copy, dmp1, NULL, NULL);
    if (ok)
        return copy;
    RSA_free(copy);
    BN_clear_free(dmp1);
    return NULL;
}

struct ersatz_rsa_key *rsa_key_with_wrong_half(const struct ersatz_rsa_key *key, uint64_t draw)
{
    int bit = (int)(draw % WRONG_BITS);
    struct ersatz_rsa_key *wrong;

    if (!key->is_private || !rsa_key_has_halves(key) || BN_num_bits(RSA_get0_dmp1(key->rsa)) <= WRONG_BITS)
        return NULL;
    wrong = new_key();
    if (wrong == NULL)
        return NULL;
    wrong->is_private = true;
    wrong->rsa = copy_with_wrong_half(key->rsa, bit, true);
    wrong->without_blinding = copy_with_wrong_half(key->rsa, bit, false);
    if (wrong->rsa == NULL || wrong->without_blinding == NULL || !set_modulus(wrong) ||
        (key->ifma != NULL &&
            (wrong->ifma = rsa_ifma_key_with_wrong_half(key->ifma, (unsigned)bit)) == NULL)) {
        ersatz_rsa_key_free(wrong);
        return NULL;
    }
    return wrong;
}

const struct rsa_ifma_key *rsa_key_ifma(const struct ersatz_rsa_key *key)
{
    return key->ifma;
}

enum ersatz_result rsa_key_compute(const struct ersatz_op *op)
{
    struct ersatz_rsa_key *key = op->u.rsa.key;
    int size = (int)key->size;
    int got;

    if (op->kind == ERSATZ_RSA_PUBLIC)
        got = RSA_public_encrypt(size, op->u.rsa.in, op->u.rsa.out, key->rsa, RSA_NO_PADDING);
    else if (!key->is_private)
        return ERSATZ_BAD_KEY;
    else
        got = RSA_private_encrypt(size, op->u.rsa.in, op->u.rsa.out,
            op->u.rsa.blinded ? key->without_blinding : key->rsa, RSA_NO_PADDING);
    if (got == size)
        return ERSATZ_OK;
    if (ERR_GET_REASON(ERR_peek_last_error()) == RSA_R_DATA_TOO_LARGE_FOR_MODULUS)
        return ERSATZ_BAD_INPUT;
    return ERSATZ_COMPUTE_FAILED;
}
