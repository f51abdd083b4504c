/* SPDX-License-Identifier: Apache-2.0 */
/* Before it sleeps, a worker looks out for work a moment longer; and sometimes gets up early to do so. */
#ifndef ERSATZ_SIM_DEVICE_LINGER_H
#define ERSATZ_SIM_DEVICE_LINGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ersatz_device;
struct ersatz_op;

/* Relaxed, all of it: it orders nothing, and what is missed is made up for by a doorbell. */
struct lookout {
    _Atomic unsigned workers;  /* how many look out */
    _Atomic uint64_t ends;     /* when a lone operation is expected to end; 0: nobody need get up for it */
    _Atomic uint64_t shortest; /* what one takes, in nanoseconds; 0: not known */
    _Atomic size_t key_size;   /* with a key of that size */
};

/* Whether there is something to do, after a moment at most. Two workers of a device may look out at a time;
 * to another, and when the moment is over, the answer is no, and the worker may sleep. early: it has got up
 * for the end of a lone operation. */
bool linger(struct ersatz_device *device, bool early);

/* Until when a worker with nothing to do may sleep; DOORBELL_NEVER: until it is woken. */
uint64_t linger_until(struct ersatz_device *device);

/* A worker begins with an operation that it has taken up alone. Returns what it gives to the other one when
 * the operation is computed. */
uint64_t lone_op_started(struct ersatz_device *device, const struct ersatz_op *op);
void lone_op_done(struct ersatz_device *device, uint64_t begun);

#endif
