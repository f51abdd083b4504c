/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the provider under test, for real, beside the default one. */
#ifndef ERSATZ_TESTS_PROVIDER_H
#define ERSATZ_TESTS_PROVIDER_H

#include <openssl/provider.h>

/* The module named by ERSATZ_MODULE, and "default", in the default library context. Anything that fails ends
 * the test. */
OSSL_PROVIDER *provider_load(void);
void provider_unload(void);

#endif
