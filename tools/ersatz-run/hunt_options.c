/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of ersatz-run hunt. */
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "hunt.h"

static const char usage[] =
    "ersatz-run hunt [OPTION ...] [--] COMMAND [ARGUMENT ...]\n"
    "\n"
    "Runs a test command on many different cards, until it breaks, and looks for the smallest card that "
    "breaks "
    "it.\n"
    "In the command, {port} and {dir} are replaced by a port and a directory of each round's own; the "
    "environment\n"
    "has them as ERSATZ_PORT and ERSATZ_DIR. ERSATZ_ROUND counts all runs, also those on the quiet card.\n"
    "\n"
    "How long:\n"
    "  --runs NUMBER        rounds (default: 200)\n"
    "  --time TIME          begin no round after this time: 90s, 10m, 8h (default: no limit); shrinking may "
    "take "
    "a\n"
    "                       quarter longer\n"
    "  --jobs NUMBER        rounds side by side (default: 1)\n"
    "  --stop-at-first      end with the first failure\n"
    "  --seed NUMBER        repeat the plan of a hunt; without it, a seed is chosen and shown\n"
    "  --without FAULT      do not try this fault: fail, reset, late, ...; may be given several times\n"
    "  --baseline NUMBER    runs on a quiet card before the rounds, which must be alike (default: 3)\n"
    "  --repeats NUMBER     how often a failure is repeated when it has been shrunk (default: 10)\n"
    "\n"
    "What counts as broken: another exit status than on the quiet card, a crash, a finding, no end.\n"
    "  --limit TIME         no end within this time (default: ten times the longest run on the quiet card, "
    "at "
    "least 10s)\n"
    "  --ignore KIND        do not count status, signal, time, finding, output or growth; may be given "
    "several times\n"
    "  --same-output        count another standard output, too\n"
    "  --growth             count open descriptors and memory that grow with each operation, too\n"
    "  --strict-status      count the status also if the card was told to fail operations\n"
    "  --allow FINDING      do not count this mistake; may be given several times\n"
    "\n"
    "Results:\n"
    "  --report DIRECTORY   keep the evidence there, with a page for a browser, index.html (default: a new "
    "directory\n"
    "                       in TMPDIR, if anything is found)\n"
    "  --json               write the report as JSON on standard output\n"
    "  --junit FILE         write the report as JUnit XML, too\n"
    "\n"
    "As for ersatz-run without hunt:\n"
    "  --door engine|provider   how OpenSSL gets to the card; auto (the default) chooses\n"
    "  --profile NAME|FILE  model this card's speed\n"
    "  --ctrl 'NAME:VALUE;...'  run more control commands\n"
    "  --module FILE        use this build of ersatz.so\n"
    "  --help, -h           show this text\n"
    "\n"
    "Exit status: 0: nothing found; 3: something was found; 2: the hunt did not start; 130: interrupted, "
    "nothing found.\n";

enum {
    RUNS = 256,
    TIME,
    JOBS,
    STOP_AT_FIRST,
    SEED,
    WITHOUT,
    BASELINE,
    REPEATS,
    LIMIT,
    IGNORE,
    SAME_OUTPUT,
    GROWTH,
    STRICT_STATUS,
    ALLOW,
    REPORT,
    JSON,
    JUNIT,
    DOOR,
    PROFILE,
    CONTROL,
    MODULE,
    HELP
};

static const struct option known[] = {
    {"runs", required_argument, NULL, RUNS},
    {"time", required_argument, NULL, TIME},
    {"jobs", required_argument, NULL, JOBS},
    {"stop-at-first", no_argument, NULL, STOP_AT_FIRST},
    {"seed", required_argument, NULL, SEED},
    {"without", required_argument, NULL, WITHOUT},
    {"baseline", required_argument, NULL, BASELINE},
    {"repeats", required_argument, NULL, REPEATS},
    {"limit", required_argument, NULL, LIMIT},
    {"ignore", required_argument, NULL, IGNORE},
    {"same-output", no_argument, NULL, SAME_OUTPUT},
    {"growth", no_argument, NULL, GROWTH},
    {"strict-status", no_argument, NULL, STRICT_STATUS},
    {"allow", required_argument, NULL, ALLOW},
    {"report", required_argument, NULL, REPORT},
    {"json", no_argument, NULL, JSON},
    {"junit", required_argument, NULL, JUNIT},
    {"door", required_argument, NULL, DOOR},
    {"profile", required_argument, NULL, PROFILE},
    {"ctrl", required_argument, NULL, CONTROL},
    {"module", required_argument, NULL, MODULE},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static const char *const kinds[] = {[BROKEN_STATUS] = "status",
    [BROKEN_SIGNAL] = "signal",
    [BROKEN_TIME] = "time",
    [BROKEN_FINDING] = "finding",
    [BROKEN_OUTPUT] = "output",
    [BROKEN_GROWTH] = "growth"};

const char *broken_name(enum broken kind)
{
    return kinds[kind];
}

static uint64_t number(const char *option, const char *value, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long read = strtoull(value, &end, 10);

    if (!isdigit((unsigned char)value[0]) || *end != '\0' || strlen(value) > 18 || read < least ||
        read > most)
        give_up("--%s %s: expected a number from %llu to %llu", option, value, (unsigned long long)least,
            (unsigned long long)most);
    return read;
}

double option_seconds(const char *option, const char *value)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    double read = strtod(value, &end);

    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (isdigit((unsigned char)value[0]) && strcmp(end, units[i].name) == 0 &&
            read * units[i].seconds > 0 && read * units[i].seconds <= 1e6)
            return read * units[i].seconds;
    }
    give_up("--%s %s: expected a time such as 90s, 10m or 8h", option, value);
}

static void ignore(struct hunt_options *options, const char *name)
{
    for (enum broken kind = 0; kind < BROKEN_KINDS; kind++) {
        if (strcmp(name, kinds[kind]) == 0) {
            options->counts[kind] = false;
            return;
        }
    }
    give_up("--ignore %s: expected status, signal, time, finding, output or growth", name);
}

static void leave_out(struct hunt_options *options, const char *name)
{
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        if (strcmp(name, ersatz_fault_name(fault)) == 0) {
            options->without |= 1u << fault;
            return;
        }
    }
    give_up("--without %s: unknown fault; ersatz-run --list shows all", name);
}

static void write_usage(FILE *stream)
{
    fputs(usage, stream);
}

/* How long, and what is tried. False: it is another option. */
static bool take_plan(struct hunt_options *options, int option, const char *value)
{
    switch (option) {
    case RUNS:
        options->runs = (unsigned)number("runs", value, 1, 1000000);
        return true;
    case TIME:
        options->time = option_seconds("time", value);
        return true;
    case JOBS:
        options->jobs = (unsigned)number("jobs", value, 1, 256);
        return true;
    case STOP_AT_FIRST:
        options->stop_at_first = true;
        return true;
    case SEED:
        options->seed = number("seed", value, 0, UINT64_MAX);
        options->run.seed_chosen = false;
        return true;
    case WITHOUT:
        leave_out(options, value);
        return true;
    case BASELINE:
        options->baseline = (unsigned)number("baseline", value, 1, 1000);
        return true;
    case REPEATS:
        options->repeats = (unsigned)number("repeats", value, 1, 1000);
        return true;
    default:
        return false;
    }
}

/* What counts as broken. */
static bool take_judgement(struct hunt_options *options, int option, const char *value)
{
    switch (option) {
    case LIMIT:
        options->limit = option_seconds("limit", value);
        return true;
    case IGNORE:
        ignore(options, value);
        return true;
    case SAME_OUTPUT:
        options->counts[BROKEN_OUTPUT] = true;
        return true;
    case GROWTH:
        options->counts[BROKEN_GROWTH] = true;
        return true;
    case STRICT_STATUS:
        options->strict_status = true;
        return true;
    case ALLOW:
        option_allow(&options->run, value);
        return true;
    default:
        return false;
    }
}

static bool take_report(struct hunt_options *options, int option, const char *value)
{
    switch (option) {
    case REPORT:
        options->report = value;
        return true;
    case JSON:
        options->json = true;
        return true;
    case JUNIT:
        options->junit = value;
        return true;
    default:
        return false;
    }
}

/* The settings of every round. */
static bool take_setting(struct options *options, int option, const char *value)
{
    switch (option) {
    case DOOR:
        options->door = option_door(value);
        return true;
    case PROFILE:
        options->profile = option_value("profile", value);
        options->profile_path = option_profile(value);
        return true;
    case CONTROL:
        options->control = value;
        return true;
    case MODULE:
        options->module = value;
        return true;
    default:
        return false;
    }
}

static void take(struct hunt_options *options, int option, const char *value)
{
    if (take_plan(options, option, value) || take_judgement(options, option, value) ||
        take_report(options, option, value) || take_setting(&options->run, option, value))
        return;
    if (option == HELP || option == 'h')
        option_show(write_usage, "the help text");
    fputs("see ersatz-run hunt --help\n", stderr); /* getopt has printed the error */
    exit(EXIT_TROUBLE);
}

void hunt_options_read(struct hunt_options *options, int argc, char **argv)
{
    int option;

    *options = (struct hunt_options){.run = {.check = true, .seed = "0", .seed_chosen = true},
        .baseline = 3,
        .runs = 200,
        .jobs = 1,
        .repeats = 10,
        .counts = {
            [BROKEN_STATUS] = true, [BROKEN_SIGNAL] = true, [BROKEN_TIME] = true, [BROKEN_FINDING] = true}};
    while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1)
        take(options, option, optarg);
    options->run.command = argv + optind;
    if (options->run.command[0] == NULL)
        give_up("no command given; see ersatz-run hunt --help");
    if (options->run.seed_chosen) {
        uint32_t random;

        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            give_up("cannot choose a seed");
        options->seed = random % 1000000 + 1;
    }
}
