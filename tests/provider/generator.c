/* SPDX-License-Identifier: Apache-2.0 */
/* The generator of random numbers where the library context has no default provider, but another one that has
 * a generator, as with OpenSSL's FIPS provider: this provider must not take it away. */
#include <libgen.h>
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static OSSL_PROVIDER
    *standard; /* the default provider in a context of its own, which the other one hands on */

static const OSSL_ALGORITHM *query(void *arg, int operation, int *no_cache)
{
    static OSSL_ALGORITHM renamed[8][128];
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(standard, operation, no_cache);
    static const int handed_on[] = {OSSL_OP_DIGEST, OSSL_OP_CIPHER, OSSL_OP_MAC, OSSL_OP_RAND};

    (void)arg;
    for (unsigned each = 0; all != NULL && each < sizeof(handed_on) / sizeof(handed_on[0]); each++) {
        if (handed_on[each] != operation)
            continue;
        for (unsigned i = 0; i < 127 && all[i].algorithm_names != NULL; i++) {
            renamed[each][i] = all[i];
            renamed[each][i].property_definition = "provider=other";
        }
        return renamed[each];
    }
    return NULL;
}

static int other_init(
    const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query}, {0, NULL}};

    (void)handle;
    (void)in;
    *out = functions;
    *context = OSSL_PROVIDER_get0_provider_ctx(standard);
    return 1;
}

int main(void)
{
    char *module = strdup(getenv("ERSATZ_MODULE"));
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new(), *own = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *ours, *other;
    unsigned char bytes[32];

    standard = OSSL_PROVIDER_load(own, "default");
    CHECK(standard != NULL);
    CHECK_EQ(OSSL_PROVIDER_set_default_search_path(context, dirname(module)), 1);
    CHECK_EQ(OSSL_PROVIDER_add_builtin(context, "other", other_init), 1);
    ours = OSSL_PROVIDER_load(context, "ersatz");
    other = OSSL_PROVIDER_load(context, "other");
    CHECK(ours != NULL && other != NULL);
    CHECK_EQ(RAND_bytes_ex(context, bytes, sizeof(bytes), 0), 1);

    CHECK(OSSL_PROVIDER_unload(ours) && OSSL_PROVIDER_unload(other));
    OSSL_LIB_CTX_free(context);
    CHECK_EQ(OSSL_PROVIDER_unload(standard), 1);
    OSSL_LIB_CTX_free(own);
    free(module);
    return 0;
}
