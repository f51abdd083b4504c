/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about libcrypto's RSA share: an algorithm of libcrypto's, and the one for keys. */
#ifndef ERSATZ_PROVIDER_RSA_ORIGINAL_H
#define ERSATZ_PROVIDER_RSA_ORIGINAL_H

#include <openssl/core_dispatch.h>

#include "provider.h"

/* The last number of each operation that is known here (OpenSSL 4.0). */
enum { KEYMGMT_LAST = 46, SIGNATURE_LAST = 32, ASYM_CIPHER_LAST = 11, KEM_LAST = 13, NUMBERS = 47 };

typedef void any_fn(void);

/* One algorithm of libcrypto's. Its functions belong to the code and not to a library context: one set serves
 * all providers. Written once, before any of it is used. */
struct original {
    any_fn *functions[NUMBERS];  /* libcrypto's, by number; NULL: there is none */
    OSSL_DISPATCH ours[NUMBERS]; /* what we offer */
};

/* Call libcrypto's function of that number and type. */
#define THEIRS(original, number, type) ((type *)(original)->functions[number])

#define FUNCTION(number, function)                                                                           \
    {                                                                                                        \
        number, (any_fn *)(function)                                                                         \
    }

/* Functions of one parameter, or of a context and a provider context, that list parameters. */
typedef const OSSL_PARAM *list_fn(void *provider);
typedef const OSSL_PARAM *list_for_fn(void *context, void *provider);
typedef const OSSL_PARAM *list_types_fn(void *provider, int selection);

#define KEYS 2u /* RSA, RSA-PSS */

extern struct original rsa_keys[KEYS];
extern const OSSL_DISPATCH *const rsa_key_functions[KEYS]; /* ours, for those that are replaced */

/* Call once before keys are made; under a lock. False: an error is raised. */
bool rsa_keys_prepare(void);

/* Whether a key that is made by *original is an RSA object that takes the card's method, and one that every
 * constructor of keys has given it. */
bool rsa_key_takes_method(const struct original *original, struct provider *provider);

#endif
