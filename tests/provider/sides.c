/* SPDX-License-Identifier: Apache-2.0 */
/* See sides.h. */
#include "sides.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lots.h"
#include "provider.h"

struct side sides[SIDES];
uint64_t sides_state;

void sides_begin(const char *cipher, const char *state)
{
    provider_load();
    sides_state = strtoul(state, NULL, 10);
    sides[0].cipher = EVP_CIPHER_fetch(NULL, cipher, "provider=ersatz");
    sides[1].cipher = EVP_CIPHER_fetch(NULL, cipher, "provider=default");
    CHECK(sides[0].cipher != NULL && sides[1].cipher != NULL);
}

void sides_end(void)
{
    for (struct side *s = sides; s < sides + SIDES; s++) {
        EVP_CIPHER_CTX_free(s->context);
        EVP_CIPHER_free(s->cipher);
    }
    provider_unload();
}

uint32_t lot(uint32_t below)
{
    return lots_below(&sides_state, below);
}

void fill(unsigned char *bytes, size_t len)
{
    lots_fill(&sides_state, bytes, len);
}

void say_state(void)
{
    if (getenv("CALLS") != NULL)
        fprintf(stderr, "a round from state %llu\n", (unsigned long long)sides_state);
}

static bool has(const OSSL_PARAM *list, const OSSL_PARAM *wanted)
{
    for (; list->key != NULL; list++) {
        if (strcmp(list->key, wanted->key) == 0 && list->data_type == wanted->data_type)
            return true;
    }
    return false;
}

void same_list(const OSSL_PARAM *ours, const OSSL_PARAM *theirs)
{
    CHECK(ours != NULL && theirs != NULL);
    for (const OSSL_PARAM *each = theirs; each->key != NULL; each++) {
        if (!has(ours, each))
            fprintf(stderr, "no parameter %s\n", each->key);
        CHECK(has(ours, each));
    }
    for (const OSSL_PARAM *each = ours; each->key != NULL; each++)
        CHECK(has(theirs, each));
}

/* What one side answers when it is asked for a parameter. */
struct answer {
    unsigned char bytes[512];
    void *pointer; /* of an OSSL_PARAM_OCTET_PTR */
    size_t size;
    int done;
};

static struct answer ask(const OSSL_PARAM *param, int (*get)(void *, OSSL_PARAM *), void *of)
{
    OSSL_PARAM params[2] = {*param, OSSL_PARAM_END};
    struct answer answer = {.pointer = NULL};

    memset(answer.bytes, 0x55, sizeof(answer.bytes));
    if (param->data_type == OSSL_PARAM_OCTET_PTR) {
        params[0].data = &answer.pointer;
        params[0].data_size = sizeof(answer.bytes);
    } else {
        params[0].data = answer.bytes;
        params[0].data_size = param->data_size != 0 ? param->data_size : 16;
    }
    params[0].return_size = OSSL_PARAM_UNMODIFIED;
    answer.done = get(of, params);
    answer.size = params[0].return_size;
    return answer;
}

static void same_answer(const OSSL_PARAM *param, const struct answer *ours, const struct answer *theirs)
{
    if (ours->done != theirs->done || ours->size != theirs->size)
        fprintf(stderr, "parameter %s: %d, %zu bytes; libcrypto's %d, %zu\n", param->key, ours->done,
            ours->size, theirs->done, theirs->size);
    CHECK_EQ(ours->done, theirs->done);
    CHECK_EQ(ours->size, theirs->size);
    if (strcmp(param->key, "tls-multi") == 0) /* the card does several records by a pipeline */
        return;
    if (memcmp(ours->bytes, theirs->bytes, sizeof(ours->bytes)) != 0)
        fprintf(stderr, "parameter %s differs: %02x, libcrypto's %02x\n", param->key, ours->bytes[0],
            theirs->bytes[0]);
    CHECK_EQ(memcmp(ours->bytes, theirs->bytes, sizeof(ours->bytes)), 0);
    if (ours->done && ours->size != OSSL_PARAM_UNMODIFIED && ours->pointer != NULL && theirs->pointer != NULL)
        CHECK_EQ(memcmp(ours->pointer, theirs->pointer, ours->size), 0);
}

/* Every parameter in the list has the same value on both sides. */
static void same_answers(const OSSL_PARAM *list, int (*get)(void *, OSSL_PARAM *), void *ours, void *theirs)
{
    for (; list->key != NULL; list++) {
        struct answer a, b;

        if (strncmp(list->key, "tls1multi", 9) == 0) /* libcrypto's aborts where it was not set */
            continue;
        a = ask(list, get, ours);
        b = ask(list, get, theirs);
        same_answer(list, &a, &b);
    }
}

static int get_of_cipher(void *cipher, OSSL_PARAM *params)
{
    return EVP_CIPHER_get_params(cipher, params);
}

static int get_of_context(void *context, OSSL_PARAM *params)
{
    return EVP_CIPHER_CTX_get_params(context, params);
}

void same_cipher_answers(void)
{
    same_answers(
        EVP_CIPHER_gettable_params(sides[1].cipher), get_of_cipher, sides[0].cipher, sides[1].cipher);
}

void same_context_answers(void)
{
    same_answers(
        EVP_CIPHER_gettable_ctx_params(sides[1].cipher), get_of_context, sides[0].context, sides[1].context);
}

void same(const char *what)
{
    if (getenv("CALLS") != NULL)
        fprintf(stderr, "%s: %d, %d bytes; libcrypto's %d, %d\n", what, sides[0].result, sides[0].len,
            sides[1].result, sides[1].len);
    if (sides[0].result != sides[1].result || sides[0].len != sides[1].len ||
        memcmp(sides[0].out, sides[1].out, sizeof(sides[0].out)) != 0)
        fprintf(stderr, "%s: %d, %d bytes; libcrypto's %d, %d\n", what, sides[0].result, sides[0].len,
            sides[1].result, sides[1].len);
    CHECK_EQ(sides[0].result, sides[1].result);
    CHECK_EQ(sides[0].len, sides[1].len);
    CHECK_EQ(memcmp(sides[0].out, sides[1].out, sizeof(sides[0].out)), 0);
    ERR_clear_error();
}

void renew(void)
{
    for (struct side *s = sides; s < sides + SIDES; s++) {
        EVP_CIPHER_CTX_free(s->context);
        s->context = EVP_CIPHER_CTX_new();
        CHECK(s->context != NULL);
        memset(s->out, 0, sizeof(s->out));
    }
}

void copy_both(void)
{
    for (struct side *s = sides; s < sides + SIDES; s++) {
        EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

        CHECK_EQ(EVP_CIPHER_CTX_copy(copy, s->context), 1);
        EVP_CIPHER_CTX_free(s->context);
        s->context = copy;
    }
}
