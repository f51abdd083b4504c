/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the device's copy of an RSA key with the key itself, and renews it when the key's numbers change. */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "ersatz/assertion.h"
#include "ersatz/undisturbed.h"
#include "rsa.h"
#include "rsa_blinding.h"

/* A key's numbers, as libcrypto has them; the private ones may be NULL. */
struct numbers {
    const BIGNUM *n, *e, *d, *p, *q, *dmp1, *dmq1, *iqmp;
};

/*
 * A copy is constant once it is listed. It stays until the RSA key is freed, also when it is replaced: paused
 * jobs may still go on with it. They hold no reference of their own, since a job that is never resumed would
 * keep it for ever.
 */
struct copy {
    struct rsa_copy copy;
    struct copy *older;
    /* Addresses only, never followed: RSA_set0_*() changes them. A number may come to lie where an older one
     * lay, so the public ones are compared as well; they determine the others. */
    struct numbers made_from;
    BIGNUM *n, *e;
    BN_ULONG e_word; /* e, if it has one word; else, or if there is none, all bits are set */
};

struct attached {
    RSA *rsa;                      /* that it belongs to */
    struct attached *next, **link; /* in the list of all; under its lock */
    struct copy *_Atomic newest;   /* release when it is listed, acquire by whoever uses it */
};

/* Of the place in RSA's ex_data. -1: not made yet. */
static int ex_index = -1;

/* All keys with our method, for rsa_device_key_keep_all(). Held across forks, so that the child finds the
 * list whole. */
static struct ersatz_lock all_lock = ERSATZ_LOCK_INITIALIZER;
static struct attached *all;

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_hold_across_forks(&all_lock);
}

void rsa_device_key_keep_all(void)
{
    struct ersatz_locked locked;

    ersatz_lock(&all_lock, &locked);
    for (struct attached *attached = all; attached != NULL; attached = attached->next)
        RSA_up_ref(attached->rsa);
    ersatz_unlock(&locked);
}

int rsa_device_key_create_index(void)
{
    if (ex_index < 0)
        ex_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return ex_index >= 0;
}

int rsa_device_key_attach(RSA *rsa)
{
    struct attached *attached = calloc(1, sizeof(*attached));
    struct ersatz_locked locked;

    if (attached == NULL || !RSA_set_ex_data(rsa, ex_index, attached)) {
        free(attached);
        error_raise_result(ERSATZ_NO_MEMORY);
        return 0;
    }
    attached->rsa = rsa;
    attached->link = &all;
    ersatz_lock(&all_lock, &locked);
    attached->next = all;
    if (all != NULL)
        all->link = &attached->next;
    all = attached;
    ersatz_unlock(&locked);
    return 1;
}

static void free_copy(struct copy *copy)
{
    ersatz_rsa_key_free(copy->copy.key);
    rsa_blinding_free(copy->copy.blinding);
    BN_free(copy->n);
    BN_free(copy->e);
    free(copy);
}

void rsa_device_key_detach(RSA *rsa)
{
    struct attached *attached = RSA_get_ex_data(rsa, ex_index);
    struct ersatz_locked locked;
    struct copy *copy;

    if (attached == NULL)
        return;
    RSA_set_ex_data(rsa, ex_index, NULL);
    ersatz_lock(&all_lock, &locked);
    ASSERT(*attached->link == attached);
    *attached->link = attached->next;
    if (attached->next != NULL)
        attached->next->link = attached->link;
    ersatz_unlock(&locked);
    copy = atomic_load_explicit(&attached->newest, memory_order_acquire);
    while (copy != NULL) {
        struct copy *older = copy->older;

        free_copy(copy);
        copy = older;
    }
    free(attached);
}

/* The key's copy in the device, from its numbers in bytes. NULL: an error is raised. */
static struct ersatz_rsa_key *copy_key(const RSA *rsa, const struct numbers *numbers)
{
    const BIGNUM *r[ERSATZ_RSA_EXTRA_PRIMES_MAX], *d[ERSATZ_RSA_EXTRA_PRIMES_MAX],
        *t[ERSATZ_RSA_EXTRA_PRIMES_MAX];
    int extra = RSA_get_multi_prime_extra_count(rsa);
    bool factors = numbers->p != NULL && numbers->q != NULL;
    bool crt = factors && numbers->dmp1 != NULL && numbers->dmq1 != NULL && numbers->iqmp != NULL;
    struct ersatz_rsa_numbers bytes = {.extra_primes = (unsigned)extra};
    struct {
        const BIGNUM *from;
        struct ersatz_bytes *to;
    } list[8 + 3 * ERSATZ_RSA_EXTRA_PRIMES_MAX] = {
        {numbers->n, &bytes.n},
        {numbers->e, &bytes.e},
        {numbers->d, &bytes.d},
        {factors ? numbers->p : NULL, &bytes.p},
        {factors ? numbers->q : NULL, &bytes.q},
        {crt ? numbers->dmp1 : NULL, &bytes.dmp1},
        {crt ? numbers->dmq1 : NULL, &bytes.dmq1},
        {crt ? numbers->iqmp : NULL, &bytes.iqmp},
    };
    unsigned count = 8;
    struct ersatz_rsa_key *key = NULL;
    enum ersatz_result result;
    unsigned char *memory;
    size_t room = 1, used = 0;

    if (extra < 0 || extra > (int)ERSATZ_RSA_EXTRA_PRIMES_MAX ||
        (extra > 0 &&
            (!RSA_get0_multi_prime_factors(rsa, r) || !RSA_get0_multi_prime_crt_params(rsa, d, t)))) {
        error_raise(REASON_INPUT, "the RSA key has %d primes; expected 2 to %u", extra + 2,
            ERSATZ_RSA_EXTRA_PRIMES_MAX + 2);
        return NULL;
    }
    for (int i = 0; i < extra; i++) {
        list[count].from = r[i];
        list[count++].to = &bytes.extra[i].r;
        list[count].from = d[i];
        list[count++].to = &bytes.extra[i].d;
        list[count].from = t[i];
        list[count++].to = &bytes.extra[i].t;
    }
    for (unsigned i = 0; i < count; i++)
        room += list[i].from == NULL ? 0 : (size_t)BN_num_bytes(list[i].from);
    memory = OPENSSL_malloc(room);
    if (memory == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (list[i].from == NULL)
            continue;
        list[i].to->data = memory + used;
        list[i].to->len = (size_t)BN_bn2bin(list[i].from, memory + used);
        used += list[i].to->len;
    }
    result = ersatz_rsa_key_new(&bytes, &key);
    OPENSSL_clear_free(memory, room);
    error_raise_result(result);
    return key;
}

/* NULL: an error is raised. */
static struct copy *make_copy(const RSA *rsa, const struct numbers *numbers)
{
    struct copy *copy = calloc(1, sizeof(*copy));

    if (copy == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        return NULL;
    }
    copy->copy.key = copy_key(rsa, numbers);
    if (copy->copy.key == NULL) {
        free_copy(copy);
        return NULL;
    }
    copy->made_from = *numbers;
    copy->n = BN_dup(numbers->n);
    copy->e = BN_dup(numbers->e);
    copy->e_word = BN_get_word(numbers->e);
    if (copy->n == NULL || copy->e == NULL) {
        error_raise_result(ERSATZ_NO_MEMORY);
        free_copy(copy);
        return NULL;
    }
    if (numbers->d != NULL || numbers->p != NULL) { /* not a public key */
        ERR_set_mark();
        copy->copy.blinding = rsa_blinding_new(numbers->n, numbers->e);
        ERR_pop_to_mark(); /* with such a modulus libcrypto cannot do private operations either */
    }
    return copy;
}

/* With hundreds of keys, none of a key's numbers is in the nearest caches: a short exponent lies in the copy
 * itself. */
static bool has_exponent(const struct copy *copy, const BIGNUM *e)
{
    BN_ULONG word = BN_get_word(e);

    return word == copy->e_word && (~word != 0 || BN_cmp(e, copy->e) == 0);
}

/* Whether the key has not changed since. Nor is a copy used that was made before a fork, in the parent. */
static bool is_up_to_date(const struct copy *copy, const struct numbers *numbers)
{
    return copy != NULL && ersatz_rsa_key_is_current(copy->copy.key) &&
           memcmp(numbers, &copy->made_from, sizeof(*numbers)) == 0 && has_exponent(copy, numbers->e) &&
           BN_cmp(numbers->n, copy->n) == 0;
}

const struct rsa_copy *rsa_device_key(RSA *rsa)
{
    struct attached *attached = RSA_get_ex_data(rsa, ex_index);
    struct numbers numbers;
    struct copy *copy, *newest;
    struct ersatz_undisturbed before;

    if (attached == NULL) {
        error_raise(REASON_OPERATION, "the RSA key was not made for this engine");
        return NULL;
    }
    RSA_get0_key(rsa, &numbers.n, &numbers.e, &numbers.d);
    RSA_get0_factors(rsa, &numbers.p, &numbers.q);
    RSA_get0_crt_params(rsa, &numbers.dmp1, &numbers.dmq1, &numbers.iqmp);
    newest = atomic_load_explicit(&attached->newest, memory_order_acquire);
    if (is_up_to_date(newest, &numbers))
        return &newest->copy;
    ersatz_undisturbed_begin(&before); /* a thread that jumps away would leak what it has made */
    copy = make_copy(rsa, &numbers);
    if (copy != NULL) {
        do
            copy->older = newest;
        while (!atomic_compare_exchange_weak_explicit(
                   &attached->newest, &newest, copy, memory_order_acq_rel, memory_order_acquire) &&
               !is_up_to_date(newest, &numbers));
        if (copy->older != newest) { /* another thread was faster */
            free_copy(copy);
            copy = newest;
        }
    }
    ersatz_undisturbed_end(&before);
    return copy == NULL ? NULL : &copy->copy;
}
