/* SPDX-License-Identifier: Apache-2.0 */
/* Before it sleeps, a worker looks for work a moment longer; sometimes it wakes early to do so. */
#ifndef ERSATZ_SIM_DEVICE_LINGER_H
#define ERSATZ_SIM_DEVICE_LINGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ersatz_device;
struct ersatz_op;

/* All relaxed: they order nothing, and a worker that misses a request here is woken by its doorbell. A lone
 * operation is a private RSA operation that a worker takes as a batch of one. */
struct lingering {
    _Atomic unsigned workers; /* how many look for work */
    _Atomic uint64_t
        lone_op_end; /* when a lone operation is expected to end; 0: no worker is to wake for it */
    _Atomic uint64_t lone_op_ns; /* how long one takes; 0: not known */
    _Atomic size_t lone_op_size; /* with a key of that many bytes */
};

/* Look for work for a moment. True: there is some, or the device stops. False: the worker may sleep; also at
 * once, while two other workers of the device look. woke_early: the worker woke by the time that
 * linger_sleep_until() returned. */
bool linger(struct ersatz_device *device, bool woke_early);

/* Until when a worker without work may sleep, unless it is woken; DOORBELL_NEVER: without a time. */
uint64_t linger_sleep_until(struct ersatz_device *device);

/* A worker begins to compute a batch of one, and has computed it. The first returns the second one's
 * start. */
uint64_t lone_op_started(struct ersatz_device *device, const struct ersatz_op *op);
void lone_op_done(struct ersatz_device *device, uint64_t start);

#endif
