/* SPDX-License-Identifier: Apache-2.0 */
/* The provider: what its files share. See provider(7) for the words. */
#ifndef ERSATZ_PROVIDER_PROVIDER_H
#define ERSATZ_PROVIDER_PROVIDER_H

#include <openssl/core.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <string.h>

/* One for each library context that loads the provider: libcrypto's provider context (provctx). */
struct provider {
    OSSL_LIB_CTX *application; /* the library context that loaded us; not ours to free */

    /*
     * A library context of our own, with nothing but the default provider. Its RSA is what ours is made of
     * (see rsa_originals.h). It is apart from the application's, so that neither the order in which that
     * loads its providers nor its properties lead back to us.
     */
    OSSL_LIB_CTX *own;
    OSSL_PROVIDER *originals; /* the default provider in there */
    void *originals_context;  /* its provctx */

    OSSL_PROVIDER *legacy; /* the legacy provider in there, once the application has loaded it, too */
    _Atomic bool knows_legacy;

    bool lends_method; /* our method is the process's default (choice.h) */

    OSSL_ALGORITHM *ciphers;                                          /* see cipher.h */
    OSSL_ALGORITHM *secret_keys;                                      /* see secret_keys.h; NULL: none */
    OSSL_ALGORITHM *keys, *signatures, *encryptions, *encapsulations; /* NULL: none is offered */
};

/* The function of that number in a table that libcrypto gave us. NULL: there is none. */
static inline void (*provider_function(const OSSL_DISPATCH *table, int number))(void)
{
    for (; table->function_id != 0; table++) {
        if (table->function_id == number)
            return table->function;
    }
    return NULL;
}

/* Whether the names of an algorithm, separated by colons, begin with this one. */
static inline bool provider_is_named(const OSSL_ALGORITHM *algorithm, const char *name)
{
    const char *names = algorithm->algorithm_names;
    size_t len = strlen(name);

    return OPENSSL_strncasecmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0');
}

/* The algorithm in a list whose names begin with this one. NULL: there is none. */
static inline const OSSL_ALGORITHM *provider_find(const OSSL_ALGORITHM *all, const char *name)
{
    for (; all->algorithm_names != NULL; all++) {
        if (provider_is_named(all, name))
            return all;
    }
    return NULL;
}

#endif
