/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace: what became of the newest requests, and when. A ring of fixed size in memory that may be shared
 * with other processes, so that it can be read when the process that filled it is gone; written out as Chrome
 * trace-event JSON for Perfetto (ui.perfetto.dev) or chrome://tracing.
 */
#ifndef ERSATZ_TRACE_H
#define ERSATZ_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The points of a request's life, in the order in which they come. */
enum ersatz_point {
    ERSATZ_POINT_CREATED,   /* the operation became a request */
    ERSATZ_POINT_SUBMITTED, /* an instance was asked to take it, for the last time */
    ERSATZ_POINT_STARTED,   /* a worker took it up, with the others of its batch */
    ERSATZ_POINT_COMPUTED,  /* its result is stored */
    ERSATZ_POINT_SIGNALLED, /* its signal is about to be posted, or its callback to run */
    ERSATZ_POINT_RESUMED,   /* its submitter has seen that it is done */
    ERSATZ_POINT_RETURNED,  /* its results are copied out */
    ERSATZ_POINTS
};

enum ersatz_told_by { ERSATZ_TOLD_BY_FD, ERSATZ_TOLD_BY_CALLBACK, ERSATZ_TOLD_BY_WAITING };

/* One request. Two cache lines. */
struct ersatz_trace_entry {
    /* Twice the request's place in the trace, counted from 1; plus 1 while somebody has the entry to write or
     * copy it. 0: never used. Acquire by whoever sets that bit, release by whoever clears it. */
    _Alignas(128) _Atomic uint64_t turn;
    uint64_t number;            /* in the order of submission on its device, from 1 */
    uint64_t at[ERSATZ_POINTS]; /* nanoseconds of CLOCK_MONOTONIC; 0: did not happen */
    int32_t submitter;          /* the thread that submitted it */
    int32_t returner;           /* the thread that its results were returned on; 0: none */
    uint32_t bytes;             /* of text; for RSA, of the modulus */
    uint16_t instance;
    uint16_t worker;
    uint16_t batch;  /* how many its worker took up together */
    uint8_t op;      /* enum ersatz_request_name */
    uint8_t result;  /* enum ersatz_result; means something once ended is set */
    uint8_t told_by; /* enum ersatz_told_by */
    bool ended;      /* nobody has the request any more; until then the points after SUBMITTED are 0 */
    bool orphan;     /* its job did not come back for it */
};

#define ERSATZ_TRACE_ENTRIES 8192u /* 1 MiB; written out, some 20 MB */

/* Zeroed, it is ready for use. */
struct ersatz_trace {
    _Alignas(128) _Atomic uint64_t begun; /* requests that were given a place; relaxed */
    _Atomic uint64_t
        late; /* of these: how they ended is not known, the place had been given to a newer one */
    struct ersatz_trace_entry entries[ERSATZ_TRACE_ENTRIES];
};

/* A process whose trace is to be written. */
struct ersatz_traced {
    long pid;
    const char *program;
    struct ersatz_trace *trace;
};

/* Write the traces of these processes as one Chrome trace-event JSON object. Requests may go on meanwhile.
 * False: the stream reported an error, or there is no memory; errno says which. */
bool ersatz_trace_write(const struct ersatz_traced *processes, unsigned count, FILE *stream);

#endif
