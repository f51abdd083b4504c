/* SPDX-License-Identifier: Apache-2.0 */
/* See ersatz/latency.h. The buckets below 16 have one value each; then 16 follow for each power of two. */
#include "ersatz/latency.h"

#define LINEAR_BITS 4u
#define LINEAR (1u << LINEAR_BITS)
#define TOP_BIT (ERSATZ_LATENCY_BUCKETS / LINEAR + LINEAR_BITS - 2) /* of the largest value with a bucket */

static unsigned bucket_of(uint64_t ns)
{
    unsigned top;

    if (ns < LINEAR)
        return (unsigned)ns;
    top = 63u - (unsigned)__builtin_clzll(ns);
    if (top > TOP_BIT)
        return ERSATZ_LATENCY_BUCKETS - 1;
    return (top - LINEAR_BITS + 1) * LINEAR + (unsigned)(ns >> (top - LINEAR_BITS) & (LINEAR - 1));
}

/* The largest value that counts in a bucket. */
static uint64_t value_of(unsigned bucket)
{
    unsigned shift = bucket < LINEAR ? 0 : bucket / LINEAR - 1;

    if (bucket < LINEAR)
        return bucket;
    return ((uint64_t)(LINEAR + bucket % LINEAR + 1) << shift) - 1;
}

void ersatz_latency_count(struct ersatz_latency *latency, enum ersatz_request_name name, uint64_t ns)
{
    ersatz_count(&latency->counts[name][bucket_of(ns)], 1);
}

static uint64_t count_of(const struct ersatz_latency *latency, enum ersatz_request_name name, unsigned bucket)
{
    return atomic_load_explicit(&latency->counts[name][bucket], memory_order_relaxed);
}

uint64_t ersatz_latency_total(const struct ersatz_latency *latency, enum ersatz_request_name name)
{
    uint64_t total = 0;

    for (unsigned bucket = 0; bucket < ERSATZ_LATENCY_BUCKETS; bucket++)
        total += count_of(latency, name, bucket);
    return total;
}

uint64_t ersatz_latency_percentile(
    const struct ersatz_latency *latency, enum ersatz_request_name name, unsigned per_million)
{
    uint64_t total = ersatz_latency_total(latency, name), seen = 0;
    /* Rounded up, without overflow. */
    uint64_t wanted = total / 1000000 * per_million + (total % 1000000 * per_million + 999999) / 1000000;

    for (unsigned bucket = 0; bucket < ERSATZ_LATENCY_BUCKETS && total > 0; bucket++) {
        seen += count_of(latency, name, bucket);
        if (seen >= wanted && seen > 0)
            return value_of(bucket);
    }
    return 0;
}
