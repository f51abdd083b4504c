/* SPDX-License-Identifier: Apache-2.0 */
/* ersatz-run: runs a program on the simulated card and reports afterwards what happened. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ersatz/output.h"
#include "hunt.h"
#include "room.h"
#include "symbols.h"
#include "totals.h"

const char program_name[] = "ersatz-run";

char *text(const char *format, ...)
{
    va_list arguments;
    char *made;
    int length;

    va_start(arguments, format);
    length = vasprintf(&made, format, arguments);
    va_end(arguments);
    if (length < 0)
        give_up("out of memory");
    return made;
}

/* Write the timeline to a new file of a name that nobody can guess. Returns its path; NULL: *error says
 * why. */
static char *write_temporary_trace(const struct records *records, struct ersatz_error *error)
{
    const char *why;
    char *path;
    FILE *stream = file_temporary(&path, &why);
    bool ok;

    if (stream == NULL) {
        snprintf(error->text, sizeof(error->text), "%.140s: %s", path, why);
        free(path);
        return NULL;
    }
    ok = records_write_trace(records, stream);
    if (fclose(stream) != 0 || !ok)
        fprintf(stderr, "ersatz-run: the timeline in %s is incomplete: %s\n", path, strerror(errno));
    return path;
}

/* The path of the timeline, which the caller frees; NULL: there is none, and the reason was printed. */
static char *write_trace(const struct options *options, const struct records *records)
{
    struct ersatz_error error;
    char *path = NULL;

    if (options->no_trace || !records_any_trace(records))
        return NULL;
    if (options->trace == NULL)
        path = write_temporary_trace(records, &error);
    else if (records_save_trace(records, options->trace, &error))
        path = text("%s", options->trace);
    if (path == NULL)
        fprintf(stderr, "ersatz-run: cannot write the timeline to %s\n", error.text);
    return path;
}

static bool fill_report(void *arg, FILE *stream)
{
    const struct outcome *outcome = arg;

    if (outcome->options->json)
        report_json(outcome, stream);
    else
        report_text(outcome, stream);
    return !ferror(stream);
}

/* Completes the outcome and writes the report. Returns the status to end with; -1: that of the program. */
static int report(struct outcome *outcome, struct records *records)
{
    const struct options *options = outcome->options;
    char *trace = write_trace(options, records);
    struct totals totals;
    struct ersatz_error error;

    totals_of(&totals, records, options->seed);
    outcome->records = records;
    outcome->totals = &totals;
    outcome->trace = trace;
    outcome->status = status_of(outcome, &totals);
    if (options->report == NULL) {
        fill_report(outcome, stderr);
    } else if (!ersatz_write_file(options->report, fill_report, outcome, &error)) {
        fprintf(stderr, "ersatz-run: cannot write the report to %s; this is the report:\n", error.text);
        fill_report(outcome, stderr);
    } else if (outcome->status != 0) {
        fputs("ersatz-run: ", stderr);
        status_explain(outcome, &totals, outcome->status, stderr);
        fprintf(stderr, "; the report is in %s\n", options->report);
    }
    free(trace);
    return status_is_our_own(outcome, outcome->status) ? outcome->status : -1;
}

/* Writes a sentence for each kind of growth that is faster than allowed. */
static void find_growths(const struct options *options, const struct growth *growth, struct outcome *outcome)
{
    struct grown grown[GROWTHS];
    char described[120];

    growth_find(growth, grown);
    outcome->growth_judged = growth_is_judged(growth);
    for (enum growth_kind kind = 0; kind < GROWTHS; kind++) {
        if (grown[kind].rate <= options->growth_allowed[kind])
            continue;
        growth_describe(kind, &grown[kind], described, sizeof(described));
        outcome->growths[kind] = growth_text(kind, described);
    }
}

/* Runs the program as a round of a hunt is run: with a directory and ports of its own, for a limited time,
 * and nothing of it survives. */
static struct ending run_as_round(const struct options *options, const struct config *config,
    const struct place *place, struct outcome *outcome)
{
    struct growth growth = {.records = place->records_fd};
    const struct child_bounds bounds = {.seconds = options->round,
        .stacks = "/dev/stderr",
        .threads = "/dev/stderr",
        .place = place,
        .watch = options->growth ? growth_watch : NULL,
        .watched = &growth};
    char *name = text("ersatz-round-%ld", (long)getpid());
    struct options furnished = *options;
    struct ending ending;
    struct room room;

    room_make(&room, temporary_directory(), name, 1);
    free(name);
    furnished.command = room_furnish(&room, options->command);
    ending = card_run(&furnished, config, place, &bounds);
    find_growths(options, &growth, outcome);
    growth_free(&growth);
    room_remove_directory(room.directory);
    return ending;
}

int main(int argc, char **argv)
{
    struct options options;
    static struct place place; /* removed at exit */
    struct config config;
    struct libcryptos libcryptos;
    struct sources sources;
    struct ending ending;
    struct records records;
    struct outcome outcome = {.options = &options,
        .config = &config,
        .libcryptos = &libcryptos,
        .sources = &sources,
        .ending = &ending};
    char *module;
    int status;

    program_begin();
    if (argc > 1 && strcmp(argv[1], "hunt") == 0)
        return hunt_main(argc - 1, argv + 1);
    options_read(&options, argc, argv);
    child_expect();
    module = card_prepare(&options, &config, &libcryptos, &place, &sources);
    ending = options.round > 0 ? run_as_round(&options, &config, &place, &outcome)
                               : card_run(&options, &config, &place, NULL);
    if (ending.pid < 0) /* nothing was run */
        exit(WEXITSTATUS(ending.status));
    records_read(&records, place.records_fd);
    place_remove(&place);
    symbols_add(&records);
    status = report(&outcome, &records);
    records_free(&records);
    libcryptos_free(&libcryptos);
    config_free(&config);
    free(module);
    if (status >= 0)
        return status;
    child_end_like(&ending);
}
