/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of ciphers that are objects of their own: EVP_SKEY, since OpenSSL 3.5. A cipher takes a key of its own
 * provider only, so types of keys are offered here: by libcrypto's own functions, with the provider's context
 * changed as for RSA (rsa_originals.h). The types are AES and the name of each cipher offered (cipher.h). The
 * type GENERIC-SECRET is not: libcrypto also takes it for every name that it does not know, such as DES, and
 * the default provider's ciphers would refuse our key.
 */
#ifndef ERSATZ_PROVIDER_SECRET_KEYS_H
#define ERSATZ_PROVIDER_SECRET_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "provider.h"

/* The operation's number: OSSL_OP_SKEYMGMT of OpenSSL 3.5. */
#define OPERATION_SECRET_KEYS 15

/* Offer the types, as provider->secret_keys, which stays NULL where libcrypto has no such objects. Call it
 * when provider->ciphers is complete. False: no memory; an error is raised. */
bool secret_keys_offer(struct provider *provider);
void secret_keys_free(struct provider *provider);

/* Call `use` with the bytes of a key, and return what it returns. 0, without a call: they cannot be had. */
int secret_key_use(void *key, int (*use)(const uint8_t *bytes, size_t len, void *arg), void *arg);

#endif
