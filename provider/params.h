/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a parameter by its name. */
#ifndef ERSATZ_PROVIDER_PARAMS_H
#define ERSATZ_PROVIDER_PARAMS_H

#include <openssl/core.h>
#include <stddef.h>
#include <string.h>

/* OSSL_PARAM_locate(3), which compares whole names. EVP asks for one parameter at a time, each call looks for
 * all that there are, and most differ in their first two letters. */
static inline OSSL_PARAM *cipher_param(OSSL_PARAM params[], const char *name)
{
    if (params == NULL)
        return NULL;
    for (; params->key != NULL; params++) {
        const char *key = params->key;

        if (key[0] == name[0] && key[1] == name[1] && strcmp(key, name) == 0)
            return params;
    }
    return NULL;
}

static inline const OSSL_PARAM *cipher_param_const(const OSSL_PARAM params[], const char *name)
{
    return cipher_param((OSSL_PARAM *)params, name);
}

#endif
