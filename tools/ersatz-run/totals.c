/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up the counts of the processes. */
#include "totals.h"

#include <stdlib.h>

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_stats(struct totals *totals, const struct ersatz_stats *stats)
{
    uint64_t most = read_counter(&stats->in_flight_max);

    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++) {
        uint64_t requests = ersatz_stats_requests(stats, i);

        totals->requests[i] += requests;
        totals->accepted += requests;
    }
    totals->completed += ersatz_stats_count(stats, ERSATZ_COUNTER_COMPLETED);
    totals->failed += ersatz_stats_count(stats, ERSATZ_COUNTER_FAILED);
    totals->retries += read_counter(&stats->retries);
    totals->batches += ersatz_stats_count(stats, ERSATZ_COUNTER_BATCHES);
    totals->wakeups += ersatz_stats_count(stats, ERSATZ_COUNTER_WAKEUPS);
    totals->callbacks += ersatz_stats_count(stats, ERSATZ_COUNTER_CALLBACKS);
    totals->orphans += read_counter(&stats->orphans);
    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        totals->computed_inline += ersatz_stats_inline(stats, kernel);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        totals->faults[fault] += read_counter(&stats->faults[fault]);
        totals->injected += read_counter(&stats->faults[fault]);
    }
    totals->asked = totals->asked || read_counter(&stats->asked) != 0;
    totals->profile = totals->profile || read_counter(&stats->profile_told) > 0;
    totals->in_flight_max = most > totals->in_flight_max ? most : totals->in_flight_max;
}

void totals_of(struct totals *totals, const struct records *records, const char *seed)
{
    *totals = (struct totals){.loaded = records->count, .seed = strtoull(seed, NULL, 10)};
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_record *record = records->of[i];

        add_stats(totals, &record->stats);
        if (record->head.started && totals->started++ == 0)
            totals->seed = read_counter(&record->head.seed);
        totals->checked = totals->checked || read_counter(&record->findings.began_ns) != 0;
        totals->watched += read_counter(&record->findings.watched);
        for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
            uint64_t count = ersatz_findings_count(&record->findings, finding);

            totals->by_finding[finding] += count;
            totals->findings += count;
        }
    }
    totals->jobs = totals->watched + totals->wakeups + totals->callbacks > 0;
}
