/* SPDX-License-Identifier: Apache-2.0 */
/* Digests for calls that give the engine explicitly. */
#ifndef ERSATZ_ENGINE_DIGESTS_H
#define ERSATZ_ENGINE_DIGESTS_H

#include <openssl/engine.h>

/* For ENGINE_set_digests(). Answers a direct question with a copy of libcrypto's own digest, and lists
 * nothing. */
int digest_list(ENGINE *engine, const EVP_MD **digest, const int **nids, int nid);

/* Make the copies, and free them. 0: out of memory. */
int digest_list_create(void);
void digest_list_destroy(void);

#endif
