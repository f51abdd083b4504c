/* SPDX-License-Identifier: Apache-2.0 */
/* The module as an engine. */
#include <openssl/bn.h>
#include <openssl/engine.h>
#include <stdatomic.h>

#include "check.h"
#include "support/door.h"

#define EXTRA_PRIMES_MAX 3

static bool open_engine(struct card *card, const char *module, const char *commands)
{
    char *copy = strdup(commands == NULL ? "" : commands), *rest = copy, *item;
    bool ok;

    ENGINE_load_dynamic();
    card->engine = ENGINE_by_id("dynamic");
    CHECK(card->engine != NULL);
    ok = ENGINE_ctrl_cmd_string(card->engine, "SO_PATH", module, 0) &&
         ENGINE_ctrl_cmd_string(card->engine, "LOAD", NULL, 0);
    while (ok && (item = strsep(&rest, ";")) != NULL) {
        char *value = strchr(item, ':');

        if (value != NULL)
            *value++ = '\0';
        ok = *item == '\0' || ENGINE_ctrl_cmd_string(card->engine, item, value, 0);
    }
    free(copy);
    ok = ok && ENGINE_init(card->engine);
    if (ok)
        CHECK(strcmp(ENGINE_get_id(card->engine), "ersatz") == 0);
    else
        ENGINE_free(card->engine);
    return ok;
}

static void close_engine(struct card *card)
{
    ENGINE_unregister_ciphers(card->engine);
    ENGINE_unregister_digests(card->engine);
    ENGINE_unregister_RSA(card->engine);
    ENGINE_unregister_pkey_meths(card->engine);
    CHECK(ENGINE_finish(card->engine));
    CHECK(ENGINE_free(card->engine));
}

static bool ask_for_text(struct card *card, const char *name, char **text)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool done;
    char *data;
    long len;

    CHECK(bio != NULL);
    done = ENGINE_ctrl_cmd(card->engine, name, 0, bio, NULL, 0) == 1;
    len = BIO_get_mem_data(bio, &data);
    *text = done ? strndup(data, (size_t)len) : NULL;
    BIO_free(bio);
    return done;
}

static bool run(struct card *card, const char *name, const char *value, int *answer, char **text)
{
    long number = value == NULL ? 0 : strtol(value, NULL, 10);
    _Atomic int *counter = NULL;

    if (text != NULL)
        return ask_for_text(card, name, text);
    if (answer == NULL)
        return ENGINE_ctrl_cmd_string(card->engine, name, value, 0) == 1;
    if (strcmp(name, "GET_NUM_REQUESTS_IN_FLIGHT") != 0)
        return ENGINE_ctrl_cmd(card->engine, name, number, answer, NULL, 0) == 1;
    if (!ENGINE_ctrl_cmd(card->engine, name, number, &counter, NULL, 0))
        return false;
    *answer = atomic_load(counter);
    return true;
}

static bool finish(struct card *card)
{
    return ENGINE_finish(card->engine) == 1;
}

static bool init(struct card *card)
{
    return ENGINE_init(card->engine) == 1;
}

static BIGNUM *copy(const BIGNUM *number)
{
    return number == NULL ? NULL : BN_dup(number);
}

static void copy_extra_primes(RSA *to, const RSA *from)
{
    const BIGNUM *sources[3 * EXTRA_PRIMES_MAX];
    BIGNUM *copies[3 * EXTRA_PRIMES_MAX];
    int count = RSA_get_multi_prime_extra_count(from);

    if (count == 0)
        return;
    CHECK(count <= EXTRA_PRIMES_MAX);
    CHECK(RSA_get0_multi_prime_factors(from, sources));
    CHECK(RSA_get0_multi_prime_crt_params(from, sources + count, sources + 2 * count));
    for (int i = 0; i < 3 * count; i++)
        copies[i] = BN_dup(sources[i]);
    CHECK(RSA_set0_multi_prime_params(to, copies, copies + count, copies + 2 * count, count));
}

static EVP_PKEY *new_key(struct card *card, RSA *numbers)
{
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    RSA *rsa = RSA_new_method(card->engine);
    EVP_PKEY *key = EVP_PKEY_new();

    if (rsa == NULL || key == NULL) {
        RSA_free(rsa);
        EVP_PKEY_free(key);
        return NULL;
    }
    RSA_get0_key(numbers, &n, &e, &d);
    RSA_get0_factors(numbers, &p, &q);
    RSA_get0_crt_params(numbers, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), copy(d)));
    CHECK(p == NULL || RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)));
    CHECK(dp == NULL || RSA_set0_crt_params(rsa, BN_dup(dp), BN_dup(dq), BN_dup(qi)));
    copy_extra_primes(rsa, numbers);
    CHECK(EVP_PKEY_assign_RSA(key, rsa));
    return key;
}

static void set_default(struct card *card)
{
    CHECK(ENGINE_set_default(card->engine, ENGINE_METHOD_ALL));
}

const struct door engine_door = {open_engine, close_engine, run, finish, init, new_key, set_default};
