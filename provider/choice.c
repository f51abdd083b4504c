/* SPDX-License-Identifier: Apache-2.0 */
/* See choice.h. */
#include "choice.h"

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/error.h"
#include "driver/rsa.h"

enum { DEFAULT_ALGORITHMS, LOAD_DEFAULT, EVERY_RSA_KEY, LINES };

static const char *const names[LINES] = {
    [DEFAULT_ALGORITHMS] = "default_algorithms",
    [LOAD_DEFAULT] = "load_default",
    [EVERY_RSA_KEY] = "every_rsa_key",
};

bool choice_is_named(const char *name)
{
    for (unsigned i = 0; i < LINES; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ properties */

enum { RSA_CHOSEN = 1, AES_CHOSEN = 2 };

/* All optional, so that the application may still ask for what was not chosen. That is preferred less than
 * another provider's, whichever was loaded first. */
static const char *const properties[] = {
    [RSA_CHOSEN] = "?ersatz.rsa=yes,?ersatz.aes!=yes",
    [AES_CHOSEN] = "?ersatz.aes=yes,?ersatz.rsa!=yes",
    [RSA_CHOSEN | AES_CHOSEN] = "?ersatz.rsa=yes,?ersatz.aes=yes",
};

/* The names of ENGINE_set_default_string(3), as far as the card has such algorithms, and AES. 0, with an
 * error raised: another is in the list, or nothing. */
static unsigned parse_algorithms(const char *list)
{
    static const struct {
        const char *name;
        unsigned chosen;
    } words[] = {
        {"ALL", RSA_CHOSEN | AES_CHOSEN}, {"RSA", RSA_CHOSEN}, {"CIPHERS", AES_CHOSEN}, {"AES", AES_CHOSEN}};
    unsigned chosen = 0;

    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ", \t"), i;

        for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strlen(words[i].name) == len && strncmp(words[i].name, at, len) == 0)
                break;
        }
        if (i == sizeof(words) / sizeof(words[0])) {
            chosen = 0;
            break;
        }
        chosen |= words[i].chosen;
        at += len;
        at += strspn(at, ", \t");
    }
    if (chosen == 0)
        error_raise(REASON_BAD_COMMAND,
            "default_algorithms = %s: expected ALL, RSA or AES, or several of them separated by commas",
            list);
    return chosen;
}

/* What libcrypto tells a new child of a library context: provider-base(7). That is the way to ask for it from
 * 3.0 on. */
struct view {
    OSSL_FUNC_provider_name_fn *name;
    char *properties;                 /* the default ones, to be freed; NULL: not known */
    const OSSL_CORE_HANDLE *standard; /* the default provider; NULL: it is not active */
};

static int see_properties(const char *text, void *arg)
{
    struct view *view = arg;

    view->properties = OPENSSL_strdup(text);
    return 1;
}

static int see_provider(const OSSL_CORE_HANDLE *provider, void *arg)
{
    struct view *view = arg;

    if (view->name != NULL && strcmp(view->name(provider), "default") == 0)
        view->standard = provider;
    return 1;
}

static int ignore_provider(const OSSL_CORE_HANDLE *provider, void *arg)
{
    (void)provider;
    (void)arg;
    return 1;
}

#define CORE(configuration, number, type) ((type *)provider_function((configuration)->in, number))

static struct view look_at_context(const struct configuration *configuration)
{
    OSSL_FUNC_provider_register_child_cb_fn *begin =
        CORE(configuration, OSSL_FUNC_PROVIDER_REGISTER_CHILD_CB, OSSL_FUNC_provider_register_child_cb_fn);
    OSSL_FUNC_provider_deregister_child_cb_fn *end = CORE(
        configuration, OSSL_FUNC_PROVIDER_DEREGISTER_CHILD_CB, OSSL_FUNC_provider_deregister_child_cb_fn);
    struct view view = {.name = CORE(configuration, OSSL_FUNC_PROVIDER_NAME, OSSL_FUNC_provider_name_fn)};

    if (begin != NULL && end != NULL &&
        begin(configuration->handle, see_provider, ignore_provider, see_properties, &view))
        end(configuration->handle);
    return view;
}

/* Add ours to the default properties that are there. Where these name this provider, they stay as they
 * are. */
static bool prefer(
    struct provider *provider, const struct configuration *configuration, const char *preferred)
{
    char *before = look_at_context(configuration).properties, *all;
    size_t size;
    bool ok;

    if (before == NULL) {
        error_raise(
            REASON_DEVICE, "default_algorithms: libcrypto does not say what its default properties are");
        return false;
    }
    if (strstr(before, "ersatz") != NULL) {
        OPENSSL_free(before);
        return true;
    }
    size = strlen(before) + strlen(preferred) + 2;
    all = malloc(size);
    if (all != NULL)
        snprintf(all, size, "%s%s%s", before, before[0] == '\0' ? "" : ",", preferred);
    ok = all != NULL && EVP_set_default_properties(provider->application, all);
    if (all == NULL)
        error_raise_result(ERSATZ_NO_MEMORY);
    free(all);
    OPENSSL_free(before);
    return ok;
}

/* ---------------------------------------------------------------------------------- the default provider */

/*
 * Load it and leave it to the library context. OSSL_PROVIDER_unload(3) in our teardown would come too late:
 * libcrypto tears a context's providers down one after the other, this one before us, and then refuses. So
 * the reference goes back at once, by the function that libcrypto has for handles.
 */
static bool load_standard(struct provider *provider, const struct configuration *configuration)
{
    OSSL_FUNC_provider_free_fn *give_back =
        CORE(configuration, OSSL_FUNC_PROVIDER_FREE, OSSL_FUNC_provider_free_fn);
    struct view view;

    if (OSSL_PROVIDER_load(provider->application, "default") == NULL)
        return false;
    view = look_at_context(configuration);
    OPENSSL_free(view.properties);
    if (view.standard != NULL && give_back != NULL)
        give_back(view.standard, 0);
    return true;
}

/* ------------------------------------------------------------------------------------------- the lines */

bool choice_make(struct provider *provider, const struct configuration *configuration)
{
    char *values[LINES] = {NULL};
    OSSL_PARAM params[LINES + 1];
    OSSL_FUNC_core_get_params_fn *get =
        CORE(configuration, OSSL_FUNC_CORE_GET_PARAMS, OSSL_FUNC_core_get_params_fn);
    unsigned chosen;
    bool load = false, every = false;

    for (unsigned i = 0; i < LINES; i++)
        params[i] = OSSL_PARAM_construct_utf8_ptr(names[i], &values[i], 0);
    params[LINES] = OSSL_PARAM_construct_end();
    if (get == NULL || !get(configuration->handle, params))
        return true;
    for (unsigned i = LOAD_DEFAULT; i < LINES; i++) {
        if (values[i] != NULL && !settings_read_flag(names[i], values[i], i == LOAD_DEFAULT ? &load : &every))
            return false;
    }
    if (values[DEFAULT_ALGORITHMS] != NULL) {
        chosen = parse_algorithms(values[DEFAULT_ALGORITHMS]);
        if (chosen == 0 || !prefer(provider, configuration, properties[chosen]))
            return false;
    }
    if (load && !load_standard(provider, configuration))
        return false;
    if (every) {
        rsa_method_lend();
        provider->lends_method = true;
    }
    return true;
}

void choice_undo(struct provider *provider)
{
    if (provider->lends_method)
        rsa_method_take_back();
}
