/* SPDX-License-Identifier: Apache-2.0 */
/* When a batch pays: the cost of a pass of eight lanes, and of a single operation. */
#ifndef ERSATZ_SIM_KERNELS_RSA_IFMA_COST_H
#define ERSATZ_SIM_KERNELS_RSA_IFMA_COST_H

#include <stdint.h>

#include "ifma_digits.h"

/* Of operations of one length, in nanoseconds; 0: not known yet. The cost that is not measured is lowered a
 * little each time, so that one bad measurement does not decide for ever. */
struct rsa_ifma_cost {
    uint64_t pass, portable;
};

struct rsa_ifma_costs {
    struct rsa_ifma_cost private_half[DIGITS_MAX + 1], public_half[DIGITS_MAX + 1]; /* by digits */
};

/* How many of count operations to do in passes, with to_a_pass in each, so that all are done soonest. */
unsigned rsa_ifma_cost_choose(struct rsa_ifma_cost *cost, unsigned count, unsigned to_a_pass);

void rsa_ifma_cost_pass_took(struct rsa_ifma_cost *cost, uint64_t nanoseconds);
void rsa_ifma_cost_portable_took(struct rsa_ifma_cost *cost, uint64_t nanoseconds);

#endif
