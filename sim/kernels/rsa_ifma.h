/* SPDX-License-Identifier: Apache-2.0 */
/* RSA in batches: eight modular exponentiations at once, each with a key of its own, with AVX-512 IFMA. */
#ifndef ERSATZ_SIM_KERNELS_RSA_IFMA_H
#define ERSATZ_SIM_KERNELS_RSA_IFMA_H

#include "ersatz/device.h"

/* What one worker computes with. */
struct rsa_ifma;

/* NULL: out of memory. */
struct rsa_ifma *rsa_ifma_new(void);
void rsa_ifma_free(struct rsa_ifma *ifma); /* NULL is allowed */

/*
 * A batch kernel: see compute.h. Takes the operations on keys that it can do, of one shape after the other,
 * and only as many as are done sooner by it than one by one. To know that it measures both: with_others, it
 * decides by what it has seen on this machine; otherwise it takes all.
 *
 * A private result leaves only if it gives the input again under the public exponent. An operation for which
 * it did not stays open, for the portable kernel to do over.
 */
uint32_t rsa_ifma_compute(struct rsa_ifma *ifma, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t open, bool with_others);

/* How long the portable kernel took for an operation. */
void rsa_ifma_portable_took(struct rsa_ifma *ifma, const struct ersatz_op *op, uint64_t nanoseconds);

/* Whether this processor has the instructions. */
bool rsa_ifma_is_available(void);

#endif
