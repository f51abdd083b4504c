/* SPDX-License-Identifier: Apache-2.0 */
/* See rsa_blinding.h. */
#include "rsa_blinding.h"

#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "error.h"
#include "ersatz/device.h"

/*
 * A pair is used USES times, and squared before each further use; then another is drawn, as in libcrypto. The
 * dearest part of drawing is a modular inverse, so several pairs are drawn at once with one inverse for all
 * (Montgomery 1987): one pair for the first use of a key, and then twice as many each time, up to PAIRS_MAX.
 */
#define USES 32u
#define PAIRS_MAX 16u
#define IDLE_MAX 64u

/* Two numbers in Montgomery form. */
struct pair {
    BIGNUM *blind;   /* unblind^-exponent */
    BIGNUM *unblind; /* random */
};

/* Used by one thread at a time. */
struct pairs {
    unsigned count; /* drawn: 0 to PAIRS_MAX */
    unsigned uses;  /* since they were drawn, of all together */
    struct pair each[PAIRS_MAX];
};

struct rsa_blinding {
    BIGNUM *modulus, *exponent;
    BN_MONT_CTX *montgomery;
    BN_BLINDING *libcryptos; /* for its multiplication: see rsa_blinding_remove() */
    /* Those that no thread uses now. Without a lock, since a signal handler that interrupts this may blind,
     * too, or jump away. Release to put one in, acquire to take one out. */
    struct pairs *_Atomic idle[IDLE_MAX];
};

/* ------------------------------------------------------------------------------------------------ drawing */

static bool draw_unblinding(const struct rsa_blinding *blinding, struct pairs *pairs, BN_CTX *ctx)
{
    for (unsigned i = 0; i < pairs->count; i++) {
        do {
            if (!BN_priv_rand_range_ex(pairs->each[i].unblind, blinding->modulus, 0, ctx))
                return false;
        } while (BN_is_zero(pairs->each[i].unblind));
    }
    return true;
}

/* Replace number by its inverse, by the function of libcrypto that does not branch on it. */
static bool invert(const struct rsa_blinding *blinding, BIGNUM *number, BN_CTX *ctx)
{
    BN_MONT_CTX *montgomery = blinding->montgomery;
    BIGNUM *modulus = BN_new();
    bool ok;

    if (modulus == NULL)
        return false;
    BN_with_flags(modulus, blinding->modulus, BN_FLG_CONSTTIME);
    ok = BN_from_montgomery(number, number, montgomery, ctx) &&
         BN_mod_inverse(number, number, modulus, ctx) != NULL &&
         BN_to_montgomery(number, number, montgomery, ctx);
    BN_free(modulus);
    return ok;
}

/* Set each blind to the inverse of its unblind: invert the product of all, and derive each from that. */
static bool invert_all(const struct rsa_blinding *blinding, struct pairs *pairs, BN_CTX *ctx)
{
    BN_MONT_CTX *montgomery = blinding->montgomery;
    struct pair *each = pairs->each;
    BIGNUM *inverse = BN_CTX_get(ctx);

    if (inverse == NULL || BN_copy(each[0].blind, each[0].unblind) == NULL)
        return false;
    for (unsigned i = 1; i < pairs->count; i++) { /* blind = the product so far */
        if (!BN_mod_mul_montgomery(each[i].blind, each[i - 1].blind, each[i].unblind, montgomery, ctx))
            return false;
    }
    if (BN_copy(inverse, each[pairs->count - 1].blind) == NULL || !invert(blinding, inverse, ctx))
        return false;
    for (unsigned i = pairs->count - 1; i > 0; i--) {
        if (!BN_mod_mul_montgomery(each[i].blind, inverse, each[i - 1].blind, montgomery, ctx) ||
            !BN_mod_mul_montgomery(inverse, inverse, each[i].unblind, montgomery, ctx))
            return false;
    }
    return BN_copy(each[0].blind, inverse) != NULL;
}

static bool raise_to_exponent(const struct rsa_blinding *blinding, struct pairs *pairs, BN_CTX *ctx)
{
    BN_MONT_CTX *montgomery = blinding->montgomery;

    for (unsigned i = 0; i < pairs->count; i++) {
        BIGNUM *blind = pairs->each[i].blind;

        if (!BN_from_montgomery(blind, blind, montgomery, ctx) ||
            !BN_mod_exp_mont(blind, blind, blinding->exponent, blinding->modulus, ctx, montgomery) ||
            !BN_to_montgomery(blind, blind, montgomery, ctx))
            return false;
    }
    return true;
}

static bool make_room(struct pairs *pairs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct pair *pair = &pairs->each[i];

        if (pair->blind == NULL)
            pair->blind = BN_new();
        if (pair->unblind == NULL)
            pair->unblind = BN_new();
        if (pair->blind == NULL || pair->unblind == NULL)
            return false;
    }
    return true;
}

static bool draw(const struct rsa_blinding *blinding, struct pairs *pairs, unsigned count)
{
    BN_CTX *ctx;
    bool ok;

    pairs->count = pairs->uses = 0;
    if (!make_room(pairs, count))
        return false;
    ctx = BN_CTX_new();
    if (ctx == NULL)
        return false;
    BN_CTX_start(ctx);
    pairs->count = count;
    ok = draw_unblinding(blinding, pairs, ctx) && invert_all(blinding, pairs, ctx) &&
         raise_to_exponent(blinding, pairs, ctx);
    if (!ok)
        pairs->count = 0;
    BN_CTX_end(ctx);
    BN_CTX_free(ctx); /* cleanses what it lent */
    return ok;
}

/* A random number may have no inverse if the modulus has a small factor, which no proper key has. libcrypto
 * tries this many numbers, too. */
#define TRIES 32u

static bool draw_again(const struct rsa_blinding *blinding, struct pairs *pairs)
{
    unsigned count = pairs->count == 0 ? 1 : 2 * pairs->count;
    void *before = ersatz_random_enter();
    bool ok = false;

    ERR_set_mark();
    for (unsigned tries = 0; !ok && tries < TRIES; tries++) {
        ok = draw(blinding, pairs, count < PAIRS_MAX ? count : PAIRS_MAX);
        count = 1;
    }
    if (ok)
        ERR_pop_to_mark();
    else
        ERR_clear_last_mark();
    ersatz_random_leave(before);
    return ok;
}

/* -------------------------------------------------------------------------------------------------- using */

static bool square(const struct rsa_blinding *blinding, BIGNUM *number, BN_CTX *ctx)
{
    return BN_mod_mul_montgomery(number, number, number, blinding->montgomery, ctx);
}

static struct pairs *take(struct rsa_blinding *blinding)
{
    struct pairs *pairs = NULL;

    for (unsigned i = 0; i < IDLE_MAX && pairs == NULL; i++) {
        if (atomic_load_explicit(&blinding->idle[i], memory_order_relaxed) != NULL)
            pairs = atomic_exchange_explicit(&blinding->idle[i], NULL, memory_order_acquire);
    }
    return pairs != NULL ? pairs : calloc(1, sizeof(*pairs));
}

static void free_pairs(struct pairs *pairs)
{
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        BN_clear_free(pairs->each[i].blind);
        BN_clear_free(pairs->each[i].unblind);
    }
    free(pairs);
}

static void give_back(struct rsa_blinding *blinding, struct pairs *pairs)
{
    for (unsigned i = 0; i < IDLE_MAX; i++) {
        struct pairs *none = NULL;

        if (atomic_load_explicit(&blinding->idle[i], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(
                &blinding->idle[i], &none, pairs, memory_order_release, memory_order_relaxed))
            return;
    }
    free_pairs(pairs);
}

static struct pair *next_pair(const struct rsa_blinding *blinding, struct pairs *pairs, BN_CTX *ctx)
{
    struct pair *pair;

    if (pairs->uses == USES * pairs->count && !draw_again(blinding, pairs))
        return NULL;
    pair = &pairs->each[pairs->uses % pairs->count];
    if (pairs->uses >= pairs->count &&
        (!square(blinding, pair->blind, ctx) || !square(blinding, pair->unblind, ctx))) {
        pairs->count = pairs->uses = 0; /* one may be squared and the other not */
        return NULL;
    }
    pairs->uses++;
    return pair;
}

bool rsa_blinding_apply(struct rsa_blinding *blinding, BIGNUM *number, BIGNUM *unblind, BN_CTX *ctx)
{
    struct pairs *pairs = take(blinding);
    struct pair *pair;
    bool ok;

    if (pairs == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return false;
    }
    pair = next_pair(blinding, pairs, ctx);
    ok = pair != NULL && BN_copy(unblind, pair->unblind) != NULL &&
         BN_mod_mul_montgomery(number, number, pair->blind, blinding->montgomery, ctx);
    give_back(blinding, pairs);
    return ok;
}

/* BN_mod_mul_montgomery() ends with a search for the result's first word that is not zero. This is
 * libcrypto's only function that multiplies without such a branch. */
bool rsa_blinding_remove(struct rsa_blinding *blinding, BIGNUM *result, const BIGNUM *unblind, BN_CTX *ctx)
{
    BN_set_flags(result, BN_FLG_CONSTTIME);
    return BN_BLINDING_invert_ex(result, unblind, blinding->libcryptos, ctx);
}

/* ------------------------------------------------------------------------------------- making and freeing */

/* Takes the place of an exponentiation. */
static int copy_base(BIGNUM *result, const BIGNUM *base, const BIGNUM *exponent, const BIGNUM *modulus,
    BN_CTX *ctx, BN_MONT_CTX *montgomery)
{
    (void)exponent;
    (void)modulus;
    (void)ctx;
    (void)montgomery;
    return BN_copy(result, base) != NULL;
}

/* Only its multiplication is needed. It also draws a pair, which nobody uses: modulo a small prime, so that
 * it takes no time. */
#define SMALL_PRIME ((UINT64_C(1) << 31) - 1)

static BN_BLINDING *make_libcryptos(const struct rsa_blinding *blinding, BN_CTX *ctx)
{
    BIGNUM *prime = BN_CTX_get(ctx);

    if (prime == NULL || !BN_set_word(prime, SMALL_PRIME))
        return NULL;
    return BN_BLINDING_create_param(NULL, blinding->exponent, prime, ctx, copy_base, blinding->montgomery);
}

static bool make(struct rsa_blinding *blinding, const BIGNUM *modulus, const BIGNUM *exponent, BN_CTX *ctx)
{
    blinding->modulus = BN_dup(modulus);
    blinding->exponent = BN_dup(exponent);
    blinding->montgomery = BN_MONT_CTX_new();
    if (blinding->modulus == NULL || blinding->exponent == NULL || blinding->montgomery == NULL ||
        !BN_MONT_CTX_set(blinding->montgomery, modulus, ctx))
        return false;
    blinding->libcryptos = make_libcryptos(blinding, ctx);
    return blinding->libcryptos != NULL;
}

struct rsa_blinding *rsa_blinding_new(const BIGNUM *modulus, const BIGNUM *exponent)
{
    struct rsa_blinding *blinding = calloc(1, sizeof(*blinding));
    void *before = ersatz_random_enter();
    BN_CTX *ctx = BN_CTX_new();

    if (ctx != NULL)
        BN_CTX_start(ctx);
    if (blinding != NULL && (ctx == NULL || !make(blinding, modulus, exponent, ctx))) {
        rsa_blinding_free(blinding);
        blinding = NULL;
    }
    if (ctx != NULL)
        BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    ersatz_random_leave(before);
    return blinding;
}

void rsa_blinding_free(struct rsa_blinding *blinding)
{
    if (blinding == NULL)
        return;
    for (unsigned i = 0; i < IDLE_MAX; i++) {
        struct pairs *pairs = atomic_load_explicit(&blinding->idle[i], memory_order_acquire);

        if (pairs != NULL)
            free_pairs(pairs);
    }
    BN_BLINDING_free(blinding->libcryptos);
    BN_MONT_CTX_free(blinding->montgomery);
    BN_free(blinding->modulus);
    BN_free(blinding->exponent);
    free(blinding);
}
