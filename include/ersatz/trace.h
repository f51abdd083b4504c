/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace: the timestamps of the newest requests. A ring of fixed size in memory that may be shared with
 * other processes, so that it can be read after the process that filled it has ended. It is written out as
 * Chrome trace-event JSON for Perfetto (ui.perfetto.dev) or chrome://tracing.
 */
#ifndef ERSATZ_TRACE_H
#define ERSATZ_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The points in a request's life, in order. */
enum ersatz_point {
    ERSATZ_POINT_CREATED,   /* the operation became a request */
    ERSATZ_POINT_SUBMITTED, /* it was submitted to an instance, for the last time */
    ERSATZ_POINT_STARTED,   /* a worker took it, with the others of its batch */
    ERSATZ_POINT_COMPUTED,  /* its result is stored */
    ERSATZ_POINT_SIGNALLED, /* its signal is about to be posted, or its callback to run */
    ERSATZ_POINT_RESUMED,   /* the submitter has seen that it is done */
    ERSATZ_POINT_RETURNED,  /* its results are copied out */
    ERSATZ_POINTS
};

enum ersatz_told_by { ERSATZ_TOLD_BY_FD, ERSATZ_TOLD_BY_CALLBACK, ERSATZ_TOLD_BY_WAITING };

/* One request. Two cache lines. */
struct ersatz_trace_entry {
    /* Twice the request's place in the trace, counted from 1; plus 1 while a thread writes or copies the
     * entry. 0: never used. Acquire when the bit is set, release when it is cleared. */
    _Alignas(128) _Atomic uint64_t turn;
    uint64_t number;            /* in the order of submission on its device, from 1 */
    uint64_t at[ERSATZ_POINTS]; /* nanoseconds of CLOCK_MONOTONIC; 0: did not happen */
    int32_t submitter;          /* the thread that submitted it */
    int32_t returner;           /* the thread on which its results were returned; 0: none */
    uint32_t bytes;             /* length of the text; for RSA, of the modulus */
    uint16_t instance;
    uint16_t worker;
    uint16_t batch;  /* how many requests its worker took together */
    uint8_t op;      /* enum ersatz_request_name */
    uint8_t result;  /* enum ersatz_result; valid once ended is set */
    uint8_t told_by; /* enum ersatz_told_by */
    bool ended;      /* the last reference was dropped; before that, the points after SUBMITTED are 0 */
    bool orphan;     /* its job was not resumed for it */
};

#define ERSATZ_TRACE_ENTRIES 8192u /* 1 MiB; about 20 MB as JSON */

/* A zeroed structure is ready for use. */
struct ersatz_trace {
    _Alignas(128) _Atomic uint64_t begun; /* requests that were given an entry; relaxed */
    _Atomic uint64_t late; /* how many of these ended after their entry had been given to a newer one */
    struct ersatz_trace_entry entries[ERSATZ_TRACE_ENTRIES];
};

/* A process, and its trace to be written. */
struct ersatz_traced {
    long pid;
    const char *program;
    struct ersatz_trace *trace;
};

/* Writes the traces of these processes as one Chrome trace-event JSON object. Requests may continue
 * meanwhile. False: the stream reported an error, or there is no memory; errno says which. */
bool ersatz_trace_write(const struct ersatz_traced *processes, unsigned count, FILE *stream);

#endif
