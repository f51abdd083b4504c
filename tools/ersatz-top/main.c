/* SPDX-License-Identifier: Apache-2.0 */
/* ersatz-top: shows what running cards do. */
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top.h"

static const char usage[] =
    "ersatz-top [OPTION ...] [PID|DIRECTORY|FILE ...]\n"
    "\n"
    "Shows what running cards of ersatz do: operations, latencies, how full the rings are, the load of the "
    "workers,\n"
    "faults, and findings as they come. It reads the records of processes, those that run under ersatz-run "
    "or "
    "were\n"
    "given RECORD, and touches nothing else of them. PID is such a process, DIRECTORY holds records, FILE is "
    "a\n"
    "record; without any, all processes that this user may look into. Latencies need LATENCY:1.\n"
    "\n"
    "  --interval SECONDS   between two looks, from 0.1 to 3600 (default: 1)\n"
    "  --once               show everything once and end; rates are those of one interval\n"
    "  --json               with --once: as JSON, at once, with totals and no rates\n"
    "  --prometheus         once, as text for Prometheus\n"
    "  --version            show the version\n"
    "  --help, -h           show this text\n"
    "\n"
    "On a terminal, q ends it. Where TERM is dumb or the output is no terminal, one text follows the other.\n"
    "NO_COLOR turns colors off. The status is 0, or 2 if there was nothing to show or it could not be "
    "written.\n";

const char program_name[] = "ersatz-top";

enum { INTERVAL = 256, ONCE, JSON, PROMETHEUS, SHOW_VERSION, HELP };

struct options {
    double interval;
    bool once, json, prometheus;
};

static double read_interval(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= 3600))
        give_up("--interval %s: expected seconds, from 0.1 to 3600", text);
    return seconds;
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"interval", required_argument, NULL, INTERVAL},
        {"once", no_argument, NULL, ONCE},
        {"json", no_argument, NULL, JSON},
        {"prometheus", no_argument, NULL, PROMETHEUS},
        {"version", no_argument, NULL, SHOW_VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    *options = (struct options){.interval = 1};
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        if (option == INTERVAL) {
            options->interval = read_interval(optarg);
        } else if (option == ONCE) {
            options->once = true;
        } else if (option == JSON) {
            options->json = true;
        } else if (option == PROMETHEUS) {
            options->prometheus = true;
        } else if (option == SHOW_VERSION) {
            puts("ersatz-top " VERSION);
            finish(0, NULL);
        } else if (option == HELP || option == 'h') {
            fputs(usage, stdout);
            finish(0, NULL);
        } else { /* getopt has printed the error */
            fputs("see ersatz-top --help\n", stderr);
            exit(EXIT_TROUBLE);
        }
    }
    if (options->json && (!options->once || options->prometheus))
        give_up("--json needs --once, and goes without --prometheus");
}

static void put_line(void *arg, const char *line)
{
    (void)arg;
    puts(line);
}

static void show_once(struct cards *cards, const struct look *look, const struct options *options)
{
    struct timespec wait = timespec_of(options->interval);

    cards_sample(cards);
    if (options->json) {
        export_json(cards, stdout);
    } else if (options->prometheus) {
        export_prometheus(cards, stdout);
    } else {
        while (nanosleep(&wait, &wait) != 0)
            ;
        cards_sample(cards);
        draw(cards, look, put_line, NULL);
    }
}

int main(int argc, char **argv)
{
    struct cards cards = {.count = 0};
    struct options options;
    struct look look;

    program_begin();
    setlocale(LC_CTYPE, "");
    read_options(&options, argc, argv);
    look = screen_look();
    for (int i = optind; i < argc; i++)
        cards_add(&cards, argv[i]);
    cards.all = optind == argc;
    if (options.once || options.prometheus)
        show_once(&cards, &look, &options);
    else
        screen_run(&cards, &look, options.interval);
    cards_free(&cards);
    finish(0, NULL);
}
