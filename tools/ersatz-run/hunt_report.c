/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the report of a hunt as text, JSON and JUnit XML. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "ersatz/output.h"
#include "hunt.h"

/* Rises when a field is removed or changes its meaning. docs/hunt.md lists all. */
#define JSON_VERSION 1

const char *failure_shrinking(const struct failure *failure)
{
    if (failure->is_cut)
        return "shrinking stopped before all was tried";
    if (failure->is_pinned)
        return NULL;
    return failure->broke.kind == BROKEN_GROWTH
               ? "it takes many requests: it was not pinned to single ones"
               : "it depends on timing: it could not be pinned to single requests";
}

/* What is known about how reliably the failure comes, which the caller frees. */
static char *certainty(const struct failure *failure)
{
    const char *shrinking = failure_shrinking(failure);

    if (failure->repeats == 0)
        return text("seen in round %u; not repeated", failure->first_round);
    return text("%u of %u%s%s", failure->failed, failure->repeats, shrinking == NULL ? "" : "; ",
        shrinking == NULL ? "" : shrinking);
}

static void write_failure(const struct hunted *hunted, const struct failure *failure, FILE *stream)
{
    double limit = hunted->hunt->baseline.limit;
    char *what = broke_text(&failure->broke, limit), *how = certainty(failure);
    char *line = failure_line(failure, hunted->hunt);

    fprintf(stream, "\n  %s\n    repeat: %s\n    fails: %s%s\n", what, line, how,
        failure->is_quiet ? "; no fault is needed" : "");
    if (failure->directory != NULL)
        fprintf(stream, "    evidence: %s\n", failure->directory);
    free(what);
    free(how);
    free(line);
}

void hunt_report_text(const struct hunted *hunted, FILE *stream)
{
    const struct hunt *hunt = hunted->hunt;
    unsigned tried, all;

    plan_progress(hunted->plan, &tried, &all);
    fprintf(stream,
        "\nersatz-run hunt: %u round%s in %.0f s (seed %" PRIu64
        "), %u of %u pairs of faults and settings: %u failure%s%s\n",
        hunted->rounds, hunted->rounds == 1 ? "" : "s", hunted->seconds, hunt->options.seed, tried, all,
        hunted->count, hunted->count == 1 ? "" : "s", hunt->interrupted ? "; interrupted" : "");
    if (hunted->troubles > 0)
        fprintf(stream, "  %u rounds could not be judged\n", hunted->troubles);
    for (unsigned i = 0; i < hunted->count; i++)
        write_failure(hunted, &hunted->failures[i], stream);
    if (hunted->count > 0 || hunt->options.report != NULL)
        fprintf(stream, "\n  report: %s/index.html\n", hunt->directory);
}

/* --------------------------------------------------------------------------------------------------- JSON */

static void json_string(const char *name, const char *value, FILE *stream)
{
    fprintf(stream, "\"%s\": ", name);
    ersatz_json_string(value, strlen(value), stream);
    fputs(", ", stream);
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

static void json_failure(const struct hunted *hunted, const struct failure *failure, FILE *stream)
{
    double limit = hunted->hunt->baseline.limit;
    char *what = broke_text(&failure->broke, limit), *faults = card_faults(&failure->card);
    char *line = failure_line(failure, hunted->hunt);

    fputc('{', stream);
    json_string("kind", broken_name(failure->broke.kind), stream);
    json_string("text", what, stream);
    json_string("line", line, stream);
    json_string("faults", faults, stream);
    if (failure->directory != NULL)
        json_string("evidence", failure->directory, stream);
    if (failure->broke.kind == BROKEN_SIGNAL) {
        fputs("\"stack\": ", stream);
        crash_write_stack_json(failure->result.stack, stream);
        fputs(", ", stream);
    }
    fprintf(stream,
        "\"detail\": %d, \"rules\": %u, \"seed\": %" PRIu64
        ", \"quiet\": %s, \"pinned\": %s, \"shrunk\": %s, \"failed\": %u, \"repeats\": %u, \"seen\": %u, "
        "\"round\": %u, "
        "\"shrinking\": %u}",
        failure->broke.detail, failure->card.faults.count, failure->card.seed, json_bool(failure->is_quiet),
        json_bool(failure->is_pinned), json_bool(!failure->is_cut), failure->failed, failure->repeats,
        failure->seen, failure->first_round, failure->runs);
    free(what);
    free(faults);
    free(line);
}

static void json_counts(const struct hunted *hunted, FILE *stream)
{
    fputs("],\n\"faults\": {", stream);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++)
        fprintf(stream, "%s\"%s\": %" PRIu64, fault == 0 ? "" : ", ", ersatz_fault_name(fault),
            hunted->injected[fault]);
    fputs("},\n\"rungs\": [", stream);
    for (unsigned rung = 0; rung < plan_rungs(); rung++)
        fprintf(stream, "%s\n{\"rung\": \"%s\", \"tried\": %u, \"broken\": %u}", rung == 0 ? "" : ",",
            plan_rung_text(rung), hunted->plan->tried[rung], hunted->plan->broke[rung]);
    fputs("]}\n", stream);
}

void hunt_report_json(const struct hunted *hunted, FILE *stream)
{
    const struct hunt *hunt = hunted->hunt;

    fprintf(stream, "{\"version\": %d,\n\"command\": [", JSON_VERSION);
    for (char **word = hunt->options.run.command; *word != NULL; word++) {
        fputs(word == hunt->options.run.command ? "" : ", ", stream);
        ersatz_json_string(*word, strlen(*word), stream);
    }
    fprintf(stream,
        "],\n\"seed\": %" PRIu64 ", \"rounds\": %u, \"not_judged\": %u, \"seconds\": %.3f, \"interrupted\": "
        "%s, \"operations\": %" PRIu64 ", \"limit\": %.3f,\n\"failures\": [",
        hunt->options.seed, hunted->rounds, hunted->troubles, hunted->seconds, json_bool(hunt->interrupted),
        hunt->baseline.operations, hunt->baseline.limit);
    for (unsigned i = 0; i < hunted->count; i++) {
        fputs(i == 0 ? "\n" : ",\n", stream);
        json_failure(hunted, &hunted->failures[i], stream);
    }
    json_counts(hunted, stream);
}

/* -------------------------------------------------------------------------------------------------- JUnit */

void hunt_write_escaped(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '&':
            fputs("&amp;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default: /* XML allows no other control characters */
            fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? '?' : *text, stream);
        }
    }
}

/* One test case for each kind of failure, and one that passes if there are none. */
void hunt_report_junit(const struct hunted *hunted, FILE *stream)
{
    double limit = hunted->hunt->baseline.limit;

    fprintf(stream,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"ersatz-run hunt\" tests=\"%u\" failures=\"%u\" time=\"%.3f\">\n",
        hunted->count == 0 ? 1 : hunted->count, hunted->count, hunted->seconds);
    if (hunted->count == 0)
        fprintf(stream, "  <testcase classname=\"hunt\" name=\"%u rounds\"/>\n", hunted->rounds);
    for (unsigned i = 0; i < hunted->count; i++) {
        const struct failure *failure = &hunted->failures[i];
        char *what = broke_text(&failure->broke, limit), *how = certainty(failure);
        char *line = failure_line(failure, hunted->hunt);

        fputs("  <testcase classname=\"hunt\" name=\"", stream);
        hunt_write_escaped(what, stream);
        fputs("\"><failure message=\"", stream);
        hunt_write_escaped(how, stream);
        fputs("\">", stream);
        hunt_write_escaped(line, stream);
        fputs("</failure></testcase>\n", stream);
        free(what);
        free(how);
        free(line);
    }
    fputs("</testsuite>\n", stream);
}
