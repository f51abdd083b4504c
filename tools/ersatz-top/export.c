/* SPDX-License-Identifier: Apache-2.0 */
/* The cards as JSON, and as text for Prometheus. */
#include <inttypes.h>
#include <string.h>

#include "ersatz/faults.h"
#include "ersatz/output.h"
#include "top.h"

static bool is_checked(const struct ersatz_record *record)
{
    return atomic_load_explicit(&record->findings.began_ns, memory_order_relaxed) != 0;
}

/* ------------------------------------------------------------------------------------------------- JSON */

static void write_card(const struct card *card, FILE *stream)
{
    const struct ersatz_record *record = card->now;

    fprintf(stream, "{\"pid\": %ld, \"program\": ", card->pid);
    ersatz_json_string(record->head.program, sizeof(record->head.program), stream);
    fprintf(stream, ", \"running\": %s, \"seconds\": %.3f, \"workers\": %u, \"ring_depth\": %u",
        card->runs ? "true" : "false", card_seconds(card), load_of(&record->load.workers),
        load_of(&record->load.ring_depth));
    fprintf(stream, ", \"in_flight\": {\"all\": %u, \"asym\": %u, \"cipher\": %u}, \"instances\": [",
        card_in_flight(record, ERSATZ_FLIGHT_ALL), card_in_flight(record, ERSATZ_FLIGHT_ASYM),
        card_in_flight(record, ERSATZ_FLIGHT_CIPHER));
    for (unsigned i = 0; i < card_instances(record); i++)
        fprintf(stream, "%s%u", i > 0 ? ", " : "", load_of(&record->load.of[i].in_flight));
    fputs("], \"worker_seconds\": [", stream);
    for (unsigned i = 0; i < card->worker_count; i++)
        fprintf(stream, "%s%.6f", i > 0 ? ", " : "", (double)card->workers[i].ns / 1e9);
    fputs("],\n\"stats\": ", stream);
    ersatz_stats_write(
        &record->stats, is_checked(record) ? &record->findings : NULL, &record->latency, 0, stream);
    fputc('}', stream);
}

void export_json(const struct cards *cards, FILE *stream)
{
    bool more = false;

    fputs("{\"cards\": [", stream);
    for (unsigned i = 0; i < cards->count; i++) {
        if (cards->of[i]->now == NULL)
            continue;
        fputs(more ? ",\n" : "\n", stream);
        write_card(cards->of[i], stream);
        more = true;
    }
    fputs("]}\n", stream);
}

/* -------------------------------------------------------------------------------------------- Prometheus */

/* Each metric is written for all cards together, as the format wants it. */
struct metric {
    const char *name, *type, *help;
    void (*write)(const struct card *card, const char *name, FILE *stream);
};

/* The name and the labels of a sample; label: NULL for none. */
static void begin(
    const struct card *card, const char *name, const char *label, const char *value, FILE *stream)
{
    fprintf(stream, "%s{pid=\"%ld\",program=\"", name, card->pid);
    for (const char *at = card->now->head.program; *at != '\0'; at++)
        fprintf(stream, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    if (label != NULL)
        fprintf(stream, "\",%s=\"%s", label, value);
    fputs("\"} ", stream);
}

static void put(const struct card *card, const char *name, const char *label, const char *value,
    uint64_t number, FILE *stream)
{
    begin(card, name, label, value, stream);
    fprintf(stream, "%" PRIu64 "\n", number);
}

static void put_requests(const struct card *card, const char *name, FILE *stream)
{
    for (unsigned i = 0; i < ERSATZ_REQUEST_NAMES; i++)
        put(card, name, "kind", ersatz_request_name_text(i), ersatz_stats_requests(&card->now->stats, i),
            stream);
}

static void put_faults(const struct card *card, const char *name, FILE *stream)
{
    for (unsigned i = 0; i < ERSATZ_FAULTS; i++)
        put(card, name, "fault", ersatz_fault_name(i), counter(&card->now->stats.faults[i]), stream);
}

static void put_findings(const struct card *card, const char *name, FILE *stream)
{
    for (unsigned i = 0; i < ERSATZ_FINDINGS && is_checked(card->now); i++)
        put(card, name, "finding", ersatz_finding_name(i), ersatz_findings_count(&card->now->findings, i),
            stream);
}

static void put_in_flight(const struct card *card, const char *name, FILE *stream)
{
    char index[16];

    for (unsigned i = 0; i < card_instances(card->now); i++) {
        snprintf(index, sizeof(index), "%u", i);
        put(card, name, "instance", index, load_of(&card->now->load.of[i].in_flight), stream);
    }
}

static void put_ring_depth(const struct card *card, const char *name, FILE *stream)
{
    put(card, name, NULL, NULL, load_of(&card->now->load.ring_depth), stream);
}

static void put_up(const struct card *card, const char *name, FILE *stream)
{
    put(card, name, NULL, NULL, card->runs, stream);
}

static void put_latency(const struct card *card, const char *name, FILE *stream)
{
    static const struct {
        const char *text;
        unsigned per_million;
    } quantiles[] = {{"0.5", 500000}, {"0.99", 990000}, {"0.999", 999000}};
    char labels[64];

    for (unsigned kind = 0; kind < ERSATZ_REQUEST_NAMES; kind++) {
        uint64_t total = ersatz_latency_total(&card->now->latency, kind);

        for (unsigned i = 0; i < 3 && total > 0; i++) {
            snprintf(labels, sizeof(labels), "%s\",quantile=\"%s", ersatz_request_name_text(kind),
                quantiles[i].text);
            begin(card, name, "kind", labels, stream);
            fprintf(stream, "%.9f\n",
                (double)ersatz_latency_percentile(&card->now->latency, kind, quantiles[i].per_million) / 1e9);
        }
    }
}

#define COUNTER(name, number)                                                                                \
    static void put_##name(const struct card *card, const char *text, FILE *stream)                          \
    {                                                                                                        \
        const struct ersatz_stats *stats = &card->now->stats;                                                \
                                                                                                             \
        put(card, text, NULL, NULL, number, stream);                                                         \
    }
COUNTER(completed, ersatz_stats_count(stats, ERSATZ_COUNTER_COMPLETED))
COUNTER(failed, ersatz_stats_count(stats, ERSATZ_COUNTER_FAILED))
COUNTER(batches, ersatz_stats_count(stats, ERSATZ_COUNTER_BATCHES))
COUNTER(callbacks, ersatz_stats_count(stats, ERSATZ_COUNTER_CALLBACKS))
COUNTER(wakeups, ersatz_stats_count(stats, ERSATZ_COUNTER_WAKEUPS))
COUNTER(retries, counter(&stats->retries))
COUNTER(early_resumes, counter(&stats->early_resumes))
COUNTER(orphans, counter(&stats->orphans))

static const struct metric metrics[] = {
    {"ersatz_up", "gauge", "1: the process runs.", put_up},
    {"ersatz_requests_total", "counter", "Operations that the card accepted, by kind.", put_requests},
    {"ersatz_completed_total", "counter", "Operations that were computed.", put_completed},
    {"ersatz_failed_total", "counter", "Operations that failed.", put_failed},
    {"ersatz_batches_total", "counter", "Batches that workers computed.", put_batches},
    {"ersatz_retries_total", "counter", "Times that a request found its ring full.", put_retries},
    {"ersatz_early_resumes_total", "counter", "Times that a job was resumed before its signal.",
        put_early_resumes},
    {"ersatz_orphans_total", "counter", "Requests whose job was gone.", put_orphans},
    {"ersatz_callbacks_total", "counter", "Callbacks that ran.", put_callbacks},
    {"ersatz_wakeups_total", "counter", "Signals by eventfd.", put_wakeups},
    {"ersatz_faults_total", "counter", "Faults that were injected.", put_faults},
    {"ersatz_findings_total", "counter", "Mistakes of the application that were found.", put_findings},
    {"ersatz_in_flight", "gauge", "Requests in flight, by instance.", put_in_flight},
    {"ersatz_ring_depth", "gauge", "Requests that an instance has room for.", put_ring_depth},
    {"ersatz_latency_seconds", "gauge", "From submission to signal, by kind; with LATENCY:1.", put_latency},
};

void export_prometheus(const struct cards *cards, FILE *stream)
{
    for (unsigned i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *metric = &metrics[i];

        fprintf(
            stream, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, metric->type);
        for (unsigned c = 0; c < cards->count; c++) {
            if (cards->of[c]->now != NULL)
                metric->write(cards->of[c], metric->name, stream);
        }
    }
}
