/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers line of a device: what is to happen at a certain time. One thread sleeps until the next thing is
 * due, and then does all that is, told requests as one batch. It runs where the device has a use for it
 * (device->timers is not NULL): with the timing of a modelled card, or with faults.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC, see clock_now(). Nothing happens before its time.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMERS_H
#define ERSATZ_SIM_DEVICE_TIMERS_H

#include "request.h"

#define TIMERS_NEVER UINT64_MAX /* only when the line is flushed */

struct timers;

/* Start the line. On failure nothing is left behind and *error says why. */
enum ersatz_result timers_start(
    struct ersatz_device *device, struct timers **timers, struct ersatz_error *error);

/* Tell of a request at that time, as the one who gets it from complete_result() would do now. Until then the
 * request is PENDING and keeps its slot: to its submitter the card is still at work. False: there is no
 * memory, or the line has ended; the caller tells of it now. Any thread. */
bool timers_complete(struct timers *timers, struct ersatz_request *request, uint64_t due);

/* Call run(arg) at that time, on the line's thread; it must be short and not block. False: as above, and it
 * will not be called. Any thread. */
bool timers_call(struct timers *timers, uint64_t due, void (*run)(void *arg), void *arg);

/* The requests in the line for which which() says so are due at `due`, where they would be due later. On the
 * line's thread: only there is nothing to be woken. */
void timers_hasten(struct timers *timers, bool (*which)(const struct ersatz_request *request), uint64_t due);

/* All that is in the line is due now. Any thread. */
void timers_flush(struct timers *timers);

/* Flush, do what is left, and end the thread; nothing is taken up any more. NULL is allowed. */
void timers_stop(struct timers *timers);

/* Give everything back; after timers_stop(). NULL is allowed. */
void timers_free(struct timers *timers);

#endif
