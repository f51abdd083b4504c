/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stress campaign: rounds of random work by random applications on the card, every answer compared with
 * plain libcrypto, and everything counted before and after. A seed repeats it; see --help.
 */
#include <getopt.h>
#include <sys/resource.h>
#include <time.h>

#include "check.h"
#include "memory.h"
#include "plan.h"
#include "question.h"
#include "round.h"
#include "scenario.h"
#include "support/card.h"
#include "totals.h"
#include "watch.h"

struct options {
    struct choice choice;
    unsigned first, rounds; /* rounds 0: as many as fit into seconds */
    double seconds, progress;
    unsigned watchdog;
    bool quiet, list, alone;
    int scenario; /* -1: none */
    const char *json;
};

enum {
    OPTION_SEED = AXES,
    OPTION_FIRST,
    OPTION_ROUNDS,
    OPTION_SECONDS,
    OPTION_AXIS,
    OPTION_WATCHDOG,
    OPTION_JSON,
    OPTION_QUIET,
    OPTION_PROGRESS,
    OPTION_LIST,
    OPTION_AXES,
    OPTION_SCENARIO,
    OPTION_ALONE,
    OPTION_HELP,
    OPTIONS
};

static const struct {
    const char *name, *value, *help;
} general[OPTIONS - AXES] = {
    {"seed", "S", "what everything is drawn from; by default the time"},
    {"first", "N", "the first round's number"},
    {"rounds", "N", "how many rounds"},
    {"seconds", "N", "begin rounds for so long"},
    {"axis", "NAME", "draw the values of this axis and keep the others calm; all: draw every axis (default)"},
    {"watchdog", "N", "end when nothing is finished for so many seconds (default 60)"},
    {"json", "FILE", "write the table as JSON, too"},
    {"quiet", NULL, "no line for each round"},
    {"progress", "N", "every N seconds a line with what was done so far"},
    {"list", NULL, "print the plans of the rounds and do nothing"},
    {"axes", NULL, "print the names of the axes and do nothing"},
    {"scenario", "NAME",
        "instead of rounds on axes: fork, end, copies, reload, tls, contexts, or all of them in turn"},
    {"alone", NULL, "run one scenario in this very process, which then ends with 7"},
    {"help", NULL, "print this"},
};

static void help(void)
{
    printf("usage: stress [OPTION ...]\n\n");
    for (unsigned i = 0; i < OPTIONS - AXES; i++)
        printf("  --%s%s%s\n      %s\n", general[i].name, general[i].value ? "=" : "",
            general[i].value ? general[i].value : "", general[i].help);
    printf("\nAxes; a value that is given is not drawn:\n\n");
    for (unsigned a = 0; a < AXES; a++) {
        printf("  --%s=", axes[a].name);
        for (unsigned w = 0; axes[a].words != NULL && axes[a].words[w] != NULL; w++)
            printf("%s%s", w > 0 ? "|" : "", axes[a].words[w]);
        printf("%s\n      %s\n", axes[a].words == NULL ? "N" : "", axes[a].help);
    }
}

static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "stress: --%s=%s is not understood; see --help\n", what, value);
    exit(2);
}

static unsigned long long read_number(const char *name, const char *text, unsigned long long largest)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || number > largest)
        refuse(name, text);
    return number;
}

static unsigned read_value(unsigned a, const char *text)
{
    if (axes[a].words == NULL)
        return (unsigned)read_number(axes[a].name, text, axes[a].largest);
    for (unsigned w = 0; axes[a].words[w] != NULL; w++) {
        if (strcmp(axes[a].words[w], text) == 0)
            return w;
    }
    refuse(axes[a].name, text);
    return 0;
}

static int read_axis(const char *name)
{
    int a = 0;

    if (strcmp(name, "all") == 0)
        return AXES;
    while (a < AXES && strcmp(axes[a].name, name) != 0)
        a++;
    if (a == AXES)
        refuse("axis", name);
    return a;
}

/* The number of them: all. */
static int read_scenario(const char *name)
{
    int s = 0;

    for (; scenario_names[s] != NULL; s++) {
        if (strcmp(scenario_names[s], name) == 0)
            return s;
    }
    if (strcmp(name, "all") != 0)
        refuse("scenario", name);
    return s;
}

static void take_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_SEED:
        options->choice.seed = read_number("seed", value, UINT64_MAX);
        break;
    case OPTION_FIRST:
        options->first = (unsigned)read_number("first", value, UINT32_MAX / 2);
        break;
    case OPTION_ROUNDS:
        options->rounds = (unsigned)read_number("rounds", value, UINT32_MAX / 2);
        break;
    case OPTION_SECONDS:
        options->seconds = (double)read_number("seconds", value, 1000000);
        break;
    case OPTION_AXIS:
        options->choice.only = read_axis(value);
        break;
    case OPTION_WATCHDOG:
        options->watchdog = (unsigned)read_number("watchdog", value, 100000);
        break;
    case OPTION_JSON:
        options->json = value;
        break;
    case OPTION_QUIET:
        options->quiet = true;
        break;
    case OPTION_PROGRESS:
        options->progress = (double)read_number("progress", value, 1000000);
        break;
    case OPTION_LIST:
        options->list = true;
        break;
    case OPTION_AXES:
        for (unsigned a = 0; a < AXES; a++)
            printf("%s\n", axes[a].name);
        exit(0);
    case OPTION_SCENARIO:
        options->scenario = read_scenario(value);
        break;
    case OPTION_ALONE:
        options->alone = true;
        break;
    case OPTION_HELP:
        help();
        exit(0);
    default:
        if (option >= AXES)
            exit(2); /* getopt has said why */
        options->choice.is_given[option] = true;
        options->choice.given[option] = read_value((unsigned)option, value);
    }
}

static void read_options(struct options *options, int argc, char **argv)
{
    struct option list[OPTIONS + 1] = {0};
    int option;

    for (int i = 0; i < OPTIONS; i++) {
        bool takes_value = i < AXES || general[i - AXES].value != NULL;

        list[i] = (struct option){i < AXES ? axes[i].name : general[i - AXES].name,
            takes_value ? required_argument : no_argument, NULL, i};
    }
    while ((option = getopt_long(argc, argv, "", list, NULL)) != -1)
        take_option(options, option == '?' ? OPTIONS : option, optarg);
    if (optind < argc)
        refuse("", argv[optind]);
    if (options->rounds == 0 && options->seconds == 0)
        options->rounds = 20;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A descriptor for each job, and what the card needs. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* One of them, or all in turn. */
static void run_scenario(const struct options *options, unsigned round, double at)
{
    unsigned scenarios = 0, scenario = (unsigned)options->scenario;

    while (scenario_names[scenarios] != NULL)
        scenarios++;
    if (scenario == scenarios)
        scenario = round % (scenarios - card_is_provider()); /* the last one is about engines */
    if (!options->quiet)
        printf("%6.1f s  round %u: %s\n", at, round, scenario_names[scenario]);
    fflush(stdout);
    if (!options->list)
        scenario_start(scenario, options->choice.seed, round);
}

static void run_axes(const struct options *options, unsigned round, double at)
{
    struct plan plan = plan_draw(&options->choice, round);
    char repeat[1024], values[1024];

    plan_print(&options->choice, round, repeat, sizeof(repeat));
    plan_describe(&plan, values, sizeof(values));
    watch_round(repeat);
    if (!options->quiet || options->list)
        printf("%6.1f s  round %u:%s\n", at, round, values);
    fflush(stdout);
    if (!options->list)
        round_run(&plan);
}

static void run_rounds(const struct options *options)
{
    double begin = now(), shown = begin;

    for (unsigned i = 0; options->rounds == 0 || i < options->rounds; i++) {
        if (options->rounds == 0 && now() - begin >= options->seconds)
            break;
        (options->scenario < 0 ? run_axes : run_scenario)(options, options->first + i, now() - begin);
        if (options->progress > 0 && now() - shown >= options->progress && !options->list) {
            shown = now();
            totals_print_line(shown - begin);
        }
    }
    if (options->list)
        return;
    totals_print(now() - begin);
    if (options->json != NULL && !totals_write_json(options->json, options->choice.seed, now() - begin)) {
        fprintf(stderr, "stress: %s: %m\n", options->json);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .choice = {.seed = (uint64_t)time(NULL), .only = AXES}, .watchdog = 60, .scenario = -1};

    read_options(&options, argc, argv);
    if (!options.alone)
        watch_from_outside();
    memory_begin();
    allow_descriptors();
    keys_load();
    if (options.alone && options.scenario >= 0 && scenario_names[options.scenario] != NULL)
        return scenario_run((unsigned)options.scenario, options.choice.seed, options.first);
    watch_begin(options.watchdog);
    printf("seed %llu\n", (unsigned long long)options.choice.seed);
    run_rounds(&options);
    watch_end();
    keys_free();
    return totals_faults() != 0;
}
