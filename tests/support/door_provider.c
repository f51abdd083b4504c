/* SPDX-License-Identifier: Apache-2.0 */
/* The module as a provider. */
#include <libgen.h>
#include <stdio.h>

#include "check.h"
#include "ersatz/control.h"
#include "support/door.h"

static void close_provider(struct card *card)
{
    if (card->previous != NULL)
        OSSL_LIB_CTX_set0_default(card->previous);
    if (card->provider != NULL)
        CHECK(OSSL_PROVIDER_unload(card->provider));
    CHECK(OSSL_PROVIDER_unload(card->standard));
    OSSL_LIB_CTX_free(card->context);
}

/* ERSATZ_CTRL has the last word, so the commands go there for a moment. libcrypto's own provider comes first:
 * an operation that names nothing is its. */
static bool open_provider(struct card *card, const char *module, const char *commands)
{
    static const char name[] = "ERSATZ_CTRL=";
    char *control = getenv("ERSATZ_CTRL"), *path = strdup(module), *all = NULL;

    CHECK(OSSL_PROVIDER_set_default_search_path(card->context, dirname(path)));
    card->standard = OSSL_PROVIDER_load(card->context, "default");
    CHECK(card->standard != NULL);
    CHECK(asprintf(&all, "%s%s;%s", name, control == NULL ? "" : control, commands == NULL ? "" : commands) >
          0);
    CHECK_EQ(putenv(all), 0); /* setenv(3) keeps every string, which looks like a leak */
    card->provider = OSSL_PROVIDER_load(card->context, "ersatz");
    CHECK_EQ(control == NULL ? unsetenv("ERSATZ_CTRL") : putenv(control - strlen(name)), 0);
    free(all);
    free(path);
    if (card->provider == NULL)
        close_provider(card);
    return card->provider != NULL;
}

static bool run(struct card *card, const char *name, const char *value, int *answer, char **text)
{
    char *command, *said = NULL;
    int64_t number = 0;
    int done;

    CHECK(asprintf(&command, "%s%s%s", name, value == NULL ? "" : ":", value == NULL ? "" : value) > 0);
    done =
        ersatz_control(card->provider, command, answer == NULL ? NULL : &number, text == NULL ? NULL : &said);
    free(command);
    if (answer != NULL)
        *answer = (int)number;
    if (said != NULL)
        *text = strdup(said);
    OPENSSL_free(said);
    return done == 1;
}

static bool finish(struct card *card)
{
    bool done = OSSL_PROVIDER_unload(card->provider) == 1;

    card->provider = NULL;
    return done;
}

static bool init(struct card *card)
{
    card->provider = OSSL_PROVIDER_load(card->context, "ersatz");
    return card->provider != NULL;
}

static EVP_PKEY *new_key(struct card *card, RSA *numbers)
{
    EVP_PKEY *plain = EVP_PKEY_new(), *key = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(card->context, "RSA", "provider=ersatz");

    CHECK(plain != NULL && EVP_PKEY_set1_RSA(plain, numbers));
    CHECK(EVP_PKEY_todata(plain, EVP_PKEY_KEYPAIR, &params));
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    EVP_PKEY_free(plain);
    return key;
}

static void set_default(struct card *card)
{
    CHECK(EVP_set_default_properties(card->context, "?provider=ersatz"));
    if (card->context != NULL)
        card->previous = OSSL_LIB_CTX_set0_default(card->context);
}

const struct door provider_door = {open_provider, close_provider, run, finish, init, new_key, set_default};
