/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the check, shared by the files that record facts and by check_watcher.c, which judges time. */
#ifndef ERSATZ_SIM_WATCH_CHECK_STATE_H
#define ERSATZ_SIM_WATCH_CHECK_STATE_H

#include <pthread.h>

#include "ersatz/undisturbed.h"

#include "base/clock.h"
#include "base/state.h"
#include "check.h"
#include "thread_state.h"

#define LOOK_NS (20 * NS_PER_MS) /* the watcher looks this often */
/* A look counts for no longer than this: the watcher itself had no core. */
#define STEP_MAX_NS (2 * LOOK_NS)

/* A request that is not finished. */
struct check_entry {
    struct check_entry *next, **link; /* in the list of open entries; a spare one has only next */
    struct watched *request;
    uint64_t number; /* of the entry; each is used once */
    uint64_t at_ns;  /* when it was submitted, since the findings' beginning */
    uint32_t operation, bytes;
    pid_t thread; /* which submitted it */
    struct callers submitted;

    bool refused;               /* by a full ring, and not resumed since; */
    struct watched_slots slots; /* the slots of that ring, */
    uint64_t refused_number;    /* and the request's number then */

    uint32_t early;                  /* how often its job was resumed without a signal, */
    uint64_t early_ns, early_cpu_ns; /* the time that passed meanwhile, the processor time that it took, */
    pid_t poller;                    /* and the thread that resumed it last */
    bool polls;                      /* counted as busy polling */
    struct ersatz_sighting *polling; /* the sighting of that; NULL: none was kept */
    uint64_t left_at_ns;             /* when its job went into its latest pause */
    uint64_t shortest_pause_ns;

    /* A job that could go on, because it was signalled or because there is room, is left alone until it is
     * resumed. On the check's clock. */
    uint64_t alone_ns;      /* for how long it has been left alone */
    uint64_t look_at_ns;    /* when that is as long, look at what its thread does */
    unsigned looks;         /* at how many looks it was alone */
    uint64_t held_ns;       /* for how long the card has held its thread in calls since the last look, */
    uint64_t held_since_ns; /* since when it does so now; 0: it does not, */
    uint64_t left_out_ns;   /* and how much looks have left out of alone_ns because of that */
    uint64_t waited_ns;     /* how long its thread had waited for a core by the second of them */
    /* how long its thread had had a core when it was seen to have or want one; 0: not seen */
    uint64_t ran_ns;

    bool moved; /* reported as resumed by another thread, or submitted in a callback, which is reported too */

    bool overdue;                 /* counted in findings.unanswered */
    bool reported;                /* with a more specific finding: */
    enum ersatz_finding finding;  /* this one */
    struct ersatz_sighting *live; /* of an overdue one: withdrawn when its job is resumed */
};

struct check {
    uint64_t pause_ns; /* see struct ersatz_config */
    struct ersatz_findings *findings;

    /* For all below. Held for moments only: never while names are looked up or /proc is read. */
    struct ersatz_lock lock; /* the watcher, whose thread gets no signals, takes its mutex */
    struct check_entry *open, *spare;
    unsigned entries;
    uint64_t last_number, last_callback;
    struct check_callback *callbacks;
    bool settled;
    uint64_t looked_ns, late_looks; /* when the watcher looked last; how often it came too late */

    pthread_t watcher;
    pthread_cond_t wake; /* wakes the watcher: there is an entry or a callback again, or it is to stop */
    bool asleep;         /* the watcher waits for that */
    bool stopping;
};

/* What is to be reported, copied so that the lock need not be held. */
struct check_report {
    enum ersatz_finding finding;
    uint64_t number, at_ns;
    uint32_t operation, bytes;
    pid_t thread;
    struct callers submitted, happened;
    char note[sizeof(((struct ersatz_sighting *)NULL)->note)];
};

/* How many bytes the operation works on, for reports. */
uint32_t check_size_of(const struct ersatz_op *op);

/* A pause that returns faster than pause_ns did not pause (ASYNC_block_pause is in force); then none of the
 * operation's pauses did, and nobody has resumed its job. Under the lock. */
static inline bool entry_has_paused(const struct check *check, const struct check_entry *entry)
{
    return entry->shortest_pause_ns > check->pause_ns;
}

static inline void entry_note_pause(struct check_entry *entry, uint64_t away_ns)
{
    if (away_ns < entry->shortest_pause_ns)
        entry->shortest_pause_ns = away_ns;
}

/* For how long the card has held the entry's thread in calls since this was last called. Under the lock. */
uint64_t entry_take_held(struct check_entry *entry);

/* Fill a report about an entry, without a note, and with the callers of its submission only. Under the
 * lock. */
void report_fill(struct check_report *report, const struct check_entry *entry, enum ersatz_finding finding);

void report_fill_callback(
    struct check_report *report, const struct check_callback *callback, enum ersatz_finding finding);

/* Whether to report that finding. A callback that waits for the engine is reported as calling back into it,
 * and not as blocked. Under the lock. */
bool callback_may_be_reported(const struct check_callback *callback, enum ersatz_finding finding);

/* Fill a sighting: look the names up. Not under the lock. */
void sighting_symbolize(const struct check_report *report, struct ersatz_sighting *sighting);

/* Keep the sighting if there is room. NULL: there is none. Under the lock. */
struct ersatz_sighting *sighting_publish(
    struct check *check, enum ersatz_finding finding, const struct ersatz_sighting *sighting);

/* Give a sighting that is kept another note. NULL is allowed. Under the lock. */
void sighting_amend(struct ersatz_sighting *sighting, const char *note);

/* Look the names up and publish the sighting, if there is room. NULL: there is none. Not under the lock. */
struct ersatz_sighting *sighting_keep(struct check *check, const struct check_report *report);

/* Count a finding; ns: a time that belongs to it, of which the longest is kept. Under the lock or not. */
void finding_count(struct check *check, enum ersatz_finding finding, uint64_t ns);

/* Count a finding, and keep its sighting if there is room. NULL: there is none. Not under the lock. */
struct ersatz_sighting *finding_report(struct check *check, const struct check_report *report, uint64_t ns);

/* The thread of the watcher. */
bool check_watcher_start(struct check *check);
void check_watcher_stop(struct check *check);

#endif
