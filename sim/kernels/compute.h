/* SPDX-License-Identifier: Apache-2.0 */
/* From an operation to the kernel that computes it. */
#ifndef ERSATZ_SIM_KERNELS_COMPUTE_H
#define ERSATZ_SIM_KERNELS_COMPUTE_H

#include "ersatz/device.h"

#define COMPUTE_BATCH_MAX 32u /* a bit each in a set of operations */

/*
 * A batch kernel computes those operations of a batch that it can do, and that are better done together:
 *
 *   uint32_t NAME_compute(struct NAME *lanes, const struct ersatz_op *const ops[], enum ersatz_result
 * results[], uint32_t open);
 *
 * open has a bit 1 << i for each operation ops[i] that is still to be done. Returns those that it did, whose
 * results it has set; of the others it has touched nothing.
 */

/* What a worker keeps for the batch kernels: lanes and scratch. One thread's at a time. */
struct compute_lanes;

/* NULL: out of memory. */
struct compute_lanes *compute_lanes_new(void);
void compute_lanes_free(struct compute_lanes *lanes); /* NULL is allowed */

/* How many operations like this one the kernels do in the time of one; divides 16. */
unsigned compute_lanes_for(const struct ersatz_op *op);

/* Whether the portable kernel does an operation like this one when it is alone, and does it best. */
bool compute_is_portable(const struct ersatz_op *op);

/* Do an operation by itself, on whichever thread; a cipher's state has been claimed. */
enum ersatz_result compute_alone(const struct ersatz_op *op, struct ersatz_stats *stats);

/* Do the operations, COMPUTE_BATCH_MAX at most, whose cipher states the caller has claimed. Those for which
 * there is a batch kernel are done by it, the others one by one. Counted in stats->by_kernel. */
void compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats);

#endif
