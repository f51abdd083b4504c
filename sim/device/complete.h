/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a request. Workers, the timer thread, lending threads, reapers and threads that cancel requests
 * all end a request through these functions, in this order:
 *
 *   complete_result()      stores the result; of a group, only the last member goes on
 *   complete_give_slots()  gives back the slot, and counts the request as no longer in flight
 *   complete_answer()      PENDING -> COMPLETE
 *   complete_begin()       COMPLETE -> SIGNALLING; says whether to signal
 *                          here the caller signals
 *   complete_end()         SIGNALLING -> SIGNALLED; drops the device's reference
 *
 * A request with a callback goes through the response ring (or is parked beside it) once it is COMPLETE. The
 * thread that takes it from there gives its slot back, begins, runs the callback, and ends.
 *
 * docs/architecture.md says why no signal is lost, late, or sent to the wrong descriptor.
 */
#ifndef ERSATZ_SIM_DEVICE_COMPLETE_H
#define ERSATZ_SIM_DEVICE_COMPLETE_H

#include "request.h"

/* Store the result of a request that has a slot. Returns the request to signal: this one, or the first of its
 * group if this one was the last, whose slot then passes to the first. NULL: other members of the group are
 * still to be computed. Then this one has ended, and the caller must not use it any more. */
struct ersatz_request *complete_result(struct ersatz_request *request, enum ersatz_result result);

/*
 * Give back the slots of a batch before the first of it is signalled, so that a job which submits at once
 * finds room. reaped: the requests with a callback, which were taken off a response ring. Else the others;
 * requests with a callback keep their slots until they are reaped.
 */
void complete_give_slots(struct ersatz_request *const *requests, unsigned count, bool reaped);

/* PENDING -> COMPLETE, unless that step was taken before (while the request was held). */
void complete_answer(struct ersatz_request *request);

/* COMPLETE -> SIGNALLING, of a request that has given its slot back. True: the caller must signal now, by the
 * eventfd or the callback. False: it must not signal. Either way complete_end() follows. */
bool complete_begin(struct ersatz_request *request);

/* SIGNALLING -> SIGNALLED, when the signal was posted or the callback has returned. The request may be gone
 * when this returns. */
void complete_end(struct ersatz_request *request);

/* Park a COMPLETE request with a callback, where no message to the response ring can be sent. It keeps its
 * slot. Not after reaper_leave(): see by_hand.h. */
void complete_park(struct ersatz_request *request);

#endif
