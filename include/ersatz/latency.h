/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies of requests, from submission to signal, as a histogram for each kind of operation. Its buckets
 * are log-linear: 16 to each power of two, so that a value that is read from it is at most 1/16 too high.
 * Plain data of fixed size, which may lie in shared memory; a zeroed structure is ready for use.
 */
#ifndef ERSATZ_LATENCY_H
#define ERSATZ_LATENCY_H

#include "ersatz/stats.h"

/* Up to 2^41 ns, 36 minutes; what takes longer counts in the last one. */
#define ERSATZ_LATENCY_BUCKETS 608u

struct ersatz_latency {
    _Atomic uint64_t counts[ERSATZ_REQUEST_NAMES][ERSATZ_LATENCY_BUCKETS]; /* relaxed */
};

/* Counts an operation that took so many nanoseconds. Any thread. */
void ersatz_latency_count(struct ersatz_latency *latency, enum ersatz_request_name name, uint64_t ns);

/* How many were counted. */
uint64_t ersatz_latency_total(const struct ersatz_latency *latency, enum ersatz_request_name name);

/* Nanoseconds within which this many of 1,000,000 operations were signalled (990,000: p99), as the upper end
 * of a bucket. 0: none were counted. */
uint64_t ersatz_latency_percentile(
    const struct ersatz_latency *latency, enum ersatz_request_name name, unsigned per_million);

#endif
