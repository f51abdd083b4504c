/* SPDX-License-Identifier: Apache-2.0 */
/* See provider.h. */
#include "provider.h"

#include <libgen.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static OSSL_PROVIDER *ours, *standard;

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
