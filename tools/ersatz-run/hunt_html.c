/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the report of a hunt as one HTML page, which needs no server and nothing from elsewhere. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hunt.h"

#define ROW 16u     /* height of a request in the picture, as below in units of SVG */
#define LEFT 250u   /* width of the labels */
#define WIDTH 1000u /* of the time */
#define TOP 24u     /* height of the axis */
#define TICKS 5u
#define REPORT_MAX 65536u /* bytes of a round's report that the page contains */

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ersatz-run "
    "hunt</title>\n<style>\n"
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#1c2330}\n"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}code,pre{font:13px/1.4 ui-monospace,monospace}\n"
    "pre{background:#f3f5f8;padding:.7em 1em;overflow-x:auto;white-space:pre-wrap}\n"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid "
    "#dde2ea;text-align:right}\n"
    "td:first-child,th:first-child{text-align:left}tr.hit td{background:#fdecea}\n"
    ".failure{border:1px solid #d9dee7;border-left:5px solid #c0392b;padding:.2em 1.2em 1em;margin:1.2em 0}\n"
    ".ring{fill:#b8c2d0}.computed{fill:#2f6fb4}.held{fill:#e08e1b}.idle{fill:#a8d5a2}.returned{fill:#3c8f4a}."
    "open{fill:#f2b8b1}\n"
    ".struck{fill:#fdecea}svg text{font:11px ui-monospace,monospace;fill:#1c2330}svg "
    ".fault{fill:#c0392b;font-weight:bold}\n"
    "svg{max-width:100%;height:auto}.key span{display:inline-block;width:1em;height:.8em;margin:0 .3em 0 "
    "1em}\n"
    "</style></head><body>\n";

static const char key[] = "<p class=\"key\"><span style=\"background:#b8c2d0\"></span>in the ring"
                          "<span style=\"background:#2f6fb4\"></span>computed"
                          "<span style=\"background:#e08e1b\"></span>not yet signalled"
                          "<span style=\"background:#a8d5a2\"></span>signalled, not resumed"
                          "<span style=\"background:#3c8f4a\"></span>returned"
                          "<span style=\"background:#f2b8b1\"></span>not seen to end</p>\n";

/* -------------------------------------------------------------------------------------------- the picture */

static uint64_t last_time(const struct round_result *result)
{
    uint64_t last = 1;

    for (unsigned i = 0; i < result->shown; i++) {
        for (unsigned point = 0; point < ERSATZ_POINTS; point++)
            last = result->timeline[i].at[point] > last ? result->timeline[i].at[point] : last;
    }
    return last;
}

static double place_of(uint64_t at, uint64_t last)
{
    return LEFT + (double)at / (double)last * WIDTH;
}

static void write_bar(const char *class, uint64_t from, uint64_t to, uint64_t last, unsigned y, FILE *stream)
{
    double width = place_of(to, last) - place_of(from, last);

    if (from == 0 || to < from)
        return;
    fprintf(stream, "<rect class=\"%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%u\"/>", class,
        place_of(from, last), y + 3, width < 0.8 ? 0.8 : width, ROW - 6);
}

static void write_faults(uint32_t struck, unsigned y, FILE *stream)
{
    const char *between = "";

    if (struck == 0)
        return;
    fprintf(stream, "<text class=\"fault\" x=\"%u\" y=\"%u\">", LEFT + WIDTH + 6, y + 12);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        if ((struck & 1u << fault) == 0)
            continue;
        fprintf(stream, "%s%s", between, ersatz_fault_name(fault));
        between = ", ";
    }
    fputs("</text>", stream);
}

static void write_row(const struct timeline_entry *entry, uint64_t last, unsigned y, FILE *stream)
{
    const uint64_t *at = entry->at;

    if (entry->struck != 0)
        fprintf(stream, "<rect class=\"struck\" x=\"0\" y=\"%u\" width=\"%u\" height=\"%u\"/>", y,
            LEFT + WIDTH, ROW);
    if (entry->op == ERSATZ_REQUEST_NAMES)
        fprintf(stream, "<text x=\"4\" y=\"%u\">#%" PRIu64 " not accepted</text>", y + 12, entry->number);
    else
        fprintf(stream, "<text x=\"4\" y=\"%u\">#%" PRIu64 " %s, thread %d</text>", y + 12, entry->number,
            ersatz_request_name_title(entry->op), entry->submitter);
    if (!entry->ended)
        write_bar("open", at[ERSATZ_POINT_SUBMITTED], last, last, y, stream);
    if (at[ERSATZ_POINT_STARTED] != 0)
        write_bar("ring", at[ERSATZ_POINT_SUBMITTED], at[ERSATZ_POINT_STARTED], last, y, stream);
    write_bar("computed", at[ERSATZ_POINT_STARTED], at[ERSATZ_POINT_COMPUTED], last, y, stream);
    write_bar("held", at[ERSATZ_POINT_COMPUTED], at[ERSATZ_POINT_SIGNALLED], last, y, stream);
    write_bar("idle", at[ERSATZ_POINT_SIGNALLED],
        at[ERSATZ_POINT_RESUMED] != 0 ? at[ERSATZ_POINT_RESUMED]
        : entry->orphan               ? last
                                      : 0,
        last, y, stream);
    write_bar("returned", at[ERSATZ_POINT_RESUMED], at[ERSATZ_POINT_RETURNED], last, y, stream);
    write_faults(entry->struck, y, stream);
    fputc('\n', stream);
}

static void write_picture(const struct round_result *result, FILE *stream)
{
    unsigned height = TOP + result->shown * ROW + 8;
    uint64_t last = last_time(result);

    if (result->shown == 0)
        return;
    fprintf(stream, "<svg viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\" role=\"img\">\n",
        LEFT + WIDTH + 90, height, LEFT + WIDTH + 90, height);
    for (unsigned i = 0; i < result->shown; i++)
        write_row(&result->timeline[i], last, TOP + i * ROW, stream);
    for (unsigned tick = 0; tick <= TICKS; tick++) {
        double x = LEFT + (double)WIDTH * tick / TICKS;

        fprintf(stream,
            "<line x1=\"%.0f\" y1=\"%u\" x2=\"%.0f\" y2=\"%u\" stroke=\"#c9d0da\" stroke-width=\".6\"/>"
            "<text x=\"%.0f\" y=\"13\" text-anchor=\"%s\">%.3g ms</text>\n",
            x, TOP - 6, x, height, x, tick == TICKS ? "end" : "middle", (double)last / 1e6 * tick / TICKS);
    }
    fputs("</svg>\n", stream);
    fputs(key, stream);
}

/* ------------------------------------------------------------------------------------------- the failures */

/* The content of a file of the failing round, folded up. */
static void write_file(const struct failure *failure, const char *name, const char *title, FILE *stream)
{
    char *path = text("%s/%s", failure->directory, name), *content = calloc(1, REPORT_MAX + 1);
    FILE *file = fopen(path, "re");
    size_t length = file == NULL || content == NULL ? 0 : fread(content, 1, REPORT_MAX, file);

    if (length > 0) {
        ersatz_text_clean(content, length + 1, true);
        fprintf(stream, "<details><summary>%s</summary><pre>", title);
        hunt_write_escaped(content, stream);
        fputs("</pre></details>\n", stream);
    }
    if (file != NULL)
        fclose(file);
    free(content);
    free(path);
}

static void write_certainty(const struct failure *failure, FILE *stream)
{
    const char *shrinking = failure_shrinking(failure);

    if (failure->repeats == 0)
        fputs("Not repeated.", stream);
    else
        fprintf(stream, "Failed in %u of %u rounds with %s.", failure->failed, failure->repeats,
            failure->is_quiet ? "a quiet card: no fault is needed" : "this card");
    if (shrinking != NULL)
        fprintf(stream, " %c%s.", toupper(shrinking[0]), shrinking + 1);
    if (failure->first_round == 0)
        fputs(" Seen first on the quiet card.", stream);
    else
        fprintf(stream, " Seen first in round %u, in %u rounds; %u runs to shrink.", failure->first_round,
            failure->seen, failure->runs);
}

static void write_failure(const struct hunted *hunted, unsigned index, FILE *stream)
{
    const struct failure *failure = &hunted->failures[index];
    double limit = hunted->hunt->baseline.limit;
    char *what = broke_text(&failure->broke, limit);
    char *line = failure_line(failure, hunted->hunt);
    const char *name = failure->directory == NULL ? NULL : strrchr(failure->directory, '/') + 1;

    fprintf(stream, "<div class=\"failure\"><h2>%u. ", index + 1);
    hunt_write_escaped(what, stream);
    fputs("</h2>\n<p>", stream);
    write_certainty(failure, stream);
    fputs("</p>\n<pre>", stream);
    hunt_write_escaped(line, stream);
    fputs("</pre>\n", stream);
    write_picture(&failure->result, stream);
    if (name != NULL) {
        write_file(failure, ROUND_REPORT, "The report of that round", stream);
        write_file(failure, ROUND_STACKS, "The stacks", stream);
        write_file(failure, ROUND_THREADS, "The stacks of all threads", stream);
        write_file(failure, ROUND_OUTPUT, "Standard output", stream);
        write_file(failure, ROUND_ERRORS, "Standard error", stream);
        fprintf(stream, "<p>Files: <a href=\"%s/\">%s/</a>; <code>%s</code> opens in ui.perfetto.dev</p>\n",
            name, name, ROUND_TIMELINE);
    }
    fputs("</div>\n", stream);
    free(what);
    free(line);
}

/* --------------------------------------------------------------------------------------------- the tables */

static void write_rungs(const struct hunted *hunted, FILE *stream)
{
    fputs(
        "<h2>What was tried</h2>\n<table><tr><th>the card</th><th>rounds</th><th>broken</th></tr>\n", stream);
    for (unsigned rung = 0; rung < plan_rungs(); rung++) {
        unsigned broke = hunted->plan->broke[rung];

        fprintf(stream, "<tr%s><td>%s</td><td>%u</td><td>%u</td></tr>\n", broke > 0 ? " class=\"hit\"" : "",
            plan_rung_text(rung), hunted->plan->tried[rung], broke);
    }
    fputs("</table>\n", stream);
}

/* How often each fault struck which operation. */
static void write_struck(const struct hunted *hunted, FILE *stream)
{
    fputs("<h2>Which operations the faults struck</h2>\n<table><tr><th>fault</th><th>injected</th>", stream);
    for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (hunted->requests[name] > 0)
            fprintf(stream, "<th>%s</th>", ersatz_request_name_title(name));
    }
    fputs("</tr>\n", stream);
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        fprintf(
            stream, "<tr><td>%s</td><td>%" PRIu64 "</td>", ersatz_fault_name(fault), hunted->injected[fault]);
        for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
            if (hunted->requests[name] > 0)
                fprintf(stream, "<td>%" PRIu64 "</td>", hunted->struck[fault][name]);
        }
        fputs("</tr>\n", stream);
    }
    fputs("<tr><td>operations on the card</td><td></td>", stream);
    for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (hunted->requests[name] > 0)
            fprintf(stream, "<td>%" PRIu64 "</td>", hunted->requests[name]);
    }
    fputs("</tr>\n</table>\n", stream);
}

void hunt_report_html(const struct hunted *hunted, FILE *stream)
{
    const struct hunt *hunt = hunted->hunt;
    unsigned tried, all;

    plan_progress(hunted->plan, &tried, &all);
    fputs(head, stream);
    fputs("<h1>ersatz-run hunt: ", stream);
    if (hunted->count == 0)
        fputs("nothing found", stream);
    else
        fprintf(stream, "%u failure%s", hunted->count, hunted->count == 1 ? "" : "s");
    fputs("</h1>\n<pre>", stream);
    for (char **word = hunt->options.run.command; *word != NULL; word++) {
        fputs(word == hunt->options.run.command ? "" : " ", stream);
        hunt_write_escaped(*word, stream);
    }
    fprintf(stream,
        "</pre>\n<p>%u rounds in %.0f s, seed %" PRIu64
        ", %u of %u pairs tried%s. On the quiet card: %" PRIu64
        " operations, at most %.1f s; a round may take %.0f s. %u rounds could not be judged.</p>\n",
        hunted->rounds, hunted->seconds, hunt->options.seed, tried, all,
        hunt->interrupted ? "; interrupted" : "", hunt->baseline.operations, hunt->baseline.seconds,
        hunt->baseline.limit, hunted->troubles);
    for (unsigned i = 0; i < hunted->count; i++)
        write_failure(hunted, i, stream);
    write_rungs(hunted, stream);
    write_struck(hunted, stream);
    fputs("</body></html>\n", stream);
}
