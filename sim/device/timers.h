/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of a device: events, each with the time at which it is due, and one thread. The thread sleeps
 * until the next event is due, and then runs all that are due; the requests among them it completes as one
 * batch. A device has timers (device->timers is not NULL) if it models the timing of a card or injects
 * faults.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC, see clock_now(). No event runs before its time.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMERS_H
#define ERSATZ_SIM_DEVICE_TIMERS_H

#include "request.h"

#define TIMERS_NEVER UINT64_MAX /* not before timers_flush() */

struct timers;

/* Start the thread. again: called on it with each request that is due; returns when the request is due again,
 * or 0: it completes now. NULL: each completes when it is due. On failure nothing is left behind and *error
 * says why. */
enum ersatz_result timers_start(struct ersatz_device *device,
    uint64_t (*again)(struct ersatz_request *request), struct timers **timers, struct ersatz_error *error);

/* Complete a request that complete_result() has returned, at that time. Until then the request is PENDING and
 * keeps its slot: its submitter sees a card that still works. False: the caller completes it now; there is no
 * memory, or the timers have stopped. Any thread. */
bool timers_complete(struct timers *timers, struct ersatz_request *request, uint64_t due);

/* Call run(arg) at that time, on the timer thread; it must be short and must not block. False: it will not be
 * called; there is no memory, or the timers have stopped. Any thread. */
bool timers_call(struct timers *timers, uint64_t due, void (*run)(void *arg), void *arg);

/* Make the requests for which which() returns true due at `due`, where they would be due later. On the timer
 * thread only: it does not wake that thread. */
void timers_hasten(struct timers *timers, bool (*which)(const struct ersatz_request *request), uint64_t due);

/* Make every event due now. Any thread. */
void timers_flush(struct timers *timers);

/* Make every event due now, run them, and end the thread. From now on no event is accepted. NULL is
 * allowed. */
void timers_stop(struct timers *timers);

/* Free the memory; after timers_stop(). NULL is allowed. */
void timers_free(struct timers *timers);

#endif
