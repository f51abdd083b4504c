/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys in the device's memory. */
#ifndef ERSATZ_SIM_KERNELS_RSA_KEY_H
#define ERSATZ_SIM_KERNELS_RSA_KEY_H

#include "ersatz/device.h"

/* An RSA operation by libcrypto; in and out may be the same. */
enum ersatz_result rsa_key_compute(const struct ersatz_op *op);

/* A copy of the key that computes one CRT half wrong, since one bit of one exponent is turned; draw decides
 * which. NULL: the key has no CRT values, or there is no memory. To be freed as any key. */
struct ersatz_rsa_key *rsa_key_with_wrong_half(const struct ersatz_rsa_key *key, uint64_t draw);

/* Whether its private operation is done in CRT halves, one of which could be wrong alone. */
bool rsa_key_has_halves(const struct ersatz_rsa_key *key);

struct rsa_ifma_key;

/*
 * A request uses the key, and uses it no longer: who is the same number both times, and different for
 * requests of different instances. Keeps the key as a reference does, but threads that use one key all the
 * time write to different cache lines. The caller of the first has a reference, or knows of one.
 */
void rsa_key_use(struct ersatz_rsa_key *key, unsigned who);
void rsa_key_leave(struct ersatz_rsa_key *key, unsigned who);

/* The key's numbers for the batch kernel. NULL: this key is not for it. */
const struct rsa_ifma_key *rsa_key_ifma(const struct ersatz_rsa_key *key);

#endif
