/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel with simulated vectors asks of the test. */
#ifndef ERSATZ_TESTS_SIMULATED_KERNEL_H
#define ERSATZ_TESTS_SIMULATED_KERNEL_H

#include "kernels/rsa_key.h"

/* In place of rsa_key_ifma(). */
const struct rsa_ifma_key *kernel_key(const struct ersatz_rsa_key *key);

/* Which results gave their inputs again, a bit for each; returned as it may be looked at. */
unsigned kernel_verdict(unsigned good);

#endif
