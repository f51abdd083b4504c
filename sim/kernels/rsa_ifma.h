/* SPDX-License-Identifier: Apache-2.0 */
/* RSA in batches: eight modular exponentiations at once, each with a key of its own, with AVX-512 IFMA. */
#ifndef ERSATZ_SIM_KERNELS_RSA_IFMA_H
#define ERSATZ_SIM_KERNELS_RSA_IFMA_H

#include "ersatz/device.h"

/* Lanes and scratch memory of one worker. */
struct rsa_ifma;

/* NULL: out of memory. */
struct rsa_ifma *rsa_ifma_new(void);
void rsa_ifma_free(struct rsa_ifma *ifma); /* NULL is allowed */

/*
 * A batch kernel: see compute.h. Takes the operations whose keys it supports, one shape after the other. With
 * with_others it takes only as many as it computes sooner than the portable kernel, by what it has measured
 * on this machine; otherwise it takes all.
 *
 * A private result leaves the kernel only if the public exponent turns it into the input again. An operation
 * whose result does not stays open, and the portable kernel computes it anew.
 */
uint32_t rsa_ifma_compute(struct rsa_ifma *ifma, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t open, bool with_others);

/* How long the portable kernel took for an operation. */
void rsa_ifma_portable_took(struct rsa_ifma *ifma, const struct ersatz_op *op, uint64_t nanoseconds);

/* Whether this processor has the instructions. */
bool rsa_ifma_is_available(void);

#endif
