/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timing of a modelled card: when the one that a profile describes would have answered. It decides on
 * times only; the delay line keeps them.
 */
#ifndef ERSATZ_SIM_DEVICE_TIMING_H
#define ERSATZ_SIM_DEVICE_TIMING_H

#include "ersatz/profile.h"
#include "request.h"

struct timing;

/* A copy of the profile. NULL: out of memory. */
struct timing *timing_new(const struct ersatz_profile *profile, uint64_t seed);
void timing_free(struct timing *timing); /* NULL is allowed */

/* When the card that takes up an operation at `now` would tell of it. Occupies a unit until the operation is
 * served. The number decides the jitter, together with the seed. Any thread. */
uint64_t timing_due(struct timing *timing, enum ersatz_request_name name, uint64_t bits_or_bytes,
    uint64_t number, uint64_t now);

/* A request of a device with a timing is accepted into the ring: note when it is, and when it will be due. */
void timing_accept(struct ersatz_request *request);

/* A request of such a device is computed, and its group: when is it due? Counts those that are late. */
uint64_t timing_computed(struct ersatz_request *request);

/* It is about to be told of: count what was asked and what was reached. */
void timing_told(const struct ersatz_request *request);

#endif
