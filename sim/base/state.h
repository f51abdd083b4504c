/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a request.
 *
 * A request moves forward only: PENDING, COMPLETE, SIGNALLING, SIGNALLED. Each step adds one, so that the
 * flag bits beside the state survive. device/complete.c takes all steps:
 *
 *   PENDING -> COMPLETE       result and outputs are stored, and it is time to signal; of a group, the first
 *                             request only
 *   COMPLETE -> SIGNALLING    the signal is about to be posted, or the callback about to run
 *   SIGNALLING -> SIGNALLED   the signal was posted, or the callback has returned
 *
 * A paused job returns when it has consumed its own signal, or has seen SIGNALLED. docs/architecture.md goes
 * through the races.
 */
#ifndef ERSATZ_SIM_BASE_STATE_H
#define ERSATZ_SIM_BASE_STATE_H

#include <stdatomic.h>
#include <stdint.h>

enum request_state { REQUEST_PENDING, REQUEST_COMPLETE, REQUEST_SIGNALLING, REQUEST_SIGNALLED };

#define REQUEST_STATE_MASK 0x3u
#define REQUEST_AWAITED 0x10u /* a thread sleeps on the state word: every step wakes it */
#define REQUEST_MUTED 0x20u   /* do not signal */

/* Acquire: pairs with the release of the last step; what the stepping thread wrote before is visible. */
static inline enum request_state state_of(const _Atomic uint32_t *word)
{
    return (enum request_state)(atomic_load_explicit(word, memory_order_acquire) & REQUEST_STATE_MASK);
}

#endif
