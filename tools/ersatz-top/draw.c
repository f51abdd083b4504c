/* SPDX-License-Identifier: Apache-2.0 */
/* The cards as lines of text. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "ersatz/faults.h"
#include "top.h"

#define LINE_MAX_BYTES 1024u

enum style { PLAIN, TITLE, DIM, ALARM };

static const char *const styles[] = {
    [PLAIN] = "", [TITLE] = "\033[1m", [DIM] = "\033[2m", [ALARM] = "\033[31m"};

struct page {
    const struct look *look;
    void (*put)(void *arg, const char *line);
    void *arg;
    char line[LINE_MAX_BYTES];
    size_t used;
};

/* ------------------------------------------------------------------------------------------------- lines */

__attribute__((format(printf, 2, 3))) static void add(struct page *page, const char *format, ...)
{
    size_t room = sizeof(page->line) - page->used;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(page->line + page->used, room, format, arguments);
    va_end(arguments);
    page->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

/* Cuts the line after so many characters; a character of UTF-8 is one column, as all of ours are. */
static void cut(char *line, unsigned columns)
{
    unsigned seen = 0;

    for (char *at = line; *at != '\0'; at++) {
        if (((unsigned char)*at & 0xc0) != 0x80 && seen++ == columns) {
            *at = '\0';
            return;
        }
    }
}

static void end_line(struct page *page, enum style style)
{
    char line[LINE_MAX_BYTES + 16];

    if (page->look->columns > 0)
        cut(page->line, page->look->columns);
    if (page->look->color && style != PLAIN)
        snprintf(line, sizeof(line), "%s%s\033[0m", styles[style], page->line);
    else
        snprintf(line, sizeof(line), "%s", page->line);
    page->put(page->arg, line);
    page->line[0] = '\0';
    page->used = 0;
}

/* Whether so much more fits into the line. */
static bool fits(const struct page *page, size_t more)
{
    return page->look->columns == 0 || page->used + more <= page->look->columns;
}

/* ------------------------------------------------------------------------------------------------ values */

/* Seven characters: 1234, 12.3k, 4.56M. */
static void add_rate(struct page *page, double rate)
{
    if (rate < 10000)
        add(page, "%7.*f", rate > 0 && rate < 100 ? 1 : 0, rate);
    else if (rate < 1e6)
        add(page, "%6.1fk", rate / 1e3);
    else
        add(page, "%6.2fM", rate / 1e6);
}

static void add_time(struct page *page, uint64_t ns)
{
    double value = (double)ns;
    const char *unit = ns < 1000000 ? "us" : ns < 1000000000 ? "ms" : "s";

    value /= ns < 1000000 ? 1e3 : ns < 1000000000 ? 1e6 : 1e9;
    add(page, " %6.*f %-2s", value < 10 ? 2 : value < 100 ? 1 : 0, value, unit);
}

/* One character for a part of a whole, 0 to 8 eighths. */
static void add_eighths(struct page *page, unsigned eighths)
{
    static const char *const blocks[] = {
        " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char marks[] = " .:-=+*#@";

    if (page->look->utf8)
        add(page, "%s", blocks[eighths]);
    else
        add(page, "%c", marks[eighths]);
}

static void add_sparkline(struct page *page, const double *values, unsigned count)
{
    double most = 0;

    for (unsigned i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    for (unsigned i = 0; i < count; i++) {
        unsigned eighths = most > 0 ? (unsigned)(values[i] * 8 / most + 0.5) : 0;

        add_eighths(page, values[i] > 0 && eighths == 0 ? 1 : eighths);
    }
}

/* ------------------------------------------------------------------------------------------------- parts */

static void add_profile(struct page *page, const struct ersatz_stats *stats)
{
    char name[ERSATZ_STATS_NAME_WORDS * 8];

    ersatz_stats_profile(stats, name);
    if (name[0] != '\0')
        add(page, "  %s", name);
}

static void draw_title(struct page *page, const struct card *card)
{
    const struct ersatz_record *record = card->now;

    add(page, "%s %ld", record->head.program, card->pid);
    add_profile(page, &record->stats);
    add(page, card->runs ? "  up %.0f s" : "  ended, %.0f s after its start", card_seconds(card));
    add(page, "  in flight %u, at most %" PRIu64, card_in_flight(record, ERSATZ_FLIGHT_ALL),
        counter(&record->stats.in_flight_max));
    end_line(page, card->runs ? TITLE : ALARM);
    if (record->head.refused[0] != '\0') {
        add(page, "  no card: %s", record->head.refused);
        end_line(page, ALARM);
    } else if (!atomic_load_explicit(&record->head.started, memory_order_relaxed)) {
        add(page, "  the card has not been used yet");
        end_line(page, DIM);
    }
}

static void draw_operations(struct page *page, const struct card *card)
{
    const struct ersatz_record *record = card->now;
    bool heading = false;

    for (unsigned kind = 0; kind < ERSATZ_REQUEST_NAMES; kind++) {
        uint64_t total = ersatz_stats_requests(&record->stats, kind);

        if (total == 0)
            continue;
        if (!heading) {
            add(page, "  %-19s %7s %12s %9s %9s %9s", "operations", "/s", "total", "p50", "p99", "p99.9");
            end_line(page, DIM);
            heading = true;
        }
        add(page, "  %-19s ", ersatz_request_name_text(kind));
        add_rate(page, card_operations(card, kind));
        add(page, " %12" PRIu64, total);
        if (ersatz_latency_total(&record->latency, kind) > 0) {
            add_time(page, ersatz_latency_percentile(&record->latency, kind, 500000));
            add_time(page, ersatz_latency_percentile(&record->latency, kind, 990000));
            add_time(page, ersatz_latency_percentile(&record->latency, kind, 999000));
        }
        end_line(page, PLAIN);
    }
    if (card->history_count > 1) {
        add(page, "  all/s ");
        add_rate(page, card_all_operations(card));
        add(page, "  ");
        add_sparkline(page, card->history, card->history_count);
        end_line(page, PLAIN);
    }
}

static void draw_counters(struct page *page, const struct card *card)
{
    const struct ersatz_stats *stats = &card->now->stats;
    double batches = card_rate(card, ERSATZ_COUNTER_BATCHES),
           completed = card_rate(card, ERSATZ_COUNTER_COMPLETED);
    uint64_t all_batches = ersatz_stats_count(stats, ERSATZ_COUNTER_BATCHES);

    add(page,
        "  batch %.1f (%.1f in all)  retries %" PRIu64 "  orphans %" PRIu64 "  failed %" PRIu64
        "  early resumes %" PRIu64,
        batches > 0 ? completed / batches : 0.0,
        all_batches > 0 ? (double)ersatz_stats_count(stats, ERSATZ_COUNTER_COMPLETED) / (double)all_batches
                        : 0.0,
        counter(&stats->retries), counter(&stats->orphans), ersatz_stats_count(stats, ERSATZ_COUNTER_FAILED),
        counter(&stats->early_resumes));
    end_line(page, PLAIN);
}

/* How full each ring is. */
static void draw_rings(struct page *page, const struct ersatz_record *record)
{
    unsigned count = load_of(&record->load.instances), depth = load_of(&record->load.ring_depth);

    if (depth == 0)
        return;
    add(page, "  rings of %u:", depth);
    for (unsigned i = 0; i < card_instances(record); i++) {
        unsigned used = load_of(&record->load.of[i].in_flight);
        unsigned shown = used < depth ? used : depth;
        char number[24];

        snprintf(number, sizeof(number), " %u ", used);
        if (!fits(page, strlen(number) + 4)) {
            end_line(page, PLAIN);
            add(page, "   ");
        }
        add(page, "%s", number);
        add_eighths(page, shown == 0 ? 0 : shown * 7 / depth + 1);
    }
    if (count > ERSATZ_LOAD_INSTANCES)
        add(page, " and %u more", count - ERSATZ_LOAD_INSTANCES);
    end_line(page, PLAIN);
}

static void draw_workers(struct page *page, const struct card *card)
{
    if (card->worker_count == 0)
        return;
    add(page, "  workers:");
    for (unsigned i = 0; i < card->worker_count; i++) {
        if (!fits(page, 5)) {
            end_line(page, PLAIN);
            add(page, "   ");
        }
        add(page, " %3.0f%%", card->workers[i].load * 100);
    }
    end_line(page, PLAIN);
}

static void draw_faults(struct page *page, const struct ersatz_record *record)
{
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        uint64_t count = counter(&record->stats.faults[fault]);

        if (count > 0)
            add(page, "%s %s %" PRIu64, page->used == 0 ? "  faults:" : ",", ersatz_fault_name(fault), count);
    }
    if (page->used > 0)
        end_line(page, PLAIN);
}

/* Each finding with what its newest kept sighting says. */
static void draw_findings(struct page *page, const struct ersatz_findings *findings)
{
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        uint64_t count = ersatz_findings_count(findings, finding);
        const char *note = ersatz_finding_description(finding);

        if (count == 0)
            continue;
        for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
            const struct ersatz_sighting *sighting = &findings->of[finding].first[i];

            if (atomic_load_explicit(&sighting->kept, memory_order_relaxed) != 0 && sighting->note[0] != '\0')
                note = sighting->note;
        }
        add(page, "  finding: %s %" PRIu64 ": %s", ersatz_finding_name(finding), count, note);
        end_line(page, ALARM);
    }
}

void draw(
    const struct cards *cards, const struct look *look, void (*put)(void *arg, const char *line), void *arg)
{
    struct page page = {.look = look, .put = put, .arg = arg};

    for (unsigned i = 0; i < cards->count; i++) {
        const struct card *card = cards->of[i];

        if (i > 0)
            end_line(&page, PLAIN);
        if (card->now == NULL) {
            add(&page, "%ld: its record cannot be read", card->pid);
            end_line(&page, ALARM);
            continue;
        }
        draw_title(&page, card);
        draw_operations(&page, card);
        draw_counters(&page, card);
        draw_rings(&page, card->now);
        draw_workers(&page, card);
        draw_faults(&page, card->now);
        draw_findings(&page, &card->now->findings);
    }
    if (cards->count == 0) {
        add(&page, "no process with a record: start one by ersatz-run, or with RECORD");
        end_line(&page, DIM);
    }
}
