/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the provider under test, for real, beside the default one. */
#ifndef ERSATZ_TESTS_PROVIDER_H
#define ERSATZ_TESTS_PROVIDER_H

#include <openssl/provider.h>

/*
 * Configure a library context, NULL for the default one, as by an openssl.cnf: its first section says what to
 * load, [init], and these lines follow. $MODULE in them is the module named by ERSATZ_MODULE. Returns what
 * CONF_modules_load() does.
 */
int provider_configure(OSSL_LIB_CTX *context, const char *lines);

/* The number that the statistics have under this name. */
long provider_count(const OSSL_PROVIDER *provider, const char *name);

/* The module named by ERSATZ_MODULE, and "default", in the default library context. Anything that fails ends
 * the test. */
OSSL_PROVIDER *provider_load(void);
void provider_unload(void);

#endif
