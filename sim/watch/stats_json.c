/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics as one JSON object. */
#include "base/json.h"
#include "base/stats.h"
#include "ersatz/faults.h"
#include "ersatz/findings.h"
#include "ersatz/latency.h"

#define INDENT "  "

static void write_requests(const struct ersatz_stats *stats, struct json *json)
{
    json_line(json, INDENT);
    json_open(json, "requests", '{');
    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++)
        json_number(json, ersatz_request_name_text(i), ersatz_stats_requests(stats, i));
    json_close(json, '}');
}

/* How many operations each kernel computed, on the card and on calling cores. */
static void write_kernels(const struct ersatz_stats *stats, unsigned in_use, struct json *json)
{
    json_line(json, INDENT);
    json_open(json, "kernels", '{');
    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++) {
        uint64_t count = ersatz_stats_by_kernel(stats, kernel) + ersatz_stats_inline(stats, kernel);

        if ((in_use & 1u << kernel) != 0 || count != 0)
            json_number(json, ersatz_kernel_name(kernel), count);
    }
    json_close(json, '}');
}

/* Of the card that was started last. */
static void write_workers(const struct ersatz_stats *stats, struct json *json)
{
    json_line(json, INDENT);
    json_open(json, "workers", '{');
    json_number(json, "io_uring", stats_read(&stats->workers_with_ring));
    json_number(json, "write_limit", stats_read(&stats->workers_without_ring));
    json_number(json, "write_failed", stats_read(&stats->rings_failed));
    json_close(json, '}');
}

static void write_profile(const struct ersatz_stats *stats, struct json *json)
{
    uint64_t told = stats_read(&stats->profile_told);
    char name[ERSATZ_STATS_NAME_WORDS * 8];

    ersatz_stats_profile(stats, name);
    json_line(json, INDENT);
    json_open(json, "profile", '{');
    json_text(json, "name", name[0] == '\0' ? "none" : name);
    json_number(json, "told", told);
    json_number(json, "late", stats_read(&stats->profile_late));
    json_number(json, "late_max_ns", stats_read(&stats->profile_late_max_ns));
    json_number(json, "asked_ns", told == 0 ? 0 : stats_read(&stats->profile_asked_ns) / told);
    json_number(json, "reached_ns", told == 0 ? 0 : stats_read(&stats->profile_reached_ns) / told);
    json_close(json, '}');
}

/* Those that were injected. */
static void write_faults(const struct ersatz_stats *stats, struct json *json)
{
    json_line(json, INDENT);
    json_open(json, "faults", '{');
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        uint64_t count = stats_read(&stats->faults[fault]);

        if (count != 0)
            json_number(json, ersatz_fault_name(fault), count);
    }
    json_close(json, '}');
}

/* In nanoseconds, by kind. */
static void write_latency(const struct ersatz_latency *latency, struct json *json)
{
    json_line(json, INDENT);
    json_open(json, "latency", '{');
    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++) {
        uint64_t total = ersatz_latency_total(latency, i);

        if (total == 0)
            continue;
        json_open(json, ersatz_request_name_text(i), '{');
        json_number(json, "count", total);
        json_number(json, "p50_ns", ersatz_latency_percentile(latency, i, 500000));
        json_number(json, "p99_ns", ersatz_latency_percentile(latency, i, 990000));
        json_number(json, "p999_ns", ersatz_latency_percentile(latency, i, 999000));
        json_close(json, '}');
    }
    json_close(json, '}');
}

int ersatz_stats_write(const struct ersatz_stats *stats, const struct ersatz_findings *findings,
    const struct ersatz_latency *latency, unsigned kernels, FILE *stream)
{
    const struct {
        const char *name;
        uint64_t count;
    } rest[] = {
        {"completed", ersatz_stats_count(stats, ERSATZ_COUNTER_COMPLETED)},
        {"failed", ersatz_stats_count(stats, ERSATZ_COUNTER_FAILED)},
        {"retries", stats_read(&stats->retries)},
        {"batches", ersatz_stats_count(stats, ERSATZ_COUNTER_BATCHES)},
        {"io_uring_enters", ersatz_stats_count(stats, ERSATZ_COUNTER_IO_URING_ENTERS)},
        {"wakeups", ersatz_stats_count(stats, ERSATZ_COUNTER_WAKEUPS)},
        {"messages", ersatz_stats_count(stats, ERSATZ_COUNTER_MESSAGES)},
        {"callbacks", ersatz_stats_count(stats, ERSATZ_COUNTER_CALLBACKS)},
        {"sleeps", ersatz_stats_count(stats, ERSATZ_COUNTER_SLEEPS)},
        {"early_resumes", stats_read(&stats->early_resumes)},
        {"orphans", stats_read(&stats->orphans)},
        {"in_flight_max", stats_read(&stats->in_flight_max)},
    };
    struct json json = {.stream = stream};
    uint64_t computed_inline = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        computed_inline += ersatz_stats_inline(stats, kernel);
    json_open(&json, NULL, '{');
    write_requests(stats, &json);
    for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        json_line(&json, INDENT);
        json_number(&json, rest[i].name, rest[i].count);
    }
    json_line(&json, INDENT);
    json_number(&json, "inline", computed_inline);
    write_kernels(stats, kernels, &json);
    write_workers(stats, &json);
    write_profile(stats, &json);
    write_faults(stats, &json);
    if (latency != NULL)
        write_latency(latency, &json);
    if (findings != NULL) {
        json_line(&json, INDENT);
        json_value(&json, "findings");
        ersatz_findings_write_json(findings, stream);
    }
    json_line(&json, "");
    json_close(&json, '}');
    fputc('\n', stream);
    return fflush(stream) == 0 && !ferror(stream);
}
