/* SPDX-License-Identifier: Apache-2.0 */
/* The findings: what each is called, and the report of them, for people and as JSON. */
#include "ersatz/findings.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "ersatz/stats.h"
#include "findings_text.h"

static const struct {
    const char *name;
    const char *description;
} kinds[ERSATZ_FINDINGS] = {
    [ERSATZ_FOUND_NEVER_RESUMED] = {"never_resumed", "a job was told that it may go on, and was not resumed"},
    [ERSATZ_FOUND_FREED_IN_FLIGHT] = {"freed_in_flight",
        "a wait context was freed while the card worked for its job"},
    [ERSATZ_FOUND_CONTEXT_REUSED] = {"context_reused",
        "a wait context was given to another job while the first was not finished"},
    [ERSATZ_FOUND_BUSY_POLLING] = {"busy_polling", "a job was resumed over and over before it was told"},
    [ERSATZ_FOUND_LATE_ANSWER] = {"late_answer", "a job was resumed long after it was told"},
    [ERSATZ_FOUND_LONG_CALLBACK] = {"long_callback", "a callback computed for long on the card's thread"},
    [ERSATZ_FOUND_BLOCKED_CALLBACK] = {"blocked_callback", "a callback slept on the card's thread"},
    [ERSATZ_FOUND_CALLBACK_REENTERS] = {"callback_reenters",
        "a callback called back into the engine on the card's thread"},
    [ERSATZ_FOUND_EAGAIN_IGNORED] = {"eagain_ignored",
        "a job that a full ring had refused (EAGAIN) was not resumed when there was room"},
    [ERSATZ_FOUND_DESCRIPTOR_EXPECTED] = {"descriptor_expected",
        "a job's callback ran, and its thread waits on descriptors, of which there is none in callback mode"},
    [ERSATZ_FOUND_LOCK_HELD] = {"lock_held", "a job paused while it held a lock that somebody waits for"},
    [ERSATZ_FOUND_FORK_IN_FLIGHT] = {"fork_in_flight", "the process forked while the card worked for it"},
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
    /* Acquire: pairs with the release of whoever kept it. */
    return atomic_load_explicit(&sighting->kept, memory_order_acquire) != 0;
}

/* -------------------------------------------------------------------------------------------------- people
 */

const char *findings_operation(uint32_t operation)
{
    return operation < ERSATZ_REQUEST_NAMES ? ersatz_request_name_text((enum ersatz_request_name)operation)
                                            : "?";
}

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

/* The callers, a line each; unless the first sighting had the same. What a killed process left need not end
 * with a zero. */
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

/* first: the one that was shown before it, or NULL. */
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
        fprintf(stream, "    (%" PRIu64 " of these may still be resumed, if the process lives)\n", open);
    if (finding == ERSATZ_FOUND_BUSY_POLLING)
        fprintf(stream,
            "    %" PRIu64
            " resumptions for nothing, in %.3f s that these jobs were waited for; %.3f s of it "
            "processor time\n",
            times, (double)read_counter(&found->lasted_ns) / 1e9, (double)ns / 1e9);
    else if (finding == ERSATZ_FOUND_FORK_IN_FLIGHT)
        fprintf(stream, "    %" PRIu64 " operations were in flight\n", times);
    else if (ns > 0)
        fprintf(stream, "    at the longest %.3f s\n", (double)ns / 1e9);
    for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
        if (!is_kept(&found->first[i]))
            continue;
        write_sighting(&found->first[i], ++shown, first, stream);
        first = first == NULL ? &found->first[i] : first;
    }
    if (shown > 0 && shown < count)
        fprintf(stream, "    ... and %" PRIu64 " more\n", count - shown);
    fprintf(stream, "    What it means, and what to do: docs/findings.md#%s\n", kinds[finding].name);
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

/* ---------------------------------------------------------------------------------------------------- JSON
 */

void findings_write_string(const char *text, size_t size, FILE *stream)
{
    fputc('"', stream);
    for (size_t i = 0; i < size && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\')
            fprintf(stream, "\\%c", byte);
        else if (byte == '\n')
            fputs("\\n", stream);
        else if (byte < 0x20 || byte >= 0x7f) /* a name of a thread may be anything; JSON must be UTF-8 */
            fprintf(stream, "\\u%04x", byte);
        else
            fputc(byte, stream);
    }
    fputc('"', stream);
}

static void write_json_callers(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, ", \"%s\": ", name);
    findings_write_string(text, ERSATZ_CALLERS_TEXT, stream);
}

static void write_json_sighting(
    const struct ersatz_sighting *sighting, enum ersatz_finding finding, FILE *stream)
{
    fprintf(stream,
        "\n    {\"finding\": \"%s\", \"seconds\": %.6f, \"thread\": %" PRId32 ", \"thread_name\": ",
        kinds[finding].name, (double)sighting->at_ns / 1e9, sighting->thread);
    findings_write_string(sighting->thread_name, sizeof(sighting->thread_name), stream);
    if (sighting->request != 0)
        fprintf(stream, ", \"request\": %" PRIu64 ", \"operation\": \"%s\", \"bytes\": %" PRIu32,
            sighting->request, findings_operation(sighting->operation), sighting->bytes);
    fputs(", \"note\": ", stream);
    findings_write_string(sighting->note, sizeof(sighting->note), stream);
    write_json_callers("submitted_from", sighting->submitted, stream);
    write_json_callers("done_from", sighting->happened, stream);
    fputc('}', stream);
}

static void write_blind(const struct ersatz_findings *findings, FILE *stream)
{
    static const char *const what[] = {"threads", "locks", "memory"};
    uint32_t blind = atomic_load_explicit(&findings->blind, memory_order_relaxed);
    const char *between = "";

    fputs(" \"not_seen\": [", stream);
    for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
        if ((blind & 1u << i) == 0)
            continue;
        fprintf(stream, "%s\"%s\"", between, what[i]);
        between = ", ";
    }
    fputs("],", stream);
}

bool ersatz_findings_write_json(const struct ersatz_findings *findings, FILE *stream)
{
    const char *between = "";

    fprintf(stream, "{\n    \"watched\": %" PRIu64 ",\n    \"counts\": {", read_counter(&findings->watched));
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++)
        fprintf(stream, "%s\"%s\": %" PRIu64, finding == 0 ? "" : ", ", kinds[finding].name,
            ersatz_findings_count(findings, finding));
    fprintf(stream,
        "},\n    \"early_resumptions\": %" PRIu64
        ", \"polling_seconds\": %.6f, \"polled_for_seconds\": %.6f,",
        read_counter(&findings->of[ERSATZ_FOUND_BUSY_POLLING].times),
        (double)read_counter(&findings->of[ERSATZ_FOUND_BUSY_POLLING].ns) / 1e9,
        (double)read_counter(&findings->of[ERSATZ_FOUND_BUSY_POLLING].lasted_ns) / 1e9);
    write_blind(findings, stream);
    fputs("\n    \"sightings\": [", stream);
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
            if (!is_kept(&findings->of[finding].first[i]))
                continue;
            fputs(between, stream);
            write_json_sighting(&findings->of[finding].first[i], finding, stream);
            between = ",";
        }
    }
    fputs("]}", stream);
    return !ferror(stream);
}
