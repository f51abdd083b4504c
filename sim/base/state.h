/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a request.
 *
 * They follow one another one way, PENDING, COMPLETE, SIGNALLING, SIGNALLED, each step an addition of one, so
 * that the flag bits beside the state survive. Who takes which step:
 *
 *   PENDING -> COMPLETE       whoever tells, when result and outputs are stored and it is time to tell of
 *                             them; in a group, for its first request only
 *   COMPLETE -> SIGNALLING    whoever tells: a worker or the delay line for an eventfd, the reaper for a
 *                             callback
 *   SIGNALLING -> SIGNALLED   the same one, when the signal is posted or the callback has returned
 *
 * A job that pauses returns when it has consumed its own signal, or has seen SIGNALLED; docs/architecture.md
 * argues the races through.
 */
#ifndef ERSATZ_SIM_BASE_STATE_H
#define ERSATZ_SIM_BASE_STATE_H

#include <stdatomic.h>
#include <stdint.h>

enum request_state { REQUEST_PENDING, REQUEST_COMPLETE, REQUEST_SIGNALLING, REQUEST_SIGNALLED };

#define REQUEST_STATE_MASK 0x3u
#define REQUEST_WATCHED 0x10u /* somebody sleeps on the state word: wake them at every step */
#define REQUEST_MUTED 0x20u   /* an orphan: nobody is to be told any more */

/* Acquire: pairs with the release of the one who took the last step; what it wrote before is visible. */
static inline enum request_state state_of(const _Atomic uint32_t *word)
{
    return (enum request_state)(atomic_load_explicit(word, memory_order_acquire) & REQUEST_STATE_MASK);
}

#endif
