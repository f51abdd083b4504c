/* SPDX-License-Identifier: Apache-2.0 */
/* RSA as an EVP_PKEY_METHOD, for keys that are given to an explicit engine. */
#ifndef ERSATZ_ENGINE_RSA_PKEY_H
#define ERSATZ_ENGINE_RSA_PKEY_H

#include <openssl/engine.h>

/* For ENGINE_set_pkey_meths(). Answers a direct question, but lists nothing: see rsa_pkey.c. */
int rsa_pkey_methods(ENGINE *engine, EVP_PKEY_METHOD **method, const int **nids, int nid);

/* Make the method, and free it. 0: out of memory. */
int rsa_pkey_create(void);
void rsa_pkey_destroy(void);

#endif
