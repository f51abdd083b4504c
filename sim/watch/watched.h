/* SPDX-License-Identifier: Apache-2.0 */
/* What the check sees of a request. It lies in the request, and points to parts of it. */
#ifndef ERSATZ_SIM_WATCH_WATCHED_H
#define ERSATZ_SIM_WATCH_WATCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ersatz/device.h"

struct check_entry;

struct watched {
    struct check_entry *entry;     /* while the check watches it; under the check's lock */
    const _Atomic uint32_t *state; /* see base/state.h */
    const struct ersatz_op *op;
    const uint64_t *number;       /* its number on the device; 0 until it is submitted */
    const uint64_t *submitted_ns; /* nanoseconds of CLOCK_MONOTONIC */
    int (*callback)(void *);      /* NULL: it is told by a descriptor */
};

/* The slots of an instance, of which one was asked for in vain. */
struct watched_slots {
    const _Atomic unsigned *taken;
    unsigned all;
};

#endif
