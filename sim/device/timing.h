/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timing of a modelled card: when the card that a profile describes would have completed a request. This
 * computes times; the timers (timers.h) wait for them.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMING_H
#define ERSATZ_SIM_DEVICE_TIMING_H

#include "ersatz/profile.h"
#include "request.h"

struct timing;

/* A copy of the profile. NULL: out of memory. */
struct timing *timing_new(const struct ersatz_profile *profile, uint64_t seed);
void timing_free(struct timing *timing); /* NULL is allowed */

/* When the card would complete an operation that it accepts at `now`. Occupies a unit until then, but for
 * latency and jitter. The jitter follows from the seed and the request's number. Any thread. */
uint64_t timing_due(struct timing *timing, enum ersatz_request_name name, uint64_t bits_or_bytes,
    uint64_t number, uint64_t now);

/* A request of a device with a timing is accepted into the ring: note the time, and when the request is
 * due. */
void timing_accept(struct ersatz_request *request);

/* A request of such a device and its group are computed. Returns when they are due; counts those that are
 * late. */
uint64_t timing_computed(struct ersatz_request *request);

/* It is about to be signalled: add to the times that the profile asked for, and that were reached. */
void timing_told(const struct ersatz_request *request);

#endif
