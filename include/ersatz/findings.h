/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mistakes of an application that the check has found. The structure is plain data of fixed size: it may
 * lie in shared memory, and another process may read it while the program runs or after it was killed.
 * Readers take no lock, and skip entries that are not published yet.
 */
#ifndef ERSATZ_FINDINGS_H
#define ERSATZ_FINDINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Kinds of mistake; docs/findings.md has a section on each. */
enum ersatz_finding {
    ERSATZ_FOUND_NEVER_RESUMED,       /* signalled and never resumed */
    ERSATZ_FOUND_FREED_IN_FLIGHT,     /* its wait context was freed while the card worked */
    ERSATZ_FOUND_CONTEXT_REUSED,      /* its wait context was given to another job while the card worked */
    ERSATZ_FOUND_BUSY_POLLING,        /* resumed again and again before the signal */
    ERSATZ_FOUND_LATE_ANSWER,         /* resumed long after the signal */
    ERSATZ_FOUND_LONG_CALLBACK,       /* a callback computed for a long time, on the device's thread */
    ERSATZ_FOUND_BLOCKED_CALLBACK,    /* a callback slept, on the device's thread */
    ERSATZ_FOUND_CALLBACK_REENTERS,   /* a callback used the engine, on the device's thread */
    ERSATZ_FOUND_EAGAIN_IGNORED,      /* refused by a full ring, and not resumed when there was room */
    ERSATZ_FOUND_DESCRIPTOR_EXPECTED, /* signalled by callback, while its thread waits on descriptors */
    ERSATZ_FOUND_LOCK_HELD,           /* paused while holding a lock that a thread waits for */
    ERSATZ_FOUND_FORK_IN_FLIGHT,      /* the process forked while the card worked */
    ERSATZ_FOUND_BUFFER_TOUCHED,      /* MEMORY:direct: its text was changed while it was in flight */
    ERSATZ_FOUND_WRONG_THREAD,        /* resumed by another thread than the one that it was paused on */
    ERSATZ_FINDINGS
};

/* Limits beyond which the check reports a mistake. Set before a device is opened with the findings; then
 * constant. */
struct ersatz_check_limits {
    uint32_t answer_ms;   /* milliseconds for which a signalled job may stay unresumed */
    uint32_t callback_ms; /* milliseconds for which a callback may compute or sleep */
    uint32_t early;       /* how often an operation may be resumed before its signal */
};

/* What the check could not see, as a mask. */
#define ERSATZ_BLIND_THREADS 1u /* the system calls in which threads wait: /proc/self/task/TID/syscall */
#define ERSATZ_BLIND_LOCKS 2u   /* the owners of locks: process_vm_readv(2) */
#define ERSATZ_BLIND_MEMORY 4u  /* some operations, for which there was no memory */

#define ERSATZ_SIGHTINGS_KEPT 4u  /* the first ones of each finding */
#define ERSATZ_CALLERS_TEXT 2048u /* one line per caller: module, offset, symbol */

/* One case of a finding. */
struct ersatz_sighting {
    /* 1 if the rest may be read: set with release by the watched process, read with acquire. The sighting of
     * a job that may still be resumed is withdrawn (0) when the job is resumed. */
    _Atomic uint32_t kept;
    int32_t thread; /* that submitted the operation, or that made the mistake */
    char thread_name[16];
    uint64_t at_ns;     /* of the submission, or of the mistake, since began_ns of the findings */
    uint64_t request;   /* its number in the order of submission; 0: not about one request */
    uint32_t operation; /* enum ersatz_request_name */
    uint32_t bytes;     /* length of its text or of its modulus */
    char note[160];     /* a description */
    char submitted[ERSATZ_CALLERS_TEXT]; /* callers of the submission; empty: not known */
    char happened[ERSATZ_CALLERS_TEXT];  /* callers of the mistake; empty: not known */
};

struct ersatz_found {
    /* All relaxed: a reader may see one updated before another. */
    _Atomic uint64_t count; /* of operations, callbacks or forks */
    _Atomic uint64_t times; /* BUSY_POLLING: early resumptions; FORK_IN_FLIGHT: operations */
    _Atomic uint64_t ns;    /* BUSY_POLLING: processor time; others that have a time: the longest */
    /* BUSY_POLLING: from submission to the last early resumption, added up over all operations. */
    _Atomic uint64_t lasted_ns;
    struct ersatz_sighting first[ERSATZ_SIGHTINGS_KEPT];
};

/*
 * Callbacks that run at this moment. If the process has ended, these ran when it ended: an application that
 * frees an object which its callback uses usually crashes there.
 */
#define ERSATZ_CALLBACKS_SEEN 64u /* at a time; further ones are not listed */
#define ERSATZ_CALLBACK_NAMES 8u  /* functions whose names are kept */
#define ERSATZ_CALLBACK_TEXT 256u

struct ersatz_running_callback {
    _Atomic uint32_t taken; /* 0 or 1: acquire and release, by the thread that runs the callback */
    _Atomic uint32_t runs;  /* 1 if the rest may be read: set with release, read with acquire */
    int32_t thread;
    bool is_applications;      /* true: a thread of the application, which polls; false: the card's */
    uint32_t operation, bytes; /* as in a sighting */
    uint64_t request, at_ns;   /* as in a sighting */
    uint64_t began_ns;         /* when the callback began, since began_ns of the findings */
    uint64_t function;         /* address of the callback function */
};

struct ersatz_callback_name {
    _Atomic uint64_t function;       /* 0: unused. Set with release after the text. */
    char text[ERSATZ_CALLBACK_TEXT]; /* like a line of a sighting's callers; empty: not known */
};

/* A zeroed structure is not in use. */
struct ersatz_findings {
    /* CLOCK_MONOTONIC; 0: not in use. Set with release after the constant fields. */
    _Atomic uint64_t began_ns;
    struct ersatz_check_limits limits;
    _Atomic uint32_t blind;   /* a mask of ERSATZ_BLIND_...; relaxed */
    _Atomic uint64_t watched; /* operations that were watched; relaxed */
    /* Jobs that were signalled and not resumed for longer than the limit, at the last look of the watching
     * thread (every 20 ms). They count as never resumed until they are resumed. Relaxed. */
    _Atomic uint64_t unanswered;
    struct ersatz_found of[ERSATZ_FINDINGS];
    struct ersatz_running_callback running[ERSATZ_CALLBACKS_SEEN];
    struct ersatz_callback_name callbacks[ERSATZ_CALLBACK_NAMES];
};

/* The defaults: 500 ms, 10 ms, 10 times. */
void ersatz_check_limits_init(struct ersatz_check_limits *limits);

/* Clears the findings and begins. Not while a device uses them. */
void ersatz_findings_init(struct ersatz_findings *findings, const struct ersatz_check_limits *limits);

/* "never_resumed", ... */
const char *ersatz_finding_name(enum ersatz_finding finding);

/* A description of the finding in one line. */
const char *ersatz_finding_description(enum ersatz_finding finding);

/* How often the finding was made up to now. */
uint64_t ersatz_findings_count(const struct ersatz_findings *findings, enum ersatz_finding finding);

/* The sum over all findings. */
uint64_t ersatz_findings_total(const struct ersatz_findings *findings);

/* The number of callbacks that run, or ran when the process ended. */
unsigned ersatz_findings_running(const struct ersatz_findings *findings);

/* Writes a line of text for each of these callbacks. False: the stream reported an error. */
bool ersatz_findings_write_running(const struct ersatz_findings *findings, FILE *stream);

/* Writes these callbacks as a JSON array of objects. False: the stream reported an error. */
bool ersatz_findings_write_running_json(const struct ersatz_findings *findings, FILE *stream);

/* Writes the report as text; nothing at all if nothing was found. False: the stream reported an error. */
bool ersatz_findings_write(const struct ersatz_findings *findings, FILE *stream);

/* Writes one JSON object without a newline: {"watched": N, "counts": {"never_resumed": N, ...}, "not_seen":
 * [...], "sightings": [...]}. False: the stream reported an error. */
bool ersatz_findings_write_json(const struct ersatz_findings *findings, FILE *stream);

#endif
