/* SPDX-License-Identifier: Apache-2.0 */
/* What the check keeps, for its own two files: check.c writes down what happens, check_watcher.c looks at
 * time. */
#ifndef ERSATZ_SIM_WATCH_CHECK_STATE_H
#define ERSATZ_SIM_WATCH_CHECK_STATE_H

#include <pthread.h>

#include "base/clock.h"
#include "base/state.h"
#include "check.h"
#include "thread_state.h"

#define LOOK_NS (20 * NS_PER_MS)  /* the watching thread looks so often */
#define STEP_MAX_NS (2 * LOOK_NS) /* a look that comes later than that says nothing about the application */

/* A request that is not finished. */
struct check_entry {
    struct check_entry *next, **link; /* of all that are open, or of the spare ones (next only) */
    struct watched *request;
    uint64_t number; /* of the entry, never used again */
    uint64_t at_ns;
    uint32_t operation, bytes;
    pid_t thread; /* which submitted it */
    struct callers submitted;

    bool refused;               /* by a full ring, and not resumed yet: */
    struct watched_slots slots; /* of this one */
    uint64_t refused_number;
    uint32_t early;                  /* resumed so often without a signal, */
    uint64_t early_ns, early_cpu_ns; /* in so much time, and processor time; */
    pid_t poller;                    /* last by this thread */
    bool polls;                      /* known for it */
    struct ersatz_sighting *polling; /* of that; NULL: none was kept */
    uint64_t left_at_ns, shortest_pause_ns;

    /* On the check's clock. */
    uint64_t alone_ns;   /* so long it has been told, or room has been there, and nobody came */
    uint64_t look_at_ns; /* alone for so long: look what its thread does */
    unsigned looks;      /* at which it was alone */
    uint64_t waited_ns;  /* for a core, by its thread, up to the first of them */

    bool overdue;                 /* counted as unanswered */
    bool reported;                /* as something more particular: */
    enum ersatz_finding finding;  /* this */
    struct ersatz_sighting *live; /* of an overdue one: withdrawn when it is answered */
};

struct check {
    uint64_t pause_ns; /* see struct ersatz_config */
    struct ersatz_findings *findings;

    /* Taken for moments: never while names are looked up or /proc is read. All below. */
    pthread_mutex_t lock;
    struct check_entry *open, *spare;
    unsigned entries;
    uint64_t last_number, last_callback;
    struct check_callback *callbacks;
    bool settled;
    uint64_t looked_ns, late_looks; /* when the watching thread looked last; how often it came too late */

    pthread_t watcher;
    pthread_cond_t wake; /* the watcher: something is open again, or it is to stop */
    bool asleep;         /* it waits for that */
    bool stopping;
};

/* What is to be told of, copied so that the lock need not be held. */
struct check_report {
    enum ersatz_finding finding;
    uint64_t number, at_ns;
    uint32_t operation, bytes;
    pid_t thread;
    struct callers submitted, happened;
    char note[sizeof(((struct ersatz_sighting *)NULL)->note)];
};

/* Under the lock: about an entry, with nobody's callers but the submitter's. */
void report_fill(struct check_report *report, const struct check_entry *entry, enum ersatz_finding finding);

void report_fill_callback(
    struct check_report *report, const struct check_callback *callback, enum ersatz_finding finding);

/* Under the lock: whether it may be called that. One that waits for the engine is told of as such, and not as
 * blocked. */
bool callback_may_be_reported(const struct check_callback *callback, enum ersatz_finding finding);

/* Not under the lock: look names up. */
void sighting_symbolize(const struct check_report *report, struct ersatz_sighting *sighting);

/* Under the lock: keep the sighting if there is room. NULL: there is none. */
struct ersatz_sighting *sighting_publish(
    struct check *check, enum ersatz_finding finding, const struct ersatz_sighting *sighting);

/* Under the lock: what was kept turned out to be more than could be said then. NULL is allowed. */
void sighting_amend(struct ersatz_sighting *sighting, const char *note);

/* Count a finding (under the lock or not), and take a time that was found for the longest if it is. */
void finding_count(struct check *check, enum ersatz_finding finding, uint64_t ns);

/* Name it, count it, keep it. Not under the lock. NULL: there was no room to keep it. */
struct ersatz_sighting *finding_report(struct check *check, const struct check_report *report, uint64_t ns);

/* The watching thread. */
bool check_watcher_start(struct check *check);
void check_watcher_stop(struct check *check);

#endif
