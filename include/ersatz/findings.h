/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an application was found to do wrong. The structure is plain data of fixed size: it may lie in shared
 * memory and be read by another process, while the program runs or after it was killed. Nobody who reads it
 * takes a lock: what is not published yet is passed over.
 */
#ifndef ERSATZ_FINDINGS_H
#define ERSATZ_FINDINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Each has a section of its own in docs/findings.md, under its name. */
enum ersatz_finding {
    ERSATZ_FOUND_NEVER_RESUMED,       /* told that it may go on, and given up */
    ERSATZ_FOUND_FREED_IN_FLIGHT,     /* its wait context was freed while the card worked */
    ERSATZ_FOUND_CONTEXT_REUSED,      /* its wait context was given to another job while the card worked */
    ERSATZ_FOUND_BUSY_POLLING,        /* resumed over and over without a signal */
    ERSATZ_FOUND_LATE_ANSWER,         /* resumed long after it was told */
    ERSATZ_FOUND_LONG_CALLBACK,       /* a callback computed for long, on the device's thread */
    ERSATZ_FOUND_BLOCKED_CALLBACK,    /* a callback slept, on the device's thread */
    ERSATZ_FOUND_CALLBACK_REENTERS,   /* a callback called back into the engine, on the device's thread */
    ERSATZ_FOUND_EAGAIN_IGNORED,      /* refused by a full ring, and not resumed when there was room */
    ERSATZ_FOUND_DESCRIPTOR_EXPECTED, /* told by callback, while its thread waits on descriptors */
    ERSATZ_FOUND_LOCK_HELD,           /* paused with a lock held that others, or its own thread, wait for */
    ERSATZ_FOUND_FORK_IN_FLIGHT,      /* the process forked while the card worked */
    ERSATZ_FINDINGS
};

/* What is not a mistake yet. Set before a device is opened with the findings; constant from then on. */
struct ersatz_check_limits {
    uint32_t answer_ms;   /* so long a job may be left alone after it was told */
    uint32_t callback_ms; /* so long a callback may compute, or sleep */
    uint32_t early;       /* so often an operation may be resumed without a signal */
};

/* What could not be looked at. */
#define ERSATZ_BLIND_THREADS 1u /* what threads wait in: /proc/self/task/TID/syscall */
#define ERSATZ_BLIND_LOCKS 2u   /* who owns a lock: process_vm_readv(2) */
#define ERSATZ_BLIND_MEMORY 4u  /* some operations were not watched, for want of memory */

#define ERSATZ_SIGHTINGS_KEPT 4u  /* of each finding: the first ones */
#define ERSATZ_CALLERS_TEXT 2048u /* a line each: module, offset, symbol */

/* One occasion on which a finding was made. */
struct ersatz_sighting {
    /* Whether the rest may be read: release by the process it tells of, acquire by a reader. One of a job
     * that may still be resumed is withdrawn when it is. */
    _Atomic uint32_t kept;
    int32_t thread; /* which submitted the operation, or did what is spoken of */
    char thread_name[16];
    uint64_t
        at_ns; /* when it was submitted, since the findings' beginning; or when what is spoken of was done */
    uint64_t request;   /* its number in the order of submission; 0: not about a single one */
    uint32_t operation; /* enum ersatz_request_name */
    uint32_t bytes;     /* of its input */
    char note[160];     /* what was seen, in words */
    char submitted[ERSATZ_CALLERS_TEXT]; /* who submitted it; empty: not known */
    char happened[ERSATZ_CALLERS_TEXT];  /* who did what is spoken of; empty: nobody in particular */
};

struct ersatz_found {
    /* Relaxed, all of them: a reader may see one ahead of another. */
    _Atomic uint64_t count; /* how many operations, callbacks, forks */
    _Atomic uint64_t times; /* BUSY_POLLING: how many resumptions; FORK_IN_FLIGHT: how many operations */
    _Atomic uint64_t ns;    /* BUSY_POLLING: processor time; the other ones with a time: the longest */
    /* BUSY_POLLING: from submission to the last resumption for nothing, of all operations together. */
    _Atomic uint64_t lasted_ns;
    struct ersatz_sighting first[ERSATZ_SIGHTINGS_KEPT];
};

/*
 * Callbacks that run at this moment. Where the process is no more, they ran when it ended: an application
 * that has freed what its callback works on commonly dies there.
 */
#define ERSATZ_CALLBACKS_SEEN 64u /* at once; those beyond are not seen */
#define ERSATZ_CALLBACK_NAMES 8u  /* functions; others have no name */
#define ERSATZ_CALLBACK_TEXT 256u

struct ersatz_running_callback {
    _Atomic uint32_t taken; /* 0 or 1: acquire and release, by the thread that runs it */
    _Atomic uint32_t runs;  /* whether the rest may be read: release, and acquire by a reader */
    int32_t thread;
    bool is_applications;      /* the thread: it polls. Else it is the card's. */
    uint32_t operation, bytes; /* as in a sighting, */
    uint64_t request, at_ns;   /* these too */
    uint64_t began_ns;         /* the callback, since the findings' beginning */
    uint64_t function;         /* its address */
};

struct ersatz_callback_name {
    _Atomic uint64_t function;       /* 0: none. Release after the text. */
    char text[ERSATZ_CALLBACK_TEXT]; /* as a line of a sighting's callers; empty: not known */
};

/* A zeroed structure is one that nobody uses. */
struct ersatz_findings {
    _Atomic uint64_t began_ns; /* CLOCK_MONOTONIC; 0: not in use. Release, after all that is constant. */
    struct ersatz_check_limits limits;
    _Atomic uint32_t blind;   /* ERSATZ_BLIND_...: what could not be looked at; relaxed */
    _Atomic uint64_t watched; /* operations; relaxed */
    /* Jobs that were told and have been left alone for longer than the limit, as of the last look, which is
     * never long ago. They count as never resumed, until they are. Relaxed. */
    _Atomic uint64_t unanswered;
    struct ersatz_found of[ERSATZ_FINDINGS];
    struct ersatz_running_callback running[ERSATZ_CALLBACKS_SEEN];
    struct ersatz_callback_name callbacks[ERSATZ_CALLBACK_NAMES];
};

/* 500 ms, 10 ms, 10 times. */
void ersatz_check_limits_init(struct ersatz_check_limits *limits);

/* Begin: forget what was found. Not while a device uses it. */
void ersatz_findings_init(struct ersatz_findings *findings, const struct ersatz_check_limits *limits);

/* "never_resumed", ... */
const char *ersatz_finding_name(enum ersatz_finding finding);

/* One line about a finding, for lists. */
const char *ersatz_finding_description(enum ersatz_finding finding);

/* How often it was found, up to now. */
uint64_t ersatz_findings_count(const struct ersatz_findings *findings, enum ersatz_finding finding);

/* How often anything was found. */
uint64_t ersatz_findings_total(const struct ersatz_findings *findings);

/* How many callbacks run, or ran when the process ended. */
unsigned ersatz_findings_running(const struct ersatz_findings *findings);

/* For people: a line for each of them, and what was found about its request before. */
bool ersatz_findings_write_running(const struct ersatz_findings *findings, FILE *stream);

/* One JSON array of objects. */
bool ersatz_findings_write_running_json(const struct ersatz_findings *findings, FILE *stream);

/* For people: nothing at all where nothing was found. False: the stream reported an error. */
bool ersatz_findings_write(const struct ersatz_findings *findings, FILE *stream);

/* One JSON object, without a newline: {"watched": N, "counts": {"never_resumed": N, ...}, "not_seen": [...],
 * "sightings": [...]}. False: the stream reported an error. */
bool ersatz_findings_write_json(const struct ersatz_findings *findings, FILE *stream);

#endif
