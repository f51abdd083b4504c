/* SPDX-License-Identifier: Apache-2.0 */
/* The check's view of a request. It is a part of the request, and points to other parts. */
#ifndef ERSATZ_SIM_WATCH_WATCHED_H
#define ERSATZ_SIM_WATCH_WATCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ersatz/device.h"

struct check_entry;

struct watched {
    struct check_entry *entry;     /* while the check watches it, or NULL; under the check's lock */
    const _Atomic uint32_t *state; /* see base/state.h */
    const struct ersatz_op *op;
    const uint64_t *number;       /* its number on the device; 0 until it is submitted */
    const uint64_t *submitted_ns; /* nanoseconds of CLOCK_MONOTONIC */
    int (*callback)(void *);      /* NULL: it is told by a descriptor */
};

/* The slots of an instance that had no free one, or behaved so by a fault. */
struct watched_slots {
    const _Atomic unsigned *taken;
    unsigned all;
    uint64_t full_until_ns; /* of CLOCK_MONOTONIC: until when the fault lasts; 0: there is none */
};

#endif
