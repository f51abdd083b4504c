/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_events.h. */
#include "trace_events.h"

#include <stdlib.h>
#include <string.h>

#include "ersatz/stats.h"

/* Copy an entry, unless it is being written. A thread that would write to it meanwhile gives up. */
static bool copy_entry(struct ersatz_trace_entry *from, struct ersatz_trace_entry *to)
{
    uint64_t turn = atomic_load_explicit(&from->turn, memory_order_relaxed);

    /* Acquire: pairs with the release of the thread that wrote it. */
    if (turn == 0 || (turn & 1) != 0 ||
        !atomic_compare_exchange_strong_explicit(
            &from->turn, &turn, turn | 1, memory_order_acquire, memory_order_relaxed))
        return false;
    to->number = from->number;
    memcpy(to->at, from->at, sizeof(to->at));
    to->submitter = from->submitter;
    to->returner = from->returner;
    to->bytes = from->bytes;
    to->instance = from->instance;
    to->worker = from->worker;
    to->batch = from->batch;
    to->op = from->op < ERSATZ_REQUEST_NAMES ? from->op : 0;
    to->result = from->result;
    to->told_by = from->told_by;
    to->ended = from->ended;
    to->orphan = from->orphan;
    atomic_store_explicit(&to->turn, turn, memory_order_relaxed);
    atomic_store_explicit(&from->turn, turn, memory_order_release);
    return true;
}

static bool copy_requests(struct trace_events *events, struct ersatz_trace *trace)
{
    events->request_count = 0;
    for (uint32_t i = 0; i < ERSATZ_TRACE_ENTRIES; i++)
        events->request_count += copy_entry(&trace->entries[i], &events->requests[events->request_count]);
    return events->request_count > 0;
}

/* The time of the last point that it reached. */
static uint64_t last_time(const struct ersatz_trace_entry *request)
{
    uint64_t last = 0;

    for (unsigned point = 0; point < ERSATZ_POINTS; point++)
        last = request->at[point] > last ? request->at[point] : last;
    return last;
}

static void put(struct trace_events *events, struct trace_event event)
{
    if (events->count == events->room) {
        size_t room = events->room == 0 ? 4096 : 2 * events->room;
        struct trace_event *all = realloc(events->all, room * sizeof(*all));

        events->failed = events->failed || all == NULL;
        if (all == NULL)
            return;
        events->all = all;
        events->room = room;
    }
    event.order = events->count;
    events->all[events->count++] = event;
}

static int by_start_on_worker(const void *a, const void *b)
{
    const struct ersatz_trace_entry *x = a, *y = b;
    uint64_t p = x->at[ERSATZ_POINT_STARTED], q = y->at[ERSATZ_POINT_STARTED];

    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return p != q ? (p < q ? -1 : 1) : x->number < y->number ? -1 : x->number > y->number;
}

static void put_arrow(
    struct trace_events *events, uint32_t request, int which, enum trace_event_kind end, int row, uint64_t at)
{
    put(events, (struct trace_event){.at = at, .request = request, .row = row, .value = which, .kind = end});
}

/* The requests of a batch have the same worker and the same start. The requests are sorted by these. */
static void put_batches(struct trace_events *events)
{
    uint32_t end;

    for (uint32_t first = 0; first < events->request_count; first = end) {
        const struct ersatz_trace_entry *one = &events->requests[first];
        uint64_t start = one->at[ERSATZ_POINT_STARTED], over = start + 1;
        int row = WORKER_ROW + one->worker;

        for (end = first; end < events->request_count && events->requests[end].worker == one->worker &&
                          events->requests[end].at[ERSATZ_POINT_STARTED] == start;
             end++) {
            uint64_t computed = events->requests[end].at[ERSATZ_POINT_COMPUTED];

            over = computed > over ? computed : over;
        }
        if (start == 0)
            continue; /* no worker took it */
        put(events, (struct trace_event){.at = start,
                        .duration = over - start,
                        .request = first,
                        .row = row,
                        .value = (int32_t)(end - first),
                        .kind = BATCH});
        for (uint32_t i = first; i < end; i++) {
            put_arrow(events, i, 0, ARROW_ARRIVES, row, start);
            if (events->requests[i].returner != 0)
                put_arrow(events, i, 1, ARROW_LEAVES, row, over - 1);
        }
    }
}

/* A request's slice, and one for each stage that it has got through: from a point to the next one it
 * reached. */
static void put_request(struct trace_events *events, uint32_t index)
{
    const struct ersatz_trace_entry *request = &events->requests[index];
    uint64_t at = request->at[ERSATZ_POINT_CREATED], last = last_time(request);
    unsigned point = ERSATZ_POINT_CREATED;

    put(events, (struct trace_event){.at = at, .request = index, .kind = REQUEST_BEGINS});
    for (unsigned next = point + 1; next < ERSATZ_POINTS; next++) {
        struct trace_event event = {.at = at, .request = index, .value = (int)point, .kind = STAGE_BEGINS};

        if (request->at[next] == 0)
            continue;
        put(events, event);
        at = request->at[next] > at ? request->at[next] : at;
        event.at = at;
        event.kind = STAGE_ENDS;
        put(events, event);
        point = next;
        if (next == ERSATZ_POINT_SUBMITTED)
            put(events, (struct trace_event){.at = at, .value = 1, .kind = IN_FLIGHT});
        if (next == ERSATZ_POINT_COMPUTED)
            put(events, (struct trace_event){.at = at, .value = -1, .kind = IN_FLIGHT});
    }
    put(events, (struct trace_event){.at = last > at ? last : at, .request = index, .kind = REQUEST_ENDS});
}

/* The slices of the application's threads, which may still overlap. */
static void put_threads(struct trace_events *events, uint32_t index)
{
    const struct ersatz_trace_entry *request = &events->requests[index];
    const uint64_t *at = request->at;
    uint64_t told = at[ERSATZ_POINT_RESUMED] != 0 ? at[ERSATZ_POINT_RESUMED] : at[ERSATZ_POINT_SIGNALLED];

    put(events, (struct trace_event){.at = at[ERSATZ_POINT_CREATED],
                    .duration = at[ERSATZ_POINT_SUBMITTED] - at[ERSATZ_POINT_CREATED],
                    .request = index,
                    .row = request->submitter,
                    .kind = SUBMIT});
    if (request->returner == 0)
        return;
    told = told < at[ERSATZ_POINT_SUBMITTED] ? at[ERSATZ_POINT_SUBMITTED] : told;
    put(events, (struct trace_event){.at = told,
                    .duration = at[ERSATZ_POINT_RETURNED] > told ? at[ERSATZ_POINT_RETURNED] - told : 0,
                    .request = index,
                    .row = request->returner,
                    .kind = RETURN});
}

static bool is_on_thread(const struct trace_event *event)
{
    return event->kind == SUBMIT || event->kind == RETURN;
}

/* The slices of threads come first, by thread and end. */
static int by_thread_and_end(const void *a, const void *b)
{
    const struct trace_event *x = a, *y = b;
    uint64_t p = x->at + x->duration, q = y->at + y->duration;

    if (is_on_thread(x) != is_on_thread(y))
        return is_on_thread(x) ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return p != q ? (p < q ? -1 : 1) : x->order < y->order ? -1 : x->order > y->order;
}

/* Cut the slices of each thread so that none overlaps the one before it, and put the arrows' ends on them. */
static void cut_threads(struct trace_events *events)
{
    size_t count = 0;
    uint64_t ended = 0;

    qsort(events->all, events->count, sizeof(*events->all), by_thread_and_end);
    while (count < events->count && is_on_thread(&events->all[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        struct trace_event event = events->all[i]; /* a copy: put() may move the events */
        uint64_t end = event.at + event.duration;

        if (i == 0 || event.row != events->all[i - 1].row)
            ended = 0;
        if (event.at < ended)
            event.at = ended;
        if (end <= event.at)
            end = event.at + 1; /* an arrow cannot end at an empty slice */
        event.duration = end - event.at;
        ended = end;
        events->all[i] = event;
        if (events->requests[event.request].at[ERSATZ_POINT_STARTED] == 0)
            continue; /* no batch, and so no arrow */
        if (event.kind == RETURN)
            put_arrow(events, event.request, 1, ARROW_ARRIVES, event.row, event.at);
        else
            put_arrow(events, event.request, 0, ARROW_LEAVES, event.row, event.at);
    }
}

void trace_events_init(struct trace_events *events)
{
    *events = (struct trace_events){.requests = aligned_alloc(_Alignof(struct ersatz_trace_entry),
                                        ERSATZ_TRACE_ENTRIES * sizeof(*events->requests))};
    events->failed = events->requests == NULL;
}

void trace_events_free(struct trace_events *events)
{
    free(events->all);
    free(events->requests);
}

bool trace_events_collect(struct trace_events *events, struct ersatz_trace *trace)
{
    events->count = 0;
    if (events->failed || !copy_requests(events, trace))
        return false;
    qsort(events->requests, events->request_count, sizeof(*events->requests), by_start_on_worker);
    put_batches(events);
    for (uint32_t i = 0; i < events->request_count; i++) {
        put_request(events, i);
        put_threads(events, i);
    }
    cut_threads(events);
    return !events->failed;
}
