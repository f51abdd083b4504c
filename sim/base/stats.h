/* SPDX-License-Identifier: Apache-2.0 */
/* Counts in the calling thread's shard, and reads counters. */
#ifndef ERSATZ_SIM_BASE_STATS_H
#define ERSATZ_SIM_BASE_STATS_H

#include <stdatomic.h>

#include "ersatz/profile.h"
#include "ersatz/stats.h"

#define STATS_OWN (ERSATZ_STATS_SHARDS - 64) /* so many shards have one thread each */

/* The shard of the calling thread, plus one; 0: it has none yet. With this model of thread-local storage,
 * reading it is a load and not a call; the C library reserves some room there for modules that are loaded
 * later. */
extern _Thread_local unsigned stats_shard __attribute__((tls_model("initial-exec")));

static inline uint64_t stats_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* For a thread's first operation, and for threads that share a shard. */
void stats_count_by_shard(struct ersatz_stats *stats, enum ersatz_kernel kernel);

/* stats_count_inline() where the calling thread has a shard of its own. False: it has none, nothing is
 * counted. */
static inline bool stats_count_own(struct ersatz_stats *stats, enum ersatz_kernel kernel)
{
    unsigned shard = stats_shard - 1;
    _Atomic uint64_t *counter;

    if (shard >= STATS_OWN)
        return false;
    counter = &stats->shards[shard].computed_inline[kernel];
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
    return true;
}

/* Count an operation. Not for functions that pause a job: the job may go on in another thread, where the
 * compiler must not use this thread's addresses. A counter with one writer needs no locked instruction, which
 * would add a tenth to the time of a short operation. */
static inline void stats_count_inline(struct ersatz_stats *stats, enum ersatz_kernel kernel)
{
    if (!stats_count_own(stats, kernel))
        stats_count_by_shard(stats, kernel);
}

/* Count a request that was accepted. Not for functions that pause a job either. */
void stats_count_request(struct ersatz_stats *stats, enum ersatz_request_name name);

/* The threads of the card, and threads that do its work, count that many. */
void stats_count(struct ersatz_stats *stats, enum ersatz_counter counter, uint64_t n);
void stats_count_by_kernel(struct ersatz_stats *stats, enum ersatz_kernel kernel, uint64_t n);

/* No worker of the next card has started yet. */
void stats_forget_workers(struct ersatz_stats *stats);

/* Note the name of the profile that the card models from now on; NULL: none. */
void stats_name_profile(struct ersatz_stats *stats, const struct ersatz_profile *profile);

#endif
