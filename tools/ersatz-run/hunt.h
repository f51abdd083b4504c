/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of the hunt share. docs/hunt.md describes the hunt. */
#ifndef ERSATZ_RUN_HUNT_H
#define ERSATZ_RUN_HUNT_H

#include "ersatz/faults.h"
#include "run.h"

/* ------------------------------------------------------------------------------------- hunt_options.c */

/* The ways in which a round can be broken. */
enum broken {
    BROKEN_STATUS,
    BROKEN_SIGNAL,
    BROKEN_TIME,
    BROKEN_FINDING,
    BROKEN_OUTPUT,
    BROKEN_GROWTH,
    BROKEN_KINDS
};

struct hunt_options {
    struct options run; /* the settings of every round: door, module, profile, control, allowed, command */
    unsigned baseline, runs, jobs, repeats;
    double time, limit; /* seconds; 0: not given */
    uint64_t seed;
    uint32_t without; /* a bit for each fault that is not tried */
    bool stop_at_first, strict_status, json;
    bool counts[BROKEN_KINDS];
    const char *report, *junit;
};

void hunt_options_read(struct hunt_options *options, int argc, char **argv);

/* Reads a time such as 90s, 10m or 8h. Exits if it is wrong. */
double option_seconds(const char *option, const char *value);

/* "status", "signal", "time", "finding", "output", "growth". */
const char *broken_name(enum broken kind);

/* --------------------------------------------------------------------------------------- hunt_card.c */

/* How a card differs from a quiet one. */
enum setting { SETTING_RING_DEPTH, SETTING_ONE_WORKER, SETTING_FALLBACK, SETTING_SLOW, SETTINGS };

struct card {
    struct ersatz_faults faults;
    unsigned settings; /* a bit 1 << enum setting for each */
    uint64_t seed;
};

/* The list of faults as text; "" if there are none. The caller frees it. */
char *card_faults(const struct card *card);

/* The options that ask for this card: `base`, and those of the card. */
void card_options(const struct card *card, const struct options *base, struct options *options);

/* True if an operation may fail as the card was told to, and so the command, too. */
bool card_may_fail(const struct card *card);

/* ------------------------------------------------------------------------------------- hunt_growth.c */

enum growth_kind { GROWTH_DESCRIPTORS, GROWTH_MEMORY, GROWTHS };

#define GROWTH_SAMPLES 256u /* of one process, at most */

/* operations: that the process has sent to the card. level: descriptors that are open; bytes in memory. */
struct growth_sample {
    uint64_t operations, level[GROWTHS];
};

struct growth_process {
    int64_t pid;
    uint64_t made;   /* as in its record */
    uint64_t stride; /* operations between two samples, at least */
    unsigned count;
    struct growth_sample samples[GROWTH_SAMPLES];
};

/* What is sampled in a round. */
struct growth {
    int records; /* descriptor of the directory of records; the caller's */
    unsigned count;
    struct growth_process *of;
};

/* How the level has grown. rate: per operation; 0: it has not, or there are too few samples. */
struct grown {
    double rate;
    uint64_t from, to; /* at the beginning of the second half, and towards the end */
    uint64_t operations;
};

/* Samples all processes. watched: struct growth. */
void growth_watch(void *watched);

/* The fastest growth of a process, of each kind. */
void growth_find(const struct growth *growth, struct grown grown[GROWTHS]);

/* Whether any process sent enough operations, slowly enough, for that. */
bool growth_is_judged(const struct growth *growth);

void growth_free(struct growth *growth);

/* Writes "from 5 to 20 in the second half of 100 operations". */
void growth_describe(enum growth_kind kind, const struct grown *grown, char *to, size_t size);

/* The sentence about such a description, which the caller frees. */
char *growth_text(enum growth_kind kind, const char *described);

/* ------------------------------------------------------------------------------------- hunt_result.c */

#define BREAKS_MAX 16u
#define TIMELINE_MAX 48u /* requests in the picture */

struct broke {
    enum broken kind;
    int detail;     /* exit status; signal; enum ersatz_finding; 0; enum growth_kind */
    uint64_t place; /* of a crash, as in its record; 0: not known */
    char at[120];   /* that place, in words; how much it grows */
};

/* A request of the failing run, for the picture. */
struct timeline_entry {
    uint64_t number, at[ERSATZ_POINTS]; /* nanoseconds since the first of them; 0: did not happen */
    int32_t submitter;
    uint32_t struck; /* a bit for each fault */
    uint8_t op;      /* ERSATZ_REQUEST_NAMES: the card accepted no such request, see struck */
    bool ended, orphan;
};

/* What happened in a round. Plain data, in memory that the process of the round shares with the hunt. */
struct round_result {
    bool done;    /* the rest is valid */
    bool trouble; /* the round could not be run, or not be judged; it has printed the reason */
    int status;   /* from waitpid(2) */
    bool too_long;
    double seconds;
    uint64_t output[2];  /* length and a sum of standard output */
    uint64_t operations; /* sent to the card */
    uint64_t requests[ERSATZ_REQUEST_NAMES], injected[ERSATZ_FAULTS];
    uint64_t struck[ERSATZ_FAULTS][ERSATZ_REQUEST_NAMES];
    uint64_t most; /* the highest number of a request of one process */
    struct grown grown[GROWTHS];
    unsigned breaks;
    struct broke broke[BREAKS_MAX];
    char stack[ERSATZ_CALLERS_TEXT]; /* of the crash; empty: not known */
    bool shows_fault;                /* the timeline is of a process in which a fault struck */
    unsigned shown;
    struct timeline_entry timeline[TIMELINE_MAX];
};

/* The files that a round leaves in its directory if it is broken. */
#define ROUND_OUTPUT "output.txt"
#define ROUND_ERRORS "errors.txt"
#define ROUND_STACKS "stacks.txt"
#define ROUND_THREADS "threads.txt" /* stacks of all threads of processes that crashed */
#define ROUND_REPORT "report.txt"
#define ROUND_TIMELINE "timeline.json"
#define ROUND_DIR "dir" /* the command's own; removed */

/* What a quiet card gave, with which rounds are compared. */
struct baseline {
    int status;
    uint64_t output[2];
    uint64_t operations, most;
    uint64_t requests[ERSATZ_REQUEST_NAMES];
    double seconds;                 /* the longest run */
    double growth_allowed[GROWTHS]; /* for each operation */
    double limit;                   /* for a round */
};

/* Fills in what the records say about a card: counts, hits, timeline. */
void result_fill(struct round_result *result, const struct card *card, const struct records *records);

/* ---------------------------------------------------------------------------------------- hunt_judge.c */

struct totals;

/* Finds out how the round is broken. baseline: NULL during the baseline itself. */
void judge(struct round_result *result, const struct hunt_options *options, const struct baseline *baseline,
    const struct card *card, const struct ending *ending, const struct records *records,
    const struct totals *totals);

/* Fills in the stack of a crash. Call after symbols_add(). */
void judge_name_crash(struct round_result *result, const struct records *records);

bool broke_is_same(const struct broke *a, const struct broke *b);

/* The sentence for a break, which the caller frees: "ended with status 1". */
char *broke_text(const struct broke *broke, double limit);

/* ---------------------------------------------------------------------------------------- hunt_round.c */

/* The hunt. One at a time. */
struct hunt {
    struct hunt_options options;
    struct config config;
    struct libcryptos libcryptos;
    struct sources sources;
    struct baseline baseline;
    char *directory; /* of rounds and reports; absolute */
    struct slot *slots;
    unsigned running;
    unsigned runs;   /* begun so far, those of baseline and shrinking included */
    unsigned rounds; /* of the plan, begun so far */
    bool interrupted;
    double began;
};

/* A round that has ended. */
struct finished {
    unsigned round; /* its number in the plan, from 1 on; 0: it is not of the plan */
    void *arg;      /* as given */
    struct card card;
    struct round_result result;
    char *directory; /* its files, if it was broken; NULL if they are removed. The caller's. */
};

/* Makes room for so many rounds side by side, and waits for signals from now on. */
void rounds_init(struct hunt *hunt);

enum round_kind {
    ROUND_QUIET, /* of the baseline: not compared with it */
    ROUND_PLANNED,
    ROUND_REPEATED /* without the stacks of threads, which take long */
};

/* Begins a round. There must be a free slot (hunt->running < options.jobs). */
void round_begin(struct hunt *hunt, const struct card *card, enum round_kind kind, void *arg);

/* Waits until a round has ended, a signal asks the hunt to end (*interrupted), or a time has passed. True: a
 * round has ended; the caller frees finished->directory. */
bool round_wait(struct hunt *hunt, struct finished *finished, double seconds);

/* Ends all rounds that run, and waits for that. */
void rounds_stop(struct hunt *hunt);

/* Runs one round to its end. False: the hunt was interrupted. */
bool round_run(struct hunt *hunt, const struct card *card, enum round_kind kind, struct finished *finished);

/* Makes a directory `to`, which it takes, with the same evidence, and returns it. NULL: it cannot be made, or
 * `from` is NULL. */
char *evidence_copy(const char *from, char *to);

/* Removes that directory, and frees its name. NULL is allowed. */
void evidence_remove(char *directory);

/* Removes the files of a round. */
void finished_free(struct finished *finished);

/* ----------------------------------------------------------------------------------------- hunt_plan.c */

#define RUNGS_MAX 32u

/* What is tried, alone and in pairs. */
struct plan {
    unsigned tried[RUNGS_MAX], broke[RUNGS_MAX]; /* rounds with this rung, and how many were broken */
    unsigned pairs[RUNGS_MAX][RUNGS_MAX];
    uint32_t without;
    unsigned short random[3]; /* of nrand48(3) */
};

unsigned plan_rungs(void);
const char *plan_rung_text(unsigned rung);

/* without: a bit for each fault that is left out. */
void plan_init(struct plan *plan, uint64_t seed, uint32_t without);

/* The next card; *rungs gets a bit for each rung that it stands on. */
void plan_next(struct plan *plan, const struct baseline *baseline, struct card *card, uint32_t *rungs);

/* How that ended. */
void plan_learn(struct plan *plan, uint32_t rungs, bool was_broken);

/* How many pairs were tried, of how many. */
void plan_progress(const struct plan *plan, unsigned *tried, unsigned *all);

/* --------------------------------------------------------------------------------------- hunt_shrink.c */

/* A failure, different from all others. */
struct failure {
    struct broke broke;
    struct card card;           /* as it was seen first, then shrunk */
    unsigned seen;              /* in how many rounds of the plan */
    unsigned first_round;       /* of the plan; 0: a run on the quiet card */
    bool is_quiet;              /* a quiet card shows it, too */
    bool is_pinned;             /* no rule is left to chance */
    bool is_cut;                /* shrinking ended before all was tried */
    unsigned failed, repeats;   /* how often it came when it was repeated at last */
    unsigned runs;              /* that shrinking took */
    bool is_shrunk;             /* there is nothing more to try */
    char *directory;            /* evidence */
    struct round_result result; /* of that run */
};

/* Shrinks the first of these failures, and all that come with it. */
void shrink(struct hunt *hunt, struct failure *failures, unsigned count);

/* --------------------------------------------------------------------------------------- hunt_report.c */

struct hunted {
    const struct hunt *hunt;
    const struct plan *plan;
    struct failure *failures;
    unsigned count;
    unsigned rounds, troubles; /* of the plan */
    double seconds;
    uint64_t injected[ERSATZ_FAULTS];
    uint64_t struck[ERSATZ_FAULTS][ERSATZ_REQUEST_NAMES];
    uint64_t requests[ERSATZ_REQUEST_NAMES];
};

void hunt_report_text(const struct hunted *hunted, FILE *stream);
void hunt_report_json(const struct hunted *hunted, FILE *stream);
void hunt_report_junit(const struct hunted *hunted, FILE *stream);
void hunt_report_html(const struct hunted *hunted, FILE *stream); /* hunt_html.c */

/* What shrinking has left open, in words without a full stop; NULL: nothing. */
const char *failure_shrinking(const struct failure *failure);

/* The line to type that repeats a round with the card of the failure, and judges it; the caller frees it.
 * hunt_card.c */
char *failure_line(const struct failure *failure, const struct hunt *hunt);

/* Writes a text for HTML or XML. */
void hunt_write_escaped(const char *text, FILE *stream);

/* ---------------------------------------------------------------------------------------------- hunt.c */

/* ersatz-run hunt. Returns the exit status. */
int hunt_main(int argc, char **argv);

#endif
