/* SPDX-License-Identifier: Apache-2.0 */
/* RSA as an RSA_METHOD, and the device's copy of a key. */
#ifndef ERSATZ_DRIVER_RSA_H
#define ERSATZ_DRIVER_RSA_H

#include <openssl/rsa.h>

#include "ersatz/device.h"

/* For ENGINE_set_RSA() or RSA_set_method(). */
RSA_METHOD *rsa_method(void);

/* Make the method, and free it. One thread at a time. 0: out of memory. */
int rsa_method_create(void);
void rsa_method_destroy(void);

/*
 * Lend the method to every RSA key of the process that is made from now on (RSA_set_default_method(3)), and
 * take it back. It is lent as often as it was not taken back; then the default is what it was before, unless
 * the application has set another. Keys that have the method keep it. From the time that the method is
 * destroyed, until it is made again, the calling core computes with them.
 */
void rsa_method_lend(void);
void rsa_method_take_back(void);

/*
 * libcrypto is about to clean up. When the last reference to a key is dropped after that, as by a static
 * object of C++, libcrypto drops the key's reference to the engine, too, under a lock that is gone. So every
 * key that is left gets one reference more, and stays.
 */
void rsa_device_key_keep_all(void);

/* ------------------------------------------------------------------------------- for the method: internal */

/* What the device needs of a key. Constant, but for what the two pointers lead to. */
struct rsa_copy {
    struct ersatz_rsa_key *key;
    struct rsa_blinding *blinding; /* NULL for a public key, or one that libcrypto refuses */
};

/* Make the place in RSA's ex_data where a key keeps its copies. One thread at a time. 0: out of memory. */
int rsa_device_key_create_index(void);

/* Begin and end to keep copies with a key: for the method's init and finish. 0: out of memory; raised. */
int rsa_device_key_attach(RSA *rsa);
void rsa_device_key_detach(RSA *rsa);

/* The device's copy of the key, made or renewed if need be. It stays as long as rsa. Any number of threads,
 * and signal handlers. NULL: the key is not usable; an error is raised. */
const struct rsa_copy *rsa_device_key(RSA *rsa);

#endif
