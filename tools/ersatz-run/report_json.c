/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the report as one JSON object. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "crash.h"
#include "ersatz/faults.h"
#include "ersatz/output.h"
#include "totals.h"

/* Rises when a field is removed or changes its meaning, not when one is added. docs/ersatz-run.md lists
 * all. */
#define JSON_VERSION 1

/* NULL: null. Arguments and paths may contain any bytes. */
static void write_string(const char *value, FILE *stream)
{
    if (value == NULL)
        fputs("null", stream);
    else
        ersatz_json_string(value, strlen(value), stream);
}

static void write_named(const char *name, const char *value, FILE *stream)
{
    fprintf(stream, ",\n\"%s\": ", name);
    write_string(value, stream);
}

static void write_ending(const struct outcome *outcome, FILE *stream)
{
    int status = outcome->ending->status;

    fprintf(stream, "{\"version\": %d,\n\"command\": [", JSON_VERSION);
    for (char **word = outcome->options->command; *word != NULL; word++) {
        fputs(word == outcome->options->command ? "" : ", ", stream);
        write_string(*word, stream);
    }
    if (WIFSIGNALED(status))
        fprintf(stream, "],\n\"exit_status\": null,\n\"signal\": %d", WTERMSIG(status));
    else
        fprintf(stream, "],\n\"exit_status\": %d,\n\"signal\": null", WEXITSTATUS(status));
    fprintf(stream, ",\n\"status\": %d,\n\"seconds\": %.3f", outcome->status, outcome->ending->seconds);
}

static void write_allowed(const struct options *options, FILE *stream)
{
    const char *between = "";

    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        if (!options->allowed[finding])
            continue;
        fprintf(stream, "%s\"%s\"", between, ersatz_finding_name(finding));
        between = ", ";
    }
}

static void write_totals(const struct totals *totals, FILE *stream)
{
    fprintf(stream,
        ",\n\"totals\": {\"requests\": %" PRIu64 ", \"completed\": %" PRIu64 ", \"failed\": %" PRIu64
        ", \"retries\": %" PRIu64 ", \"batches\": %" PRIu64 ", \"wakeups\": %" PRIu64
        ", \"callbacks\": %" PRIu64 ", \"orphans\": %" PRIu64 ", \"inline\": %" PRIu64
        ", \"in_flight_max\": %" PRIu64,
        totals->accepted, totals->completed, totals->failed, totals->retries, totals->batches,
        totals->wakeups, totals->callbacks, totals->orphans, totals->computed_inline, totals->in_flight_max);
    fputs(", \"faults\": {", stream);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++)
        fprintf(stream, "%s\"%s\": %" PRIu64, fault == 0 ? "" : ", ", ersatz_fault_name(fault),
            totals->faults[fault]);
    fprintf(stream, "}, \"checked\": %s, \"jobs\": %s, \"watched\": %" PRIu64 ", \"findings\": %" PRIu64 "}",
        totals->checked ? "true" : "false", totals->jobs ? "true" : "false", totals->watched,
        totals->findings);
}

static void write_crash(const struct ersatz_crash *crash, FILE *stream)
{
    if (crash == NULL) {
        fputs("null", stream);
        return;
    }
    fprintf(stream, "{\"signal\": %" PRId32 ", \"thread\": %" PRId32 ", \"stack\": ", crash->signal,
        crash->thread);
    crash_write_stack_json(crash->stack, stream);
    fputc('}', stream);
}

static void write_process(const struct ersatz_record *record, uid_t owner, FILE *stream)
{
    bool checked = atomic_load_explicit(&record->findings.began_ns, memory_order_relaxed) != 0;

    fprintf(stream,
        "{\"pid\": %" PRId64 ", \"parent\": %" PRId64 ", \"user\": %lu, \"program\": ", record->head.pid,
        record->head.parent, (unsigned long)owner);
    write_string(record->head.program, stream);
    fprintf(stream, ", \"exited\": %s, \"started\": %s, \"refused\": ",
        record->head.state == ERSATZ_RECORD_ENDED ? "true" : "false",
        record->head.started ? "true" : "false");
    write_string(record->head.refused, stream);
    fputs(", \"callbacks_at_end\": ", stream);
    if (crash_running(record) > 0)
        ersatz_findings_write_running_json(&record->findings, stream);
    else
        fputs("[]", stream);
    fputs(", \"crash\": ", stream);
    write_crash(crash_recorded(record), stream);
    fputs(", \"stats\": ", stream);
    ersatz_stats_write(&record->stats, checked ? &record->findings : NULL, &record->latency, 0, stream);
    fputc('}', stream);
}

void report_json(const struct outcome *outcome, FILE *stream)
{
    const struct records *records = outcome->records;
    const char *between = "";

    write_ending(outcome, stream);
    fprintf(stream, ",\n\"crashed\": %s", crash_signal(outcome->ending) != 0 ? "true" : "false");
    write_named("door", door_name(outcome->config->door), stream);
    write_named("libcrypto", outcome->libcryptos->programs, stream);
    fputs(",\n\"sources\": {\"rsa\": ", stream);
    write_string(outcome->sources->rsa[0] == '\0' ? NULL : outcome->sources->rsa, stream);
    fputs(", \"aes\": ", stream);
    write_string(outcome->sources->aes[0] == '\0' ? NULL : outcome->sources->aes, stream);
    fputc('}', stream);
    write_named("profile", outcome->options->profile, stream);
    write_named("faults", outcome->options->faults, stream);
    fprintf(stream, ",\n\"seed\": %" PRIu64, outcome->totals->seed);
    write_named("commands", outcome->options->control, stream);
    write_named("timeline", outcome->trace, stream);
    fprintf(stream, ",\n\"strict\": %s,\n\"allowed\": [", outcome->options->strict ? "true" : "false");
    write_allowed(outcome->options, stream);
    fputc(']', stream);
    write_totals(outcome->totals, stream);
    fprintf(stream, ",\n\"growth_judged\": %s", outcome->growth_judged ? "true" : "false");
    fputs(",\n\"growths\": [", stream);
    for (unsigned i = 0; i < sizeof(outcome->growths) / sizeof(outcome->growths[0]); i++) {
        if (outcome->growths[i] == NULL)
            continue;
        fputs(between, stream);
        write_string(outcome->growths[i], stream);
        between = ", ";
    }
    fputs("],\n\"processes\": [", stream);
    for (unsigned i = 0; i < records->count; i++) {
        fputs(i == 0 ? "\n" : ",\n", stream);
        write_process(records->of[i], records->owners[i], stream);
    }
    fputs("],\n\"not_read\": [", stream);
    for (unsigned i = 0; i < records->trouble_count; i++) {
        fputs(i == 0 ? "" : ", ", stream);
        write_string(records->troubles[i], stream);
    }
    if (records->more_troubles > 0)
        fprintf(stream, ", \"and %u more\"", records->more_troubles);
    fputs("]}\n", stream);
}
