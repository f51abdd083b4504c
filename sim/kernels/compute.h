/* SPDX-License-Identifier: Apache-2.0 */
/* From an operation to the kernel that computes it. */
#ifndef ERSATZ_SIM_KERNELS_COMPUTE_H
#define ERSATZ_SIM_KERNELS_COMPUTE_H

#include "ersatz/device.h"

#define COMPUTE_BATCH_MAX 32u /* a bit each in a set of operations */

/*
 * A batch kernel computes the operations of a batch that it supports, and that are faster together:
 *
 *   uint32_t NAME_compute(struct NAME *lanes, const struct ersatz_op *const ops[], enum ersatz_result
 * results[], uint32_t open);
 *
 * open has a bit 1 << i for each operation ops[i] that is still to be computed. Returns the bits of the
 * operations that it computed, whose results it has set. It has touched nothing of the others.
 */

/* Lanes and scratch memory that a worker keeps for the batch kernels. Used by one thread at a time. */
struct compute_lanes;

/* NULL: out of memory. */
struct compute_lanes *compute_lanes_new(void);
void compute_lanes_free(struct compute_lanes *lanes); /* cleanses them; NULL is allowed */

/* For a worker, before it sleeps, and every so often: what is secret may be left in the lanes until then. */
void compute_lanes_cleanse(struct compute_lanes *lanes);

/* How many operations like this one the kernels compute in the time of one; a divisor of 16. */
unsigned compute_lanes_for(const struct ersatz_op *op);

/* Whether a single operation like this one is computed by the portable kernel. */
bool compute_is_portable(const struct ersatz_op *op);

/* Compute one operation, on any thread. If it is a cipher's, the caller has claimed the state. */
enum ersatz_result compute_alone(const struct ersatz_op *op, struct ersatz_stats *stats);

/* Compute at most COMPUTE_BATCH_MAX operations, whose cipher states the caller has claimed: by a batch kernel
 * if there is one for them, else one by one. Counted by kernel in the statistics. */
void compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats);

#endif
