/* SPDX-License-Identifier: Apache-2.0 */
/* What the campaign did and found, over all rounds. */
#ifndef ERSATZ_STRESS_TOTALS_H
#define ERSATZ_STRESS_TOTALS_H

#include <stdatomic.h>
#include <stdbool.h>

/* X(name, is a fault, what). Faults must stay 0. */
#define TOTALS(X)                                                                                            \
    X(rounds, false, "rounds")                                                                               \
    X(operations, false, "operations")                                                                       \
    X(jobs, false, "jobs")                                                                                   \
    X(pauses, false, "pauses")                                                                               \
    X(callbacks, false, "callbacks")                                                                         \
    X(early, false, "early resumes")                                                                         \
    X(abandons, false, "abandons")                                                                           \
    X(loads, false, "loads of the engine")                                                                   \
    X(scenarios, false, "scenarios")                                                                         \
    X(forks, false, "forks")                                                                                 \
    X(requests, false, "requests on the card")                                                               \
    X(orphans, false, "orphans")                                                                             \
    X(retries, false, "full rings")                                                                          \
    X(injected, false, "faults of the card, on demand")                                                      \
    X(refusals, false, "operations refused for them")                                                        \
    X(errors, true, "errors")                                                                                \
    X(wrong, true, "wrong answers")                                                                          \
    X(stale, true, "stale signals")                                                                          \
    X(miscounts, true, "counts that disagree")                                                               \
    X(leaked_descriptors, true, "leaked descriptors")                                                        \
    X(leaked_threads, true, "leaked threads")                                                                \
    X(leaked_memory, true, "leaked blocks of memory")                                                        \
    X(crashes, true, "children that failed")

#define TOTALS_FIELD(name, is_fault, what) _Atomic long name;

extern struct totals {
    TOTALS(TOTALS_FIELD)
} totals;

static inline void count(_Atomic long *total, long n)
{
    atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

/* All faults together. */
long totals_faults(void);

/* On standard output: the table, or one line of it. */
void totals_print(double seconds);
void totals_print_line(double seconds);

bool totals_write_json(const char *path, unsigned long long seed, double seconds);

#endif
