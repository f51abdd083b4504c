/* Adds up what the processes counted. */
#include "totals.h"

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_stats(struct totals *totals, const struct ersatz_stats *stats)
{
    uint64_t most = read_counter(&stats->in_flight_max);

    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++) {
        totals->requests[i] += read_counter(&stats->requests[i]);
        totals->accepted += read_counter(&stats->requests[i]);
    }
    totals->completed += read_counter(&stats->completed);
    totals->failed += read_counter(&stats->failed);
    totals->retries += read_counter(&stats->retries);
    totals->batches += read_counter(&stats->batches);
    totals->wakeups += read_counter(&stats->wakeups);
    totals->callbacks += read_counter(&stats->callbacks);
    totals->orphans += read_counter(&stats->orphans);
    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        totals->computed_inline += ersatz_stats_inline(stats, kernel);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++)
        totals->faults[fault] += read_counter(&stats->faults[fault]);
    totals->in_flight_max = most > totals->in_flight_max ? most : totals->in_flight_max;
}

void totals_of(struct totals *totals, const struct records *records)
{
    *totals = (struct totals){.loaded = records->count};
    for (unsigned i = 0; i < records->count; i++) {
        const struct ersatz_record *record = records->of[i];

        add_stats(totals, &record->stats);
        totals->started += record->head.started;
        totals->checked = totals->checked || read_counter(&record->findings.began_ns) != 0;
        totals->watched += read_counter(&record->findings.watched);
        totals->findings += ersatz_findings_total(&record->findings);
    }
}
