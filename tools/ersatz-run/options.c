/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of ersatz-run. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ersatz/profile.h"
#include "hunt.h"

static const char usage[] =
    "ersatz-run [OPTION ...] [--] PROGRAM [ARGUMENT ...]\n"
    "ersatz-run hunt [OPTION ...] [--] COMMAND [ARGUMENT ...]   (see ersatz-run hunt --help)\n"
    "\n"
    "Runs a program that uses OpenSSL on ersatz's simulated card. When the program has ended, ersatz-run "
    "reports\n"
    "on standard error what the card did and which mistakes the program made. The program keeps its own "
    "OpenSSL\n"
    "configuration. ersatz-run ends with the program's exit status, or by the signal that ended it.\n"
    "\n"
    "  --door engine|provider   how OpenSSL gets to the card; auto (the default): the engine, or the "
    "provider if\n"
    "                       the program's OpenSSL has no engines or your configuration names the provider\n"
    "  --profile NAME|FILE  model this card's speed\n"
    "  --faults LIST        make the card misbehave: ring_full=1%,late=5%:2ms\n"
    "  --seed NUMBER        repeat the random choices of a run; without it, a seed is chosen and shown\n"
    "  --no-check           do not look for the program's mistakes\n"
    "  --strict             for a program that ended with 0, or by a signal that was sent to ersatz-run:\n"
    "                       exit with 3 if it made mistakes, with 4 if none of its jobs used the card\n"
    "  --allow FINDING      with --strict: do not count this mistake; may be given several times\n"
    "  --trace FILE         write the timeline to this file (default: a new file in TMPDIR)\n"
    "  --no-trace           write no timeline\n"
    "  --json               write the report as JSON\n"
    "  --report FILE        write the report to this file\n"
    "  --control PATH       make a socket by which ersatzctl steers the card; %p in PATH is the process id\n"
    "  --ctrl 'NAME:VALUE;...'  run more control commands\n"
    "  --module FILE        use this build of ersatz.so (default: the one built with this program, or the "
    "installed one)\n"
    "  --round TIME         run it as in a hunt (see ersatz-run hunt --help): {port} and {dir} are replaced, "
    "and all\n"
    "                       that runs is killed after this time, with status 124\n"
    "  --growth[=N:BYTES]   with --round: say whether open descriptors or memory grow with each operation "
    "(by more\n"
    "                       than N descriptors, BYTES of memory); with --strict, that is a mistake\n"
    "  --list               show profiles, faults and findings\n"
    "  --version            show the version\n"
    "  --help, -h           show this text\n";

enum {
    DOOR = 256,
    PROFILE,
    FAULTS,
    SEED,
    CHECK,
    NO_CHECK,
    STRICT,
    ALLOW,
    TRACE,
    NO_TRACE,
    JSON,
    REPORT,
    CONTROL,
    SOCKET,
    MODULE,
    ROUND,
    GROWTH,
    LIST,
    SHOW_VERSION,
    HELP
};

static const struct option known[] = {
    {"door", required_argument, NULL, DOOR},
    {"profile", required_argument, NULL, PROFILE},
    {"faults", required_argument, NULL, FAULTS},
    {"seed", required_argument, NULL, SEED},
    {"check", no_argument, NULL, CHECK},
    {"no-check", no_argument, NULL, NO_CHECK},
    {"strict", no_argument, NULL, STRICT},
    {"allow", required_argument, NULL, ALLOW},
    {"trace", required_argument, NULL, TRACE},
    {"no-trace", no_argument, NULL, NO_TRACE},
    {"json", no_argument, NULL, JSON},
    {"report", required_argument, NULL, REPORT},
    {"control", required_argument, NULL, SOCKET},
    {"ctrl", required_argument, NULL, CONTROL},
    {"module", required_argument, NULL, MODULE},
    {"round", required_argument, NULL, ROUND},
    {"growth", optional_argument, NULL, GROWTH},
    {"list", no_argument, NULL, LIST},
    {"version", no_argument, NULL, SHOW_VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* Checks a value that is passed on in ERSATZ_CTRL, which separates commands by semicolons. */
const char *option_value(const char *option, const char *value)
{
    if (value[0] == '\0')
        give_up("--%s is empty", option);
    if (strchr(value, ';') != NULL)
        give_up("--%s: \"%s\" contains a semicolon; use --ctrl for other commands", option, value);
    return value;
}

/* The absolute path of a profile file. A built-in profile has no path, even if a file has its name. */
const char *option_profile(const char *value)
{
    const struct ersatz_profile *profile;
    char *path;

    for (unsigned i = 0; (profile = ersatz_profile_builtin(i)) != NULL; i++) {
        if (strcmp(profile->name, value) == 0)
            return value;
    }
    path = realpath(value, NULL);
    return path == NULL ? value : option_value("profile", path); /* NULL: the module reports the error */
}

/* The program may change its directory. */
static const char *absolute(const char *path)
{
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);

    return directory == NULL ? path : text("%s/%s", directory, path);
}

_Noreturn void option_show(void (*write)(FILE *), const char *what)
{
    write(stdout);
    finish(0, what);
}

static void write_usage(FILE *stream)
{
    fputs(usage, stream);
}

static void write_version(FILE *stream)
{
    fputs("ersatz-run " VERSION "\n", stream);
}

enum door option_door(const char *name)
{
    static const char *const names[] = {
        [DOOR_AUTO] = "auto", [DOOR_ENGINE] = "engine", [DOOR_PROVIDER] = "provider"};

    for (enum door door = DOOR_AUTO; door <= DOOR_PROVIDER; door++) {
        if (strcmp(name, names[door]) == 0)
            return door;
    }
    give_up("--door %s: expected auto, engine or provider", name);
}

void option_allow(struct options *options, const char *name)
{
    for (enum ersatz_finding finding = 0; finding < ERSATZ_FINDINGS; finding++) {
        if (strcmp(name, ersatz_finding_name(finding)) == 0) {
            options->allowed[finding] = true;
            options->allows = true;
            return;
        }
    }
    give_up("--allow %s: unknown finding; ersatz-run --list shows all", name);
}

/* A random number that is short enough to type. */
static const char *chosen_seed(void)
{
    uint32_t number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        give_up("cannot choose a seed: %s", strerror(errno));
    return text("%" PRIu32, number % 1000000 + 1);
}

/* value: of --growth; NULL: none was given. */
static void read_growth(struct options *options, const char *value)
{
    double *allowed = options->growth_allowed;
    char end;

    allowed[0] = allowed[1] = 0;
    if (value != NULL && (sscanf(value, "%lf:%lf%c", &allowed[0], &allowed[1], &end) != 2 ||
                             !(allowed[0] >= 0 && allowed[1] >= 0 && isfinite(allowed[0] + allowed[1]))))
        give_up("--growth=%s: expected two numbers, for descriptors and bytes, such as 0.5:4096", value);
}

static void take(struct options *options, int option, const char *value)
{
    switch (option) {
    case DOOR:
        options->door = option_door(value);
        break;
    case PROFILE:
        options->profile = option_value("profile", value);
        options->profile_path = option_profile(value);
        break;
    case FAULTS:
        options->faults = option_value("faults", value);
        break;
    case SEED:
        options->seed = option_value("seed", value);
        break;
    case CHECK:
    case NO_CHECK:
        options->check = option == CHECK;
        break;
    case STRICT:
        options->strict = true;
        break;
    case ALLOW:
        option_allow(options, value);
        break;
    case TRACE:
        options->trace = value;
        options->no_trace = false;
        break;
    case NO_TRACE:
        options->no_trace = true;
        break;
    case JSON:
        options->json = true;
        break;
    case REPORT:
        options->report = value;
        break;
    case CONTROL:
        options->control = value;
        break;
    case SOCKET:
        options->socket = absolute(option_value("control", value));
        break;
    case MODULE:
        options->module = value;
        break;
    case ROUND:
        options->round = option_seconds("round", value);
        break;
    case GROWTH:
        options->growth = true;
        read_growth(options, value);
        break;
    case LIST:
        option_show(list_all, "the list");
    case SHOW_VERSION:
        option_show(write_version, "the version");
    case HELP:
    case 'h':
        option_show(write_usage, "the help text");
    default: /* getopt has printed the error */
        fputs("see ersatz-run --help\n", stderr);
        exit(EXIT_TROUBLE);
    }
}

void options_read(struct options *options, int argc, char **argv)
{
    int option;

    *options = (struct options){.check = true};
    while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1)
        take(options, option, optarg);
    options->command = argv + optind;
    if (options->command[0] == NULL)
        give_up("no program given; see ersatz-run --help");
    if (options->strict && !options->check)
        give_up("--strict needs the check, which --no-check turns off");
    if (options->growth && options->round <= 0)
        give_up("--growth needs --round");
    if (options->allows && !options->strict)
        give_up("--allow needs --strict");
    options->seed_chosen = options->seed == NULL;
    if (options->seed == NULL)
        options->seed = chosen_seed();
}
