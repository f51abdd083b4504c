/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics as one JSON object. */
#include <inttypes.h>
#include <string.h>

#include "base/stats.h"
#include "ersatz/faults.h"
#include "ersatz/findings.h"

/* How many operations each kernel computed, on the card and on calling cores. */
static void write_kernels(const struct ersatz_stats *stats, unsigned in_use, FILE *stream)
{
    const char *between = "";

    fputs(",\n  \"kernels\": {", stream);
    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++) {
        uint64_t count = stats_read(&stats->by_kernel[kernel]) + ersatz_stats_inline(stats, kernel);

        if ((in_use & 1u << kernel) == 0 && count == 0)
            continue;
        fprintf(stream, "%s\"%s\": %" PRIu64, between, ersatz_kernel_name(kernel), count);
        between = ", ";
    }
    fputs("}", stream);
}

static void write_profile(const struct ersatz_stats *stats, FILE *stream)
{
    uint64_t words[ERSATZ_STATS_NAME_WORDS], told = stats_read(&stats->profile_told);
    char name[sizeof(words) + 1] = "";

    for (unsigned i = 0; i < ERSATZ_STATS_NAME_WORDS; i++)
        words[i] = stats_read(&stats->profile_name[i]);
    memcpy(name, words, sizeof(words));
    for (char *at = name; *at != '\0'; at++) { /* it comes from a file, of a profile or of a record */
        if (*at == '"' || *at == '\\')
            *at = '?';
    }
    fprintf(stream, ",\n  \"profile\": {\"name\": \"%s\", \"told\": %" PRIu64,
        name[0] == '\0' ? "none" : name, told);
    fprintf(stream, ", \"late\": %" PRIu64 ", \"late_max_ns\": %" PRIu64, stats_read(&stats->profile_late),
        stats_read(&stats->profile_late_max_ns));
    fprintf(stream, ", \"asked_ns\": %" PRIu64 ", \"reached_ns\": %" PRIu64 "}",
        told == 0 ? 0 : stats_read(&stats->profile_asked_ns) / told,
        told == 0 ? 0 : stats_read(&stats->profile_reached_ns) / told);
}

/* Those that were injected. */
static void write_faults(const struct ersatz_stats *stats, FILE *stream)
{
    const char *between = "";

    fputs(",\n  \"faults\": {", stream);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        uint64_t count = stats_read(&stats->faults[fault]);

        if (count == 0)
            continue;
        fprintf(stream, "%s\"%s\": %" PRIu64, between, ersatz_fault_name(fault), count);
        between = ", ";
    }
    fputs("}", stream);
}

int ersatz_stats_write(
    const struct ersatz_stats *stats, const struct ersatz_findings *findings, unsigned kernels, FILE *stream)
{
    const struct {
        const char *name;
        const _Atomic uint64_t *counter;
    } rest[] = {
        {"completed", &stats->completed},
        {"failed", &stats->failed},
        {"retries", &stats->retries},
        {"batches", &stats->batches},
        {"io_uring_enters", &stats->io_uring_enters},
        {"wakeups", &stats->wakeups},
        {"messages", &stats->messages},
        {"callbacks", &stats->callbacks},
        {"sleeps", &stats->sleeps},
        {"early_resumes", &stats->early_resumes},
        {"orphans", &stats->orphans},
        {"in_flight_max", &stats->in_flight_max},
    };
    uint64_t computed_inline = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        computed_inline += ersatz_stats_inline(stats, kernel);
    fputs("{\n  \"requests\": {", stream);
    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++)
        fprintf(stream, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", ersatz_request_name_text(i),
            stats_read(&stats->requests[i]));
    fputs("}", stream);
    for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        fprintf(stream, ",\n  \"%s\": %" PRIu64, rest[i].name, stats_read(rest[i].counter));
    fprintf(stream, ",\n  \"inline\": %" PRIu64, computed_inline);
    write_kernels(stats, kernels, stream);
    write_profile(stats, stream);
    write_faults(stats, stream);
    if (findings != NULL) {
        fputs(",\n  \"findings\": ", stream);
        ersatz_findings_write_json(findings, stream);
    }
    fputs("\n}\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
