/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of ciphers, by name. Inline, so that one that was not asked for costs a few instructions. */
#ifndef ERSATZ_PROVIDER_PARAMS_H
#define ERSATZ_PROVIDER_PARAMS_H

#include <openssl/core.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Inlined into each caller: by itself clang makes functions of these, for which a name is no constant. */
#define PARAM_INLINE static inline __attribute__((always_inline))

/* EVP asks for one parameter at a time, each call looks for all that there are, and most differ in their
 * first letters. name is a constant: letter by letter that is a few instructions, where strcmp(3) takes as
 * long as a block, and needs registers to be saved. */
PARAM_INLINE bool param_is(const OSSL_PARAM *param, const char *name)
{
    const char *key = param->key;
    size_t bytes = strlen(name) + 1; /* the last of which is 0 */

#define SAME(i) (bytes <= (i) || key[i] == name[i])
    return SAME(0) && SAME(1) && SAME(2) && SAME(3) && SAME(4) && SAME(5) && SAME(6) && SAME(7) &&
           (bytes <= 8 || strcmp(key + 8, name + 8) == 0);
#undef SAME
}

/* Whether that one is the only parameter. */
PARAM_INLINE bool param_is_alone(const OSSL_PARAM params[], const char *name)
{
    return params != NULL && params[0].key != NULL && params[1].key == NULL && param_is(params, name);
}

/* OSSL_PARAM_locate(3), which compares whole names. */
PARAM_INLINE OSSL_PARAM *cipher_param(OSSL_PARAM params[], const char *name)
{
    for (; params != NULL && params->key != NULL; params++) {
        if (param_is(params, name))
            return params;
    }
    return NULL;
}

PARAM_INLINE const OSSL_PARAM *cipher_param_const(const OSSL_PARAM params[], const char *name)
{
    return cipher_param((OSSL_PARAM *)params, name);
}

/* Whether a parameter of that name is there and holds bytes; then *bytes and *len are these. */
PARAM_INLINE bool asked_bytes(
    const OSSL_PARAM params[], const char *name, const uint8_t **bytes, size_t *len, bool *wrong)
{
    const OSSL_PARAM *param = cipher_param_const(params, name);

    if (param == NULL)
        return false;
    if (param->data_type != OSSL_PARAM_OCTET_STRING) {
        *wrong = true;
        return false;
    }
    *bytes = param->data;
    *len = param->data_size;
    return true;
}

/* OSSL_PARAM_get_uint(3), without a call for what EVP gives. */
static inline bool param_unsigned(const OSSL_PARAM *param, unsigned *value)
{
    if (param->data_type != OSSL_PARAM_UNSIGNED_INTEGER || param->data_size != sizeof(*value) ||
        param->data == NULL)
        return OSSL_PARAM_get_uint(param, value) != 0;
    memcpy(value, param->data, sizeof(*value));
    return true;
}

/* Give a parameter its value. A parameter that is NULL was not asked for. False: it is of a wrong type or
 * size. */
PARAM_INLINE bool answer_size(OSSL_PARAM params[], const char *name, size_t value)
{
    OSSL_PARAM *param = cipher_param(params, name);

    return param == NULL || OSSL_PARAM_set_size_t(param, value);
}

PARAM_INLINE bool answer_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *param = cipher_param(params, name);

    return param == NULL || OSSL_PARAM_set_int(param, value);
}

PARAM_INLINE bool answer_unsigned(OSSL_PARAM params[], const char *name, unsigned value)
{
    OSSL_PARAM *param = cipher_param(params, name);

    return param == NULL || OSSL_PARAM_set_uint(param, value);
}

static inline bool give_bytes(OSSL_PARAM *param, const void *bytes, size_t len)
{
    return param->data_type == OSSL_PARAM_OCTET_PTR ? OSSL_PARAM_set_octet_ptr(param, bytes, len)
                                                    : OSSL_PARAM_set_octet_string(param, bytes, len);
}

PARAM_INLINE bool answer_bytes(OSSL_PARAM params[], const char *name, const void *bytes, size_t len)
{
    OSSL_PARAM *param = cipher_param(params, name);

    return param == NULL || give_bytes(param, bytes, len);
}

/* Set the parameters of a cipher with a tag. Those that most calls set are alone: the padding, which EVP sets
 * anew with every IV, and the tag. */
PARAM_INLINE int set_tagged_params(void *arg, const OSSL_PARAM params[],
    int (*set_tag)(void *arg, const OSSL_PARAM *tag), int (*set_all)(void *arg, const OSSL_PARAM params[]))
{
    if (params == NULL || params->key == NULL)
        return 1;
    if (param_is_alone(params, OSSL_CIPHER_PARAM_PADDING))
        return 1;
    if (param_is_alone(params, OSSL_CIPHER_PARAM_AEAD_TAG))
        return set_tag(arg, params);
    return set_all(arg, params);
}

#endif
