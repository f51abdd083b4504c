/* SPDX-License-Identifier: Apache-2.0 */
/* What card.c needs of each of the module's doors. */
#ifndef ERSATZ_TESTS_SUPPORT_DOOR_H
#define ERSATZ_TESTS_SUPPORT_DOOR_H

#include <openssl/provider.h>

#include "support/card.h"

struct card {
    ENGINE *engine;
    OSSL_PROVIDER *provider, *standard;
    OSSL_LIB_CTX *context;  /* of the provider; NULL: the default one */
    OSSL_LIB_CTX *previous; /* the default one before card_set_default() */
};

struct door {
    /* False, with errors on the queue: it is not open, and need not be closed. */
    bool (*open)(struct card *card, const char *module, const char *commands);
    void (*close)(struct card *card);

    /* Run a command. answer, text: where its answer goes, or NULL. The text is for free(3). */
    bool (*run)(struct card *card, const char *name, const char *value, int *answer, char **text);

    /* ENGINE_finish(3) and ENGINE_init(3), and what comes nearest to them. */
    bool (*finish)(struct card *card);
    bool (*init)(struct card *card);

    EVP_PKEY *(*new_key)(struct card *card, RSA *numbers);
    void (*set_default)(struct card *card);
};

extern const struct door engine_door, provider_door;

#endif
