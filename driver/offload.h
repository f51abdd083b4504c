/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does operations: on the card, while the job is paused or the thread waits, or on the calling core. It knows
 * ASYNC_JOB but not ENGINE, so that another front door can use it.
 */
#ifndef ERSATZ_DRIVER_OFFLOAD_H
#define ERSATZ_DRIVER_OFFLOAD_H

#include "ersatz/device.h"

/*
 * Do count operations, 1 or more, and return the first result that is not a success. Anything but success or
 * a wrong tag is on the error queue. Several operations are of one kind, on states of their own: the card
 * gets them all before the job pauses, and the job pauses once, until all are done. If one fails, the outputs
 * are as they were, or some of them are computed.
 *
 * small: the operations are not worth the way to the card. May pause the current job: the caller must hold no
 * lock, and must keep ops and what they point to until this returns.
 */
enum ersatz_result offload(const struct ersatz_op *ops, unsigned count, bool small);

/* Whether a cipher's operation that is not small would go to the card now. If not, nothing pauses. */
bool offload_may_pause(void);

/* Whether OFFLOAD:fastest is in force: then the calling core does every operation whose blocks do not wait
 * for each other, whatever its length, and need not ask offload(). */
bool offload_is_for_speed(void);

#endif
