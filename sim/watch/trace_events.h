/* SPDX-License-Identifier: Apache-2.0 */
/* The events of one process's trace: what trace_json.c writes, in the terms of its format. */
#ifndef ERSATZ_SIM_WATCH_TRACE_EVENTS_H
#define ERSATZ_SIM_WATCH_TRACE_EVENTS_H

#include "ersatz/trace.h"

#include <stddef.h>

/* The row of worker 0. The trace has no thread numbers of workers, so their rows are above all that Linux
 * gives. */
#define WORKER_ROW 10000000

enum trace_event_kind {
    BATCH,
    SUBMIT,
    RETURN,
    ARROW_LEAVES,
    ARROW_ARRIVES,
    REQUEST_BEGINS,
    REQUEST_ENDS,
    STAGE_BEGINS,
    STAGE_ENDS,
    IN_FLIGHT,
};

struct trace_event {
    uint64_t at, duration; /* nanoseconds */
    uint64_t order;        /* the order in which events were put in: for those at the same time */
    uint32_t request;      /* its index among the process's requests; of a batch, the first one's */
    int32_t row;           /* thread or worker */
    int32_t value;         /* BATCH: how many of it are in the trace; STAGE: enum ersatz_point it begins with;
                              ARROW: which of the two; IN_FLIGHT: how much it changes */
    enum trace_event_kind kind;
};

/* One process's requests, and their events. */
struct trace_events {
    struct ersatz_trace_entry *requests; /* copies */
    uint32_t request_count;
    struct trace_event *all;
    size_t count, room;
    bool failed; /* out of memory */
};

/* Room for the requests of a trace. The caller ends it with trace_events_free(). */
void trace_events_init(struct trace_events *events);
void trace_events_free(struct trace_events *events);

/* Replace the requests and events by those of a process, which may go on meanwhile. False: it has no
 * requests, or events->failed. The events are in no order. */
bool trace_events_collect(struct trace_events *events, struct ersatz_trace *trace);

#endif
