/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doing an operation: on the card, with the job paused or the thread waiting, or on the calling core. Knows
 * of ASYNC_JOBs but nothing of ENGINE, so that another front door can use it.
 */
#ifndef ERSATZ_DRIVER_OFFLOAD_H
#define ERSATZ_DRIVER_OFFLOAD_H

#include "ersatz/device.h"

/*
 * Do op and return what came of it; anything but success or a wrong tag is on the error queue. small: the
 * operation is not worth the way to the card. May pause the current job: the caller must hold no lock, and
 * must keep op and what it points to until this returns.
 */
enum ersatz_result offload(const struct ersatz_op *op, bool small);

/* The same for count operations of one kind, 1 or more, on states of their own: the card has them all before
 * the job pauses, once, until all are done. Returns the first result that is not a success; then outputs are
 * as they were, or some of them computed. */
enum ersatz_result offload_all(const struct ersatz_op *ops, unsigned count, bool small);

/* In how many nanoseconds, the clock included, a pause comes back only if it did not pause; 0 inside a job,
 * where it cannot be measured. */
uint32_t offload_measure_pause(void);

/* Whether a cipher's operation that is not small would leave the calling core now: where it would not,
 * nothing pauses. */
bool offload_may_pause(void);

#endif
