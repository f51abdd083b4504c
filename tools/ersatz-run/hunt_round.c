/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs rounds, each in a process of its own, which is the subreaper of all that the command starts. That
 * process prepares the card, runs the command, judges, and ends everything that is left; the result comes
 * back in shared memory. If the hunt dies, the processes of the rounds are told by a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ersatz/output.h"
#include "ersatz/sum.h"
#include "hunt.h"
#include "room.h"
#include "symbols.h"
#include "totals.h"

struct slot {
    pid_t pid;       /* 0: free */
    unsigned number; /* of the run */
    unsigned round;  /* of the plan; 0: not of the plan */
    enum round_kind kind;
    void *arg;
    struct card card;
    char *directory;
    struct round_result *result; /* shared */
};

/* SIGPIPE: nobody reads what the hunt writes. */
static const int ends_hunt[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
static sigset_t waited_for, programs_mask;

void rounds_init(struct hunt *hunt)
{
    unsigned count = hunt->options.jobs;

    sigemptyset(&waited_for);
    sigaddset(&waited_for, SIGCHLD);
    for (unsigned i = 0; i < sizeof(ends_hunt) / sizeof(ends_hunt[0]); i++)
        sigaddset(&waited_for, ends_hunt[i]);
    sigprocmask(SIG_BLOCK, &waited_for, &programs_mask);
    hunt->slots = calloc(count, sizeof(*hunt->slots));
    for (unsigned i = 0; hunt->slots != NULL && i < count; i++) {
        void *shared = mmap(
            NULL, sizeof(struct round_result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (shared == MAP_FAILED)
            give_up("out of memory");
        hunt->slots[i].result = shared;
    }
    if (hunt->slots == NULL)
        give_up("out of memory");
}

/* ------------------------------------------------------------------------------ in the process of a round */

/* The length and the sum of a file. */
static void sum_up(const char *path, uint64_t sum[2])
{
    FILE *stream = fopen(path, "re");
    unsigned char buffer[65536];
    size_t got;

    sum[0] = 0;
    sum[1] = ERSATZ_SUM_EMPTY;
    while (stream != NULL && (got = fread(buffer, 1, sizeof(buffer), stream)) > 0) {
        sum[0] += got;
        sum[1] = ersatz_sum_add(sum[1], buffer, got);
    }
    if (stream != NULL)
        fclose(stream);
}

static void add_totals(struct round_result *result, const struct totals *totals)
{
    result->operations = totals->accepted;
    memcpy(result->requests, totals->requests, sizeof(result->requests));
    memcpy(result->injected, totals->faults, sizeof(result->injected));
}

static bool fill_report(void *outcome, FILE *stream)
{
    report_text(outcome, stream);
    return !ferror(stream);
}

static void write_crash_stack(const struct slot *slot)
{
    char *path = text("%s/" ROUND_STACKS, slot->directory);
    FILE *stream = slot->result->stack[0] == '\0' ? NULL : fopen(path, "we");

    if (stream != NULL) {
        fputs(slot->result->stack, stream);
        fclose(stream);
    }
    free(path);
}

/* Keeps what a person needs to understand a broken round. */
static void write_evidence(const struct slot *slot, struct outcome *outcome, struct records *records)
{
    char *report = text("%s/" ROUND_REPORT, slot->directory),
         *trace = text("%s/" ROUND_TIMELINE, slot->directory);
    struct ersatz_error error;

    symbols_add(records);
    if (records_any_trace(records) && records_save_trace(records, trace, &error))
        outcome->trace = trace;
    if (!ersatz_write_file(report, fill_report, outcome, &error))
        fprintf(stderr, "ersatz-run: cannot write the report to %s\n", error.text);
    judge_name_crash(slot->result, records);
    write_crash_stack(slot);
    free(report);
    free(trace);
}

static void judge_round(struct hunt *hunt, const struct slot *slot, const struct options *options,
    const struct ending *ending, struct records *records, const struct growth *growth)
{
    struct round_result *result = slot->result;
    struct totals totals;
    struct outcome outcome = {.options = options,
        .config = &hunt->config,
        .libcryptos = &hunt->libcryptos,
        .sources = &hunt->sources,
        .ending = ending,
        .records = records,
        .totals = &totals};
    char *output = text("%s/" ROUND_OUTPUT, slot->directory);

    totals_of(&totals, records, options->seed);
    sum_up(output, result->output);
    free(output);
    result->status = ending->status;
    result->too_long = ending->too_long;
    result->seconds = ending->seconds;
    add_totals(result, &totals);
    result_fill(result, &slot->card, records);
    growth_find(growth, result->grown);
    judge(result, &hunt->options, slot->kind == ROUND_QUIET ? NULL : &hunt->baseline, &slot->card, ending,
        records, &totals);
    if (records->trouble_count > 0) {
        if (slot->round > 0)
            fprintf(stderr, "\nersatz-run: round %u: %s\n", slot->round, records->troubles[0]);
        else
            fprintf(stderr, "\nersatz-run: a run outside of the plan: %s\n", records->troubles[0]);
        result->trouble = true;
    }
    outcome.status = status_of(&outcome, &totals);
    if (result->breaks > 0 || slot->kind == ROUND_QUIET)
        write_evidence(slot, &outcome, records);
    result->done = true;
}

static void run_round(struct hunt *hunt, const struct slot *slot)
{
    char *output = text("%s/" ROUND_OUTPUT, slot->directory),
         *errors = text("%s/" ROUND_ERRORS, slot->directory);
    char *stacks = text("%s/" ROUND_STACKS, slot->directory),
         *threads = text("%s/" ROUND_THREADS, slot->directory);
    static struct place place; /* removed at exit */
    struct growth growth = {0};
    const struct child_bounds bounds = {.seconds = hunt->baseline.limit,
        .output = output,
        .errors = errors,
        .stacks = slot->kind == ROUND_REPEATED ? NULL : stacks,
        .threads = slot->kind == ROUND_REPEATED ? NULL : threads,
        .place = &place,
        .mask = &programs_mask,
        .stop_at_signal = true,
        .watch = hunt->options.counts[BROKEN_GROWTH] ? growth_watch : NULL,
        .watched = &growth};
    struct options options;
    struct records records;
    struct ending ending;
    struct room room;

    card_options(&slot->card, &hunt->options.run, &options);
    room_make(&room, slot->directory, ROUND_DIR, slot->number);
    options.command = room_furnish(&room, options.command);
    card_place(&options, &hunt->config, &place);
    growth.records = place.records_fd;
    ending = card_run(&options, &hunt->config, &place, &bounds);
    if (ending.pid < 0)
        exit(EXIT_TROUBLE);
    if (!ending.stopped) {
        records_read(&records, place.records_fd);
        judge_round(hunt, slot, &options, &ending, &records, &growth);
    }
    growth_free(&growth);
    place_remove(&place);
    room_remove_directory(room.directory);
}

/* ----------------------------------------------------------------------------------------------- the hunt */

static struct slot *free_slot(struct hunt *hunt)
{
    struct slot *slot = hunt->slots;

    while (slot->pid != 0)
        slot++;
    return slot;
}

void round_begin(struct hunt *hunt, const struct card *card, enum round_kind kind, void *arg)
{
    struct slot *slot = free_slot(hunt);
    pid_t parent = getpid();

    slot->number = ++hunt->runs;
    slot->round = kind == ROUND_PLANNED ? ++hunt->rounds : 0;
    slot->card = *card;
    slot->arg = arg;
    slot->kind = kind;
    slot->directory = text("%s/round-%u", hunt->directory, slot->number);
    *slot->result = (struct round_result){0};
    if (mkdir(slot->directory, 0755) != 0)
        give_up("cannot make the directory %s: %s", slot->directory, strerror(errno));
    fflush(NULL);
    slot->pid = fork();
    if (slot->pid < 0)
        give_up("cannot start a process: %s", strerror(errno));
    if (slot->pid == 0) {
        setpgid(0, 0); /* the terminal's signals are for the hunt alone */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent)
            run_round(hunt, slot);
        exit(0);
    }
    hunt->running++;
}

/* Takes the result of a slot whose process has ended. */
static void take(struct hunt *hunt, struct slot *slot, struct finished *finished)
{
    *finished = (struct finished){.round = slot->round,
        .arg = slot->arg,
        .card = slot->card,
        .result = *slot->result,
        .directory = slot->directory};
    finished->result.trouble = finished->result.trouble || !finished->result.done;
    if (finished->result.breaks == 0 && slot->kind != ROUND_QUIET)
        finished_free(finished);
    slot->pid = 0;
    hunt->running--;
}

/* A round that has ended; NULL: none has. */
static struct slot *ended_slot(struct hunt *hunt)
{
    for (unsigned i = 0; i < hunt->options.jobs; i++) {
        struct slot *slot = &hunt->slots[i];

        if (slot->pid != 0 && waitpid(slot->pid, NULL, WNOHANG) == slot->pid)
            return slot;
    }
    return NULL;
}

bool round_wait(struct hunt *hunt, struct finished *finished, double seconds)
{
    const double until = now_s() + seconds;
    struct slot *slot;

    while ((slot = ended_slot(hunt)) == NULL) {
        struct timespec wait = {.tv_nsec = 200000000};
        int signal;

        if (hunt->interrupted || now_s() >= until)
            return false;
        signal = sigtimedwait(&waited_for, NULL, &wait);
        hunt->interrupted = hunt->interrupted || (signal > 0 && signal != SIGCHLD);
    }
    take(hunt, slot, finished);
    return true;
}

void rounds_stop(struct hunt *hunt)
{
    for (unsigned i = 0; i < hunt->options.jobs; i++) {
        if (hunt->slots[i].pid != 0)
            kill(hunt->slots[i].pid, SIGTERM);
    }
    for (unsigned i = 0; i < hunt->options.jobs; i++) {
        struct slot *slot = &hunt->slots[i];

        if (slot->pid == 0)
            continue;
        while (waitpid(slot->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        evidence_remove(slot->directory);
        slot->pid = 0;
    }
    hunt->running = 0;
}

bool round_run(struct hunt *hunt, const struct card *card, enum round_kind kind, struct finished *finished)
{
    round_begin(hunt, card, kind, NULL);
    while (!round_wait(hunt, finished, 1)) {
        if (hunt->interrupted)
            return false;
    }
    return true;
}

void evidence_remove(char *directory)
{
    if (directory != NULL)
        room_remove_directory(directory);
    free(directory);
}

void finished_free(struct finished *finished)
{
    evidence_remove(finished->directory);
    finished->directory = NULL;
}

char *evidence_copy(const char *from, char *to)
{
    static const char *const names[] = {
        ROUND_OUTPUT, ROUND_ERRORS, ROUND_STACKS, ROUND_THREADS, ROUND_REPORT, ROUND_TIMELINE};

    if (from == NULL || mkdir(to, 0755) != 0) {
        free(to);
        return NULL;
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *old = text("%s/%s", from, names[i]), *new = text("%s/%s", to, names[i]);

        (void)!link(old, new);
        free(old);
        free(new);
    }
    return to;
}
