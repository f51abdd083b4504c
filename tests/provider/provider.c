/* SPDX-License-Identifier: Apache-2.0 */
/* See provider.h. */
#include "provider.h"

#include <libgen.h>
#include <openssl/conf.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ersatz/control.h"

static OSSL_PROVIDER *ours, *standard;

int provider_configure(OSSL_LIB_CTX *context, const char *lines)
{
    CONF *conf = NCONF_new_ex(context, NULL);
    BIO *text = BIO_new(BIO_s_mem());
    int result;

    CHECK(BIO_printf(text, "MODULE = %s\nopenssl_conf = init\n%s", getenv("ERSATZ_MODULE"), lines) > 0);
    OPENSSL_load_builtin_modules();
    CHECK_EQ(NCONF_load_bio(conf, text, NULL), 1);
    result = CONF_modules_load(conf, NULL, 0);
    NCONF_free(conf);
    BIO_free(text);
    return result;
}

long provider_count(const OSSL_PROVIDER *provider, const char *name)
{
    char *statistics, *found, wanted[64];
    long value;

    CHECK_EQ(ersatz_control(provider, "STATS", NULL, &statistics), 1);
    snprintf(wanted, sizeof(wanted), "\"%s\": ", name);
    found = strstr(statistics, wanted);
    CHECK(found != NULL);
    value = strtol(found + strlen(wanted), NULL, 10);
    OPENSSL_free(statistics);
    return value;
}

OSSL_PROVIDER *provider_load(void)
{
    char *module = strdup(getenv("ERSATZ_MODULE"));

    CHECK(OSSL_PROVIDER_set_default_search_path(NULL, dirname(module)));
    ours = OSSL_PROVIDER_load(NULL, "ersatz");
    standard = OSSL_PROVIDER_load(NULL, "default");
    CHECK(ours != NULL && standard != NULL);
    free(module);
    return ours;
}

void provider_unload(void)
{
    CHECK(OSSL_PROVIDER_unload(ours) && OSSL_PROVIDER_unload(standard));
}
