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
    /* when a lone operation is expected to end; 0: no worker is to wake for it */
    _Atomic uint64_t lone_op_end;
    _Atomic uint64_t lone_op_ns; /* how long one takes; 0: not known */
    _Atomic size_t lone_op_size; /* with a key of that many bytes */
};

/* The worker's own. Zeroed to begin with. */
struct lingerer {
    bool woke_early;  /* by the time that linger_sleep_until() returned */
    unsigned in_vain; /* how often in a row it has looked before a sleep, and found no work */
};

/* Look for work for a moment. True: there is some, or the device stops. False: the worker may sleep; also at
 * once, while two other workers of the device look, or if the worker has looked in vain too often. */
bool linger(struct ersatz_device *device, struct lingerer *lingerer);

/* The worker has slept so many nanoseconds; until: from linger_sleep_until(). If it woke early, or they were
 * few, it looks again before its next sleeps. */
void linger_slept(struct lingerer *lingerer, uint64_t until, uint64_t ns);

/* Until when a worker without work may sleep, unless it is woken; DOORBELL_NEVER: without a time. */
uint64_t linger_sleep_until(struct ersatz_device *device);

/* A worker begins to compute a batch of one, and has computed it. The first returns the second one's
 * start. */
uint64_t lone_op_started(struct ersatz_device *device, const struct ersatz_op *op);
void lone_op_done(struct ersatz_device *device, uint64_t start);

#endif
