/* SPDX-License-Identifier: Apache-2.0 */
/* RSA as an RSA_METHOD, and what a key keeps of the device. */
#ifndef ERSATZ_DRIVER_RSA_H
#define ERSATZ_DRIVER_RSA_H

#include <openssl/rsa.h>

#include "ersatz/device.h"

/* For ENGINE_set_RSA(), or RSA_set_method(). */
RSA_METHOD *rsa_method(void);

/* Make the method, and free it. 0: out of memory. */
int rsa_method_create(void);
void rsa_method_destroy(void);

/* What a key with our method carries: room for its copy in the device. For the method's init and finish. */
int rsa_device_key_attach(RSA *rsa);
void rsa_device_key_detach(RSA *rsa);

/* What the device needs of a key. */
struct rsa_copy {
    struct ersatz_rsa_key *key;
    struct rsa_blinding *blinding; /* NULL for a public key, or one that libcrypto refuses */
    struct rsa_copy *older;        /* for rsa_device_key.c */
};

/* libcrypto is about to be taken apart. Who frees the last reference to a key after that, as a static object
 * of C++ may, would have libcrypto give back the key's reference to the engine under a lock that is gone: so
 * every key that is left gets one reference more, and stays. */
void rsa_device_key_keep_all(void);

/* The device's copy of the key, made or renewed if need be. It stays as long as rsa. NULL, with an error
 * raised: the key is not usable. */
const struct rsa_copy *rsa_device_key(RSA *rsa);

#endif
