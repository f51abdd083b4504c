/* SPDX-License-Identifier: Apache-2.0 */
/* ersatz-run hunt: the baseline, the rounds, and what is done with each failure. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ersatz/output.h"
#include "hunt.h"
#include "room.h"

#define LIMIT_LEAST 10.0       /* seconds */
#define LIMIT_TIMES 10         /* times the longest run on a quiet card */
#define GROWTH_TIMES 2         /* times the growth on a quiet card are allowed */
#define BASELINE_LIMIT 600.0   /* for a run on a quiet card, if --limit does not say */
#define REFRESH 1.0            /* how often the line of progress is written on a terminal */
#define REFRESH_ELSEWHERE 30.0 /* and elsewhere, where each is a line of its own */
#define QUOTED_LINES 12u       /* of each of the command's outputs when it fails on a quiet card */

/* ------------------------------------------------------------------------------------------- the baseline */

/* Shows the last lines of what the command wrote: standard output or standard error. */
static void quote(const struct finished *finished, const char *name)
{
    char *path = text("%s/%s", finished->directory, name), line[512];
    FILE *stream = fopen(path, "re");
    unsigned lines = 0, skip;

    while (stream != NULL && fgets(line, sizeof(line), stream) != NULL)
        lines++;
    skip = lines > QUOTED_LINES ? lines - QUOTED_LINES : 0;
    if (stream != NULL)
        rewind(stream);
    for (unsigned i = 0; stream != NULL && fgets(line, sizeof(line), stream) != NULL; i++) {
        if (i < skip)
            continue;
        ersatz_text_clean(line, sizeof(line), true);
        fprintf(complaints(), "  | %s", line);
    }
    if (stream != NULL)
        fclose(stream);
    free(path);
}

/* Servers that root starts change their user, who then may not enter directories above {dir}. */
static void say_if_closed_to_others(const char *directory)
{
    char *part = text("%s/", directory);
    struct stat status;

    for (char *slash = strchr(part + 1, '/'); slash != NULL && geteuid() == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(part, &status) == 0 && (status.st_mode & S_IXOTH) == 0) {
            fprintf(complaints(),
                "ersatz-run: other users may not enter %s, and so not {dir}; for a server that changes its "
                "user, --report or TMPDIR must be where all may enter\n",
                part);
            break;
        }
        *slash = '/';
    }
    free(part);
}

/* Ends the hunt before it has begun. */
static _Noreturn void refuse(struct hunt *hunt, const struct finished *finished, const char *why)
{
    fprintf(complaints(),
        "ersatz-run: on a quiet card, the command %s; a hunt needs a command that passes there\n", why);
    if (finished->directory != NULL) {
        quote(finished, ROUND_OUTPUT);
        quote(finished, ROUND_ERRORS);
        say_if_closed_to_others(finished->directory);
    }
    rounds_stop(hunt);
    room_remove_directory(hunt->directory);
    exit(EXIT_TROUBLE);
}

static char *text_of_status(const struct round_result *result)
{
    if (result->too_long)
        return text("did not end in time");
    if (WIFSIGNALED(result->status))
        return text(
            "was ended by signal %d (%s)", WTERMSIG(result->status), strsignal(WTERMSIG(result->status)));
    return text("ended with %d", WEXITSTATUS(result->status));
}

static void check_baseline(struct hunt *hunt, const struct finished *finished, unsigned run)
{
    const struct round_result *result = &finished->result;
    char *ending = text_of_status(result);

    if (result->trouble)
        refuse(hunt, finished, "could not be run");
    if (run > 0 && result->status != hunt->baseline.status)
        refuse(hunt, finished, text("does not always do the same: run %u %s", run + 1, ending));
    if (result->status != 0)
        refuse(hunt, finished, ending);
    if (result->operations == 0)
        refuse(hunt, finished, "used the card for nothing (ersatz-run without hunt says why)");
    if (run > 0 && hunt->options.counts[BROKEN_OUTPUT] &&
        memcmp(result->output, hunt->baseline.output, sizeof(result->output)) != 0)
        refuse(hunt, finished, text("does not always write the same: run %u wrote something else", run + 1));
    free(ending);
}

static void learn_baseline(struct baseline *baseline, const struct round_result *result)
{
    baseline->status = result->status;
    memcpy(baseline->output, result->output, sizeof(baseline->output));
    baseline->most = result->most > baseline->most ? result->most : baseline->most;
    baseline->operations = result->operations;
    memcpy(baseline->requests, result->requests, sizeof(baseline->requests));
    for (enum growth_kind kind = 0; kind < GROWTHS; kind++) {
        if (GROWTH_TIMES * result->grown[kind].rate > baseline->growth_allowed[kind])
            baseline->growth_allowed[kind] = GROWTH_TIMES * result->grown[kind].rate;
    }
    baseline->seconds = result->seconds > baseline->seconds ? result->seconds : baseline->seconds;
}

/* ------------------------------------------------------------------------------------------- the failures */

static struct failure *find_failure(struct hunted *hunted, const struct broke *broke)
{
    for (unsigned i = 0; i < hunted->count; i++) {
        if (broke_is_same(&hunted->failures[i].broke, broke))
            return &hunted->failures[i];
    }
    return NULL;
}

static struct failure *add_failure(
    struct hunted *hunted, const struct broke *broke, const struct finished *finished)
{
    struct failure *failure;

    hunted->failures = realloc(hunted->failures, (hunted->count + 1) * sizeof(*hunted->failures));
    if (hunted->failures == NULL)
        give_up("out of memory");
    failure = &hunted->failures[hunted->count++];
    *failure = (struct failure){
        .broke = *broke, .card = finished->card, .first_round = finished->round, .result = finished->result};
    return failure;
}

/* Starts a line of its own, in the place of the line of progress. */
static void begin_line(void)
{
    fputs(isatty(STDERR_FILENO) ? "\r\033[K" : "", stderr);
}

static void say_failure(const struct hunt *hunt, const struct failure *failure)
{
    char *what = broke_text(&failure->broke, hunt->baseline.limit);
    char *line = failure_line(failure, hunt);

    begin_line();
    fprintf(stderr, "%s: %u of %u times on %s\n    %s\n", what, failure->failed, failure->repeats,
        failure->is_quiet ? "a quiet card" : "this card", line);
    free(what);
    free(line);
}

/* Counts the failures of a round. */
static void take_breaks(struct hunted *hunted, const struct hunt *hunt, const struct finished *finished)
{
    for (unsigned i = 0; i < finished->result.breaks; i++) {
        struct failure *failure = find_failure(hunted, &finished->result.broke[i]);

        if (failure == NULL) {
            failure = add_failure(hunted, &finished->result.broke[i], finished);
            failure->directory =
                evidence_copy(finished->directory, text("%s/first-%u", hunt->directory, hunted->count));
        }
        failure->seen++;
    }
}

/* Runs the command on a quiet card. Mistakes that it makes there are failures that need no fault. */
static void run_baseline(struct hunt *hunt, struct hunted *hunted)
{
    const struct card quiet = {.seed = hunt->options.seed % 1000000 + 1};

    hunt->baseline.limit = hunt->options.limit > 0 ? hunt->options.limit : BASELINE_LIMIT;
    for (unsigned i = 0; i < hunt->options.baseline; i++) {
        struct finished finished;

        if (!round_run(hunt, &quiet, ROUND_QUIET, &finished)) {
            rounds_stop(hunt);
            room_remove_directory(hunt->directory);
            exit(128 + SIGINT);
        }
        check_baseline(hunt, &finished, i);
        learn_baseline(&hunt->baseline, &finished.result);
        take_breaks(hunted, hunt, &finished);
        finished_free(&finished);
    }
    if (hunt->options.limit <= 0)
        hunt->baseline.limit = hunt->baseline.seconds * LIMIT_TIMES;
    if (hunt->options.limit <= 0 && hunt->baseline.limit < LIMIT_LEAST)
        hunt->baseline.limit = LIMIT_LEAST;
    for (unsigned i = 0; i < hunted->count; i++) {
        struct failure *failure = &hunted->failures[i];

        failure->is_quiet = failure->is_pinned = failure->is_shrunk = true;
        failure->failed = failure->seen;
        failure->repeats = hunt->options.baseline;
        say_failure(hunt, failure);
    }
}

/* --------------------------------------------------------------------------------------------- the rounds */

struct progress {
    double next; /* when the line is written again */
};

static void write_progress(struct progress *progress, const struct hunt *hunt, const struct hunted *hunted)
{
    bool terminal = isatty(STDERR_FILENO);
    double now = now_s(), left = hunt->options.time - (now - hunt->began);

    if (now < progress->next)
        return;
    progress->next = now + (terminal ? REFRESH : REFRESH_ELSEWHERE);
    fprintf(stderr, "%s%u of %u rounds, %u failure%s", terminal ? "\r\033[K" : "", hunted->rounds,
        hunt->options.runs, hunted->count, hunted->count == 1 ? "" : "s");
    for (enum broken kind = 0; kind < BROKEN_KINDS; kind++) {
        unsigned count = 0;

        for (unsigned i = 0; i < hunted->count; i++)
            count += hunted->failures[i].broke.kind == kind;
        if (count > 0)
            fprintf(stderr, ", %u %s", count, broken_name(kind));
    }
    if (hunt->options.time > 0)
        fprintf(stderr, ", %.0f s left", left > 0 ? left : 0);
    fputs(terminal ? "" : "\n", stderr);
    fflush(stderr);
}

static void add_counts(struct hunted *hunted, const struct round_result *result)
{
    for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++)
        hunted->requests[name] += result->requests[name];
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        hunted->injected[fault] += result->injected[fault];
        for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++)
            hunted->struck[fault][name] += result->struck[fault][name];
    }
}

static void shrink_new(struct hunt *hunt, struct hunted *hunted, unsigned from)
{
    for (unsigned i = from; i < hunted->count && !hunt->interrupted; i++) {
        struct failure *failure = &hunted->failures[i];
        char *what = broke_text(&failure->broke, hunt->baseline.limit);

        begin_line();
        fprintf(stderr, "round %u: %s\n", failure->first_round, what);
        if (!failure->is_shrunk)
            shrink(hunt, failure, hunted->count - i);
        say_failure(hunt, failure);
        free(what);
    }
}

/* What the plan drew for a round that runs. */
static uint32_t *new_rungs(uint32_t rungs)
{
    uint32_t *made = malloc(sizeof(*made));

    if (made == NULL)
        give_up("out of memory");
    *made = rungs;
    return made;
}

static bool may_begin(const struct hunt *hunt, unsigned fresh)
{
    bool has_time = hunt->options.time <= 0 || now_s() - hunt->began < hunt->options.time;

    return !hunt->interrupted && fresh == 0 && hunt->rounds < hunt->options.runs && has_time &&
           hunt->running < hunt->options.jobs;
}

static void run_rounds(struct hunt *hunt, struct hunted *hunted, struct plan *plan)
{
    struct progress progress = {0};
    unsigned shrunk = hunted->count;

    while (!hunt->interrupted) {
        struct finished finished;

        while (may_begin(hunt, hunted->count - shrunk)) {
            struct card card;
            uint32_t rungs;

            plan_next(plan, &hunt->baseline, &card, &rungs);
            round_begin(hunt, &card, ROUND_PLANNED, new_rungs(rungs));
        }
        if (hunt->running == 0 && hunted->count == shrunk)
            return; /* all is done */
        if (hunt->running == 0) {
            shrink_new(hunt, hunted, shrunk);
            shrunk = hunted->count;
            if (hunt->options.stop_at_first)
                return;
            continue;
        }
        write_progress(&progress, hunt, hunted);
        if (!round_wait(hunt, &finished, REFRESH))
            continue;
        hunted->rounds++;
        hunted->troubles += finished.result.trouble;
        add_counts(hunted, &finished.result);
        plan_learn(plan, *(uint32_t *)finished.arg, finished.result.breaks > 0);
        take_breaks(hunted, hunt, &finished);
        free(finished.arg);
        finished_free(&finished);
    }
}

/* ----------------------------------------------------------------------------------------------- the hunt */

struct report {
    void (*write)(const struct hunted *hunted, FILE *stream);
    const struct hunted *hunted;
};

static bool fill(void *arg, FILE *stream)
{
    const struct report *report = arg;

    report->write(report->hunted, stream);
    return !ferror(stream);
}

static bool write_file(
    const char *path, void (*write)(const struct hunted *, FILE *), const struct hunted *hunted)
{
    struct report report = {.write = write, .hunted = hunted};
    struct ersatz_error error;

    if (ersatz_write_file(path, fill, &report, &error))
        return true;
    fprintf(stderr, "ersatz-run: cannot write %s\n", error.text);
    return false;
}

static bool write_json(const struct hunted *hunted)
{
    hunt_report_json(hunted, stdout);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "ersatz-run: cannot write the report to standard output: %s\n", strerror(errno));
    return false;
}

/* Gives the evidence of each failure its final name. */
static void name_evidence(const struct hunt *hunt, struct hunted *hunted)
{
    for (unsigned i = 0; i < hunted->count; i++) {
        struct failure *failure = &hunted->failures[i];
        char *name = text("%s/failure-%u", hunt->directory, i + 1);

        if (failure->directory != NULL && rename(failure->directory, name) == 0) {
            free(failure->directory);
            failure->directory = name;
        } else {
            free(name);
        }
    }
}

/* False: what was asked for could not be written. */
static bool write_reports(const struct hunt *hunt, struct hunted *hunted)
{
    bool keep = hunt->options.report != NULL || hunted->count > 0, written = true;
    char *page = text("%s/index.html", hunt->directory), *json = text("%s/hunt.json", hunt->directory);

    name_evidence(hunt, hunted);
    if (hunt->options.report == NULL)
        (void)!chmod(hunt->directory, 0700); /* no command runs any more */
    if (keep) {
        written = write_file(page, hunt_report_html, hunted);
        written = write_file(json, hunt_report_json, hunted) && written;
    }
    if (hunt->options.junit != NULL)
        written = write_file(hunt->options.junit, hunt_report_junit, hunted) && written;
    if (hunt->options.json)
        written = write_json(hunted) && written;
    hunt_report_text(hunted, stderr);
    if (!keep)
        room_remove_directory(hunt->directory);
    free(page);
    free(json);
    return written;
}

/* The directory for rounds and reports. */
static char *make_directory(const char *wanted)
{
    char *made, *absolute;

    if (wanted != NULL) {
        made = text("%s", wanted);
        if (mkdir(made, 0755) != 0 && errno != EEXIST)
            give_up("--report %s: %s", wanted, strerror(errno));
        if (rmdir(made) != 0 || mkdir(made, 0755) != 0)
            give_up("--report %s: expected a directory that is empty or does not exist yet", wanted);
    } else {
        made = text("%s/ersatz-hunt-XXXXXX", temporary_directory());
        if (mkdtemp(made) == NULL || (geteuid() == 0 && chmod(made, 0711) != 0)) /* see place.c */
            give_up("cannot make the directory %s: %s", made, strerror(errno));
    }
    absolute = realpath(made, NULL);
    if (absolute == NULL)
        give_up("%s: %s", made, strerror(errno));
    free(made);
    return absolute;
}

static void prepare(struct hunt *hunt, int argc, char **argv)
{
    static struct place place; /* removed at exit */

    hunt_options_read(&hunt->options, argc, argv);
    child_expect();
    (void)card_prepare(&hunt->options.run, &hunt->config, &hunt->libcryptos, &place, &hunt->sources);
    place_remove(&place);
    hunt->directory = make_directory(hunt->options.report);
    rounds_init(hunt);
}

int hunt_main(int argc, char **argv)
{
    static struct hunt hunt;
    struct plan plan;
    struct hunted hunted = {.hunt = &hunt, .plan = &plan};
    bool written;

    prepare(&hunt, argc, argv);
    plan_init(&plan, hunt.options.seed, hunt.options.without);
    run_baseline(&hunt, &hunted);
    hunt.began = now_s();
    if (hunted.count == 0 || !hunt.options.stop_at_first)
        run_rounds(&hunt, &hunted, &plan);
    rounds_stop(&hunt);
    hunted.seconds = now_s() - hunt.began;
    written = write_reports(&hunt, &hunted);
    if (hunted.count > 0)
        return EXIT_FINDINGS;
    return hunt.interrupted ? 128 + SIGINT : hunted.troubles > 0 || !written ? EXIT_TROUBLE : 0;
}
