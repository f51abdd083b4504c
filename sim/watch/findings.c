/* SPDX-License-Identifier: Apache-2.0 */
/* Names the findings, and writes the report of them, for people and as JSON. */
#include "ersatz/findings.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "ersatz/stats.h"
#include "findings_text.h"

static const struct {
    const char *name;
    const char *description;
} kinds[ERSATZ_FINDINGS] = {
    [ERSATZ_FOUND_NEVER_RESUMED] = {"never_resumed", "a job was signalled and never resumed"},
    [ERSATZ_FOUND_FREED_IN_FLIGHT] = {"freed_in_flight",
        "a wait context was freed while the card worked for its job"},
    [ERSATZ_FOUND_CONTEXT_REUSED] = {"context_reused",
        "a wait context was given to another job before the first one had finished"},
    [ERSATZ_FOUND_BUSY_POLLING] = {"busy_polling", "a job was resumed again and again before its signal"},
    [ERSATZ_FOUND_LATE_ANSWER] = {"late_answer", "a job was resumed long after its signal"},
    [ERSATZ_FOUND_LONG_CALLBACK] = {"long_callback",
        "a callback computed for a long time on the card's thread"},
    [ERSATZ_FOUND_BLOCKED_CALLBACK] = {"blocked_callback", "a callback slept on the card's thread"},
    [ERSATZ_FOUND_CALLBACK_REENTERS] = {"callback_reenters",
        "a callback used the card, or resumed a job, on the card's thread"},
    [ERSATZ_FOUND_EAGAIN_IGNORED] = {"eagain_ignored",
        "a job that a full ring had refused (EAGAIN) was not resumed when there was room"},
    [ERSATZ_FOUND_DESCRIPTOR_EXPECTED] = {"descriptor_expected",
        "a job has a callback, but its thread waits on descriptors; in callback mode there are none"},
    [ERSATZ_FOUND_LOCK_HELD] = {"lock_held", "a job paused while it held a lock that a thread waits for"},
    [ERSATZ_FOUND_FORK_IN_FLIGHT] = {"fork_in_flight", "the process forked while the card worked for it"},
    [ERSATZ_FOUND_BUFFER_TOUCHED] = {"buffer_touched",
        "the text of an operation was changed while it was in flight"},
    [ERSATZ_FOUND_WRONG_THREAD] = {"wrong_thread",
        "a job was resumed by another thread than the one that it was paused on"},
};

void ersatz_check_limits_init(struct ersatz_check_limits *limits)
{
    *limits = (struct ersatz_check_limits){.answer_ms = 500, .callback_ms = 10, .early = 10};
}

void ersatz_findings_init(struct ersatz_findings *findings, const struct ersatz_check_limits *limits)
{
    memset(findings, 0, sizeof(*findings));
    findings->limits = *limits;
    atomic_store_explicit(&findings->began_ns, clock_now(), memory_order_release);
}

const char *ersatz_finding_name(enum ersatz_finding finding)
{
    return kinds[finding].name;
}

const char *ersatz_finding_description(enum ersatz_finding finding)
{
    return kinds[finding].description;
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

uint64_t ersatz_findings_count(const struct ersatz_findings *findings, enum ersatz_finding finding)
{
    uint64_t count = read_counter(&findings->of[finding].count);

    return finding == ERSATZ_FOUND_NEVER_RESUMED ? count + read_counter(&findings->unanswered) : count;
}

uint64_t ersatz_findings_total(const struct ersatz_findings *findings)
{
    uint64_t total = 0;

    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        total += ersatz_findings_count(findings, finding);
    return total;
}

static bool is_kept(const struct ersatz_sighting *sighting)
{
    /* Acquire: pairs with the release in sighting_publish(). */
    return atomic_load_explicit(&sighting->kept, memory_order_acquire) != 0;
}

/* ------------------------------------------------------------------------------------------------- people */

void findings_write_request(uint64_t request, uint32_t operation, uint32_t bytes, FILE *stream)
{
    if (operation == ERSATZ_REQUEST_RSA_PRIV || operation == ERSATZ_REQUEST_RSA_PUB)
        fprintf(stream, "RSA-%" PRIu64 " %s-key operation", UINT64_C(8) * bytes,
            operation == ERSATZ_REQUEST_RSA_PRIV ? "private" : "public"); /* the key's size, in bits */
    else if (operation < ERSATZ_REQUEST_NAMES)
        fprintf(stream, "%s of %" PRIu32 " bytes",
            ersatz_request_name_title((enum ersatz_request_name)operation), bytes);
    else
        fputs("unknown operation", stream);
    fprintf(stream, ", request %" PRIu64, request);
}

/* Write the callers, a line each, unless the first sighting had the same. A killed process may have left a
 * text without a zero at its end. */
static void write_callers(const char *title, const char *text, const char *first, FILE *stream)
{
    size_t size = strnlen(text, ERSATZ_CALLERS_TEXT);

    if (size == 0)
        return;
    if (first != NULL && strncmp(text, first, ERSATZ_CALLERS_TEXT) == 0) {
        fprintf(stream, "       %s: as in 1.\n", title);
        return;
    }
    fprintf(stream, "       %s\n", title);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end == NULL ? size : (size_t)(end - text);

        fprintf(stream, "         %.*s\n", (int)line, text);
        line += end != NULL;
        text += line;
        size -= line;
    }
}

/* first: the first sighting that was shown, or NULL. */
static void write_sighting(const struct ersatz_sighting *sighting, unsigned number,
    const struct ersatz_sighting *first, FILE *stream)
{
    fprintf(stream, "    %u. ", number);
    if (sighting->request != 0) {
        findings_write_request(sighting->request, sighting->operation, sighting->bytes, stream);
        fputs(", submitted ", stream);
    }
    fprintf(stream, "%.3f s after the start by thread %" PRId32 " (%.*s): %.*s\n",
        (double)sighting->at_ns / 1e9, sighting->thread,
        (int)strnlen(sighting->thread_name, sizeof(sighting->thread_name)), sighting->thread_name,
        (int)strnlen(sighting->note, sizeof(sighting->note)), sighting->note);
    write_callers("submitted from", sighting->submitted, first == NULL ? NULL : first->submitted, stream);
    write_callers("done from", sighting->happened, first == NULL ? NULL : first->happened, stream);
}

static void write_found(const struct ersatz_findings *findings, enum ersatz_finding finding, FILE *stream)
{
    const struct ersatz_found *found = &findings->of[finding];
    uint64_t count = ersatz_findings_count(findings, finding), open = read_counter(&findings->unanswered);
    uint64_t times = read_counter(&found->times), ns = read_counter(&found->ns);
    const struct ersatz_sighting *first = NULL;
    unsigned shown = 0;

    fprintf(stream, "  %s, %" PRIu64 " time%s: %s\n", kinds[finding].name, count, count == 1 ? "" : "s",
        kinds[finding].description);
    if (finding == ERSATZ_FOUND_NEVER_RESUMED && open > 0)
        fprintf(stream, "    (%" PRIu64 " of these may still be resumed, if the process still runs)\n", open);
    if (finding == ERSATZ_FOUND_BUSY_POLLING)
        fprintf(stream,
            "    %" PRIu64 " early resumptions in %.3f s of waiting, which took %.3f s of processor time\n",
            times, (double)read_counter(&found->lasted_ns) / 1e9, (double)ns / 1e9);
    else if (finding == ERSATZ_FOUND_FORK_IN_FLIGHT)
        fprintf(stream, "    %" PRIu64 " operations were in flight\n", times);
    else if (ns > 0)
        fprintf(stream, "    the longest took %.3f s\n", (double)ns / 1e9);
    for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
        if (!is_kept(&found->first[i]))
            continue;
        write_sighting(&found->first[i], ++shown, first, stream);
        first = first == NULL ? &found->first[i] : first;
    }
    if (shown > 0 && shown < count)
        fprintf(stream, "    ... and %" PRIu64 " more\n", count - shown);
    fprintf(stream, "    Explanation and remedy: docs/findings.md#%s\n", kinds[finding].name);
}

bool ersatz_findings_write(const struct ersatz_findings *findings, FILE *stream)
{
    uint64_t watched = read_counter(&findings->watched);

    if (ersatz_findings_total(findings) == 0)
        return true;
    fprintf(stream, "ersatz watched %" PRIu64 " operations of this program's jobs, and found:\n", watched);
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        if (ersatz_findings_count(findings, finding) > 0)
            write_found(findings, finding, stream);
    }
    return fflush(stream) == 0 && !ferror(stream);
}

/* --------------------------------------------------------------------------------------------------- JSON */

void findings_write_request_json(uint64_t request, uint32_t operation, uint32_t bytes, struct json *json)
{
    json_number(json, "request", request);
    json_text(json, "operation",
        operation < ERSATZ_REQUEST_NAMES ? ersatz_request_name_text((enum ersatz_request_name)operation)
                                         : "?");
    json_number(json, "bytes", bytes);
}

static void write_sighting_json(
    const struct ersatz_sighting *sighting, enum ersatz_finding finding, struct json *json)
{
    json_line(json, "    ");
    json_open(json, NULL, '{');
    json_text(json, "finding", kinds[finding].name);
    json_seconds(json, "seconds", sighting->at_ns);
    json_signed(json, "thread", sighting->thread);
    json_string(json, "thread_name", sighting->thread_name, sizeof(sighting->thread_name));
    if (sighting->request != 0)
        findings_write_request_json(sighting->request, sighting->operation, sighting->bytes, json);
    json_string(json, "note", sighting->note, sizeof(sighting->note));
    json_string(json, "submitted_from", sighting->submitted, sizeof(sighting->submitted));
    json_string(json, "done_from", sighting->happened, sizeof(sighting->happened));
    json_close(json, '}');
}

/* What could not be looked at: the order of the names is that of the bits ERSATZ_BLIND_... */
static void write_blind_json(const struct ersatz_findings *findings, struct json *json)
{
    static const char *const names[] = {"threads", "locks", "memory"};
    uint32_t blind = atomic_load_explicit(&findings->blind, memory_order_relaxed);

    json_open(json, "not_seen", '[');
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((blind & 1u << i) != 0)
            json_text(json, NULL, names[i]);
    }
    json_close(json, ']');
}

bool ersatz_findings_write_json(const struct ersatz_findings *findings, FILE *stream)
{
    const struct ersatz_found *polling = &findings->of[ERSATZ_FOUND_BUSY_POLLING];
    struct json json = {.stream = stream};

    json_open(&json, NULL, '{');
    json_line(&json, "    ");
    json_number(&json, "watched", read_counter(&findings->watched));
    json_line(&json, "    ");
    json_open(&json, "counts", '{');
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        json_number(&json, kinds[finding].name, ersatz_findings_count(findings, finding));
    json_close(&json, '}');
    json_line(&json, "    ");
    json_number(&json, "early_resumptions", read_counter(&polling->times));
    json_seconds(&json, "polling_seconds", read_counter(&polling->ns));
    json_seconds(&json, "polled_for_seconds", read_counter(&polling->lasted_ns));
    write_blind_json(findings, &json);
    json_line(&json, "    ");
    json_open(&json, "sightings", '[');
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
            if (is_kept(&findings->of[finding].first[i]))
                write_sighting_json(&findings->of[finding].first[i], finding, &json);
        }
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return !ferror(stream);
}
