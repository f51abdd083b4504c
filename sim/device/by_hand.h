/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a request on a thread that has no poster: without io_uring. Any thread. */
#ifndef ERSATZ_SIM_DEVICE_BY_HAND_H
#define ERSATZ_SIM_DEVICE_BY_HAND_H

#include "request.h"

/* Everything after complete_result(): signal by a system call, or park. */
void complete_by_hand(struct ersatz_request *request);

/* Everything, for a request that is not computed. It has a slot, and neither a ring nor a list has it. */
void complete_uncomputed(struct ersatz_request *request, enum ersatz_result result);

/* Complete everything in request rings and lines with ERSATZ_STOPPED. For a device that is stopping. */
void complete_cancel_all(struct ersatz_device *device);

#endif
