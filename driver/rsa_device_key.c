/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the device's copy of an RSA key with the key itself, and renews it when the key's numbers change. */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "error.h"
#include "ersatz/undisturbed.h"
#include "rsa.h"
#include "rsa_blinding.h"

#define NUMBERS 8u

/*
 * A copy stays until the RSA key is freed, also when it is replaced: jobs that are paused may still go on
 * with it. They hold no reference of their own, since a job that is never resumed would keep it for ever.
 */
struct attached {
    RSA *rsa;                      /* that it belongs to */
    struct attached *next, **link; /* in the list of all; under its lock */
    pthread_mutex_t lock;          /* for what follows: any number of threads may use one key */
    _Atomic unsigned generation;   /* of the process in which the lock was made: card_renew_after_fork() */
    struct rsa_copy *copies;       /* the newest first; that one is used if is_made */
    bool is_made;
    /* Addresses only, never followed: RSA_set0_*() changes them. A number may come to lie where an older one
     * lay, so what is public is compared as well; it determines the rest. */
    const BIGNUM *made_from[NUMBERS];
    BIGNUM *modulus, *exponent;
};

/* Made once for the process: the index of the room in a key's ex_data. -1: not yet. Relaxed: nothing else is
 * published with it. */
static _Atomic int ex_index = -1;
static pthread_mutex_t ex_index_lock = PTHREAD_MUTEX_INITIALIZER; /* for making it */

/* All keys of the engine, for rsa_device_key_keep_all(). The lock is held for a few instructions only. */
static pthread_mutex_t all_lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static struct attached *all;

static void lock_all(void)
{
    /* Fails where this very thread has it already, as a handler that interrupted it: see rsa_device_key(). */
    (void)pthread_mutex_lock(&all_lock);
}

static void unlock_all(void)
{
    (void)pthread_mutex_unlock(&all_lock);
}

/* Another thread may have held it at the fork: the child has one of its own. */
static void renew_index_lock(void)
{
    pthread_mutex_init(&ex_index_lock, NULL);
}

static void renew_all_lock(void)
{
    static const pthread_mutex_t new = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

    all_lock = new;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, renew_index_lock); /* fails only without memory */
    pthread_atfork(lock_all, unlock_all, renew_all_lock);
}

static void enlist(struct attached *attached, RSA *rsa)
{
    attached->rsa = rsa;
    attached->link = &all;
    lock_all();
    attached->next = all;
    if (all != NULL)
        all->link = &attached->next;
    all = attached;
    unlock_all();
}

static void strike_off(struct attached *attached)
{
    lock_all();
    *attached->link = attached->next;
    if (attached->next != NULL)
        attached->next->link = attached->link;
    unlock_all();
}

void rsa_device_key_keep_all(void)
{
    lock_all();
    for (struct attached *attached = all; attached != NULL; attached = attached->next)
        RSA_up_ref(attached->rsa);
    unlock_all();
}

static int index_made(void)
{
    int made = atomic_load_explicit(&ex_index, memory_order_relaxed);
    struct ersatz_undisturbed before;

    if (made >= 0)
        return made;
    ersatz_undisturbed_begin(&before);
    pthread_mutex_lock(&ex_index_lock);
    made = atomic_load_explicit(&ex_index, memory_order_relaxed);
    if (made < 0)
        made = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    atomic_store_explicit(&ex_index, made, memory_order_relaxed);
    pthread_mutex_unlock(&ex_index_lock);
    ersatz_undisturbed_end(&before);
    return made;
}

/* A thread of the parent may have held it. */
static void renew_lock(void *arg)
{
    static const pthread_mutex_t new = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    struct attached *attached = arg;

    attached->lock = new;
}

int rsa_device_key_attach(RSA *rsa)
{
    struct attached *attached;
    int made = index_made();

    attached = calloc(1, sizeof(*attached));
    if (attached == NULL || made < 0 || !RSA_set_ex_data(rsa, made, attached)) {
        free(attached);
        error_raise_result(ERSATZ_NO_MEMORY);
        return 0;
    }
    atomic_init(&attached->generation, card_generation());
    renew_lock(attached);
    enlist(attached, rsa);
    return 1;
}

static void forget(struct attached *attached)
{
    BN_free(attached->modulus);
    BN_free(attached->exponent);
    attached->is_made = false;
    attached->modulus = attached->exponent = NULL;
}

static void free_copy(struct rsa_copy *copy)
{
    ersatz_rsa_key_free(copy->key);
    rsa_blinding_free(copy->blinding);
    free(copy);
}

void rsa_device_key_detach(RSA *rsa)
{
    struct attached *attached = RSA_get_ex_data(rsa, ex_index);

    if (attached == NULL)
        return;
    strike_off(attached);
    RSA_set_ex_data(rsa, ex_index, NULL);
    forget(attached);
    while (attached->copies != NULL) {
        struct rsa_copy *copy = attached->copies;

        attached->copies = copy->older;
        free_copy(copy);
    }
    pthread_mutex_destroy(&attached->lock);
    free(attached);
}

static void numbers_of(const RSA *rsa, const BIGNUM *numbers[NUMBERS])
{
    RSA_get0_key(rsa, &numbers[0], &numbers[1], &numbers[2]);
    RSA_get0_factors(rsa, &numbers[3], &numbers[4]);
    RSA_get0_crt_params(rsa, &numbers[5], &numbers[6], &numbers[7]);
}

/* Bytes of a number, at *at, which moves on. */
static struct ersatz_bytes write_number(const BIGNUM *number, unsigned char **at)
{
    struct ersatz_bytes bytes = {NULL, 0};

    if (number == NULL)
        return bytes;
    bytes.data = *at;
    bytes.len = (size_t)BN_num_bytes(number);
    BN_bn2bin(number, *at);
    *at += bytes.len;
    return bytes;
}

static size_t room_for(const BIGNUM *const *numbers, unsigned count)
{
    size_t room = 0;

    for (unsigned i = 0; i < count; i++)
        room += numbers[i] == NULL ? 0 : (size_t)BN_num_bytes(numbers[i]);
    return room;
}

static struct ersatz_rsa_key *build(const RSA *rsa, const BIGNUM *const numbers[NUMBERS])
{
    const BIGNUM *primes[ERSATZ_RSA_EXTRA_PRIMES_MAX], *exponents[ERSATZ_RSA_EXTRA_PRIMES_MAX],
        *coefficients[ERSATZ_RSA_EXTRA_PRIMES_MAX];
    int extra = RSA_get_multi_prime_extra_count(rsa);
    bool factors = numbers[3] != NULL && numbers[4] != NULL;
    bool crt = factors && numbers[5] != NULL && numbers[6] != NULL && numbers[7] != NULL;
    struct ersatz_rsa_numbers as_bytes = {.extra_primes = (unsigned)extra};
    struct ersatz_rsa_key *key = NULL;
    enum ersatz_result result;
    unsigned char *memory, *at;
    size_t room;

    if (extra < 0 || extra > (int)ERSATZ_RSA_EXTRA_PRIMES_MAX ||
        (extra > 0 && (!RSA_get0_multi_prime_factors(rsa, primes) ||
                          !RSA_get0_multi_prime_crt_params(rsa, exponents, coefficients)))) {
        error_raise(REASON_INPUT, "an RSA key of %d primes; at most %u are taken", extra + 2,
            ERSATZ_RSA_EXTRA_PRIMES_MAX + 2);
        return NULL;
    }
    room = room_for(numbers, NUMBERS) + room_for(primes, (unsigned)extra) +
           room_for(exponents, (unsigned)extra) + room_for(coefficients, (unsigned)extra);
    at = memory = OPENSSL_malloc(room + 1);
    if (memory == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return NULL;
    }
    as_bytes.n = write_number(numbers[0], &at);
    as_bytes.e = write_number(numbers[1], &at);
    as_bytes.d = write_number(numbers[2], &at);
    as_bytes.p = write_number(factors ? numbers[3] : NULL, &at);
    as_bytes.q = write_number(factors ? numbers[4] : NULL, &at);
    as_bytes.dmp1 = write_number(crt ? numbers[5] : NULL, &at);
    as_bytes.dmq1 = write_number(crt ? numbers[6] : NULL, &at);
    as_bytes.iqmp = write_number(crt ? numbers[7] : NULL, &at);
    for (int i = 0; i < extra; i++) {
        as_bytes.extra[i].r = write_number(primes[i], &at);
        as_bytes.extra[i].d = write_number(exponents[i], &at);
        as_bytes.extra[i].t = write_number(coefficients[i], &at);
    }
    result = ersatz_rsa_key_new(&as_bytes, &key);
    OPENSSL_clear_free(memory, room + 1);
    error_raise_result(result);
    return key;
}

static bool is_up_to_date(const struct attached *attached, const BIGNUM *const numbers[NUMBERS])
{
    return attached->is_made && ersatz_rsa_key_is_current(attached->copies->key) &&
           memcmp(numbers, attached->made_from, sizeof(attached->made_from)) == 0 &&
           BN_cmp(numbers[0], attached->modulus) == 0 && BN_cmp(numbers[1], attached->exponent) == 0;
}

/* NULL: for a public key, or a modulus with which libcrypto cannot do private operations either. */
static struct rsa_blinding *make_blinding(const BIGNUM *const numbers[NUMBERS])
{
    struct rsa_blinding *blinding;

    if (numbers[2] == NULL && numbers[3] == NULL)
        return NULL;
    ERR_set_mark();
    blinding = rsa_blinding_new(numbers[0], numbers[1]);
    ERR_pop_to_mark();
    return blinding;
}

static void make(struct attached *attached, const RSA *rsa, const BIGNUM *const numbers[NUMBERS])
{
    struct rsa_copy *copy = calloc(1, sizeof(*copy));

    if (copy == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return;
    }
    copy->key = build(rsa, numbers);
    if (copy->key == NULL) {
        free_copy(copy);
        return;
    }
    copy->blinding = make_blinding(numbers);
    copy->older = attached->copies;
    attached->copies = copy;
    attached->is_made = true;
    attached->modulus = BN_dup(numbers[0]);
    attached->exponent = BN_dup(numbers[1]);
    memcpy(attached->made_from, numbers, sizeof(attached->made_from));
    if (attached->modulus == NULL || attached->exponent == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        forget(attached);
    }
}

const struct rsa_copy *rsa_device_key(RSA *rsa)
{
    struct attached *attached = RSA_get_ex_data(rsa, ex_index);
    const BIGNUM *numbers[NUMBERS] = {NULL};
    const struct rsa_copy *copy = NULL;
    struct ersatz_undisturbed before;

    if (attached == NULL) {
        error_raise(REASON_OPERATION, "the RSA key was not made for this engine");
        return NULL;
    }
    card_renew_after_fork(&attached->generation, renew_lock, attached);
    numbers_of(rsa, numbers);
    /* Fails where this very thread has it already: as a handler that interrupted itself here, or that jumped
     * out of here. Either way nothing was in the middle of being changed. */
    (void)pthread_mutex_lock(&attached->lock);
    if (!is_up_to_date(attached, numbers)) {
        ersatz_undisturbed_begin(&before);
        forget(attached);
        make(attached, rsa, numbers);
        ersatz_undisturbed_end(&before);
    }
    if (attached->is_made)
        copy = attached->copies;
    pthread_mutex_unlock(&attached->lock);
    return copy;
}
