/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking ahead: while a job clears its descriptor, the processor fetches what the next job will need. With
 * many jobs or threads, what a job left behind is not in the nearest caches when it goes on, or a worker has
 * written to it. Jobs mostly go on as they were submitted, so each request notes which one came after it.
 *
 * These are hints, which may be stale: a prefetch of an address that is not there does nothing. Relaxed,
 * since threads that share an instance write them side by side.
 */
#ifndef ERSATZ_SIM_DEVICE_AHEAD_H
#define ERSATZ_SIM_DEVICE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#define AHEAD_LINE 64u
#define AHEAD_BUFFER 4u /* lines of the result; what is longer, the processor fetches ahead by itself */

/* What one request noted of the request after it; addresses that are not followed. */
struct ahead {
    const void *_Atomic request, *_Atomic waker, *_Atomic buffer;
    const void *_Atomic cipher; /* NULL: RSA */
};

struct ersatz_request;

/* The request is about to be submitted. It is attached to a waker. */
void ahead_note(struct ersatz_request *request);

/* Its job goes on. */
void ahead_fetch(const struct ersatz_request *request);

#endif
