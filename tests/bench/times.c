/* SPDX-License-Identifier: Apache-2.0 */
/* How long operations took, and the clocks. */
#include "times.h"

#include <sys/resource.h>
#include <time.h>

/* Values below 2 * TIMES_STEPS have a bucket each; from there on every power of two has TIMES_STEPS. */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift, bucket;

    if (value < 2 * TIMES_STEPS)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - (unsigned)__builtin_ctz(TIMES_STEPS);
    bucket = shift * TIMES_STEPS + (unsigned)(value >> shift);
    return bucket < TIMES_BUCKETS ? bucket : TIMES_BUCKETS - 1;
}

/* The middle of the bucket. */
static double value_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * TIMES_STEPS)
        return bucket;
    shift = bucket / TIMES_STEPS - 1;
    return ((double)(bucket - shift * TIMES_STEPS) + 0.5) * (double)(UINT64_C(1) << shift);
}

void times_add(struct times *times, uint64_t nanoseconds)
{
    times->buckets[bucket_of(nanoseconds)]++;
    times->count++;
}

void times_merge(struct times *times, const struct times *more)
{
    for (unsigned i = 0; i < TIMES_BUCKETS; i++)
        times->buckets[i] += more->buckets[i];
    times->count += more->count;
}

double times_quantile(const struct times *times, double share)
{
    double wanted = share * (double)times->count;
    uint64_t sum = 0;

    for (unsigned i = 0; i < TIMES_BUCKETS; i++) {
        sum += times->buckets[i];
        if (sum > 0 && (double)sum >= wanted)
            return value_of(i);
    }
    return 0;
}

uint64_t time_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_used(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}
