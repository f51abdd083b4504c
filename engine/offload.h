/*
 * Doing an operation: on the card, with the job paused or the thread waiting, or on the calling core. Knows
 * of ASYNC_JOBs but nothing of ENGINE, so that another front door can use it.
 */
#ifndef ERSATZ_ENGINE_OFFLOAD_H
#define ERSATZ_ENGINE_OFFLOAD_H

#include "ersatz/device.h"

/*
 * Do op and return what came of it; anything but success or a wrong tag is on the error queue. small: the
 * operation is not worth the way to the card. May pause the current job: the caller must hold no lock, and
 * must keep op and what it points to until this returns.
 */
enum ersatz_result offload(const struct ersatz_op *op, bool small);

#endif
