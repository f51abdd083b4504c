/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the trace as Chrome trace-event JSON ("Trace Event Format", by the authors of Chrome's tracing;
 * Perfetto reads it). The file has:
 *
 *   in the row of each thread of the application   a slice for each request that it submits, and that it
 * returns in the row of each worker                      a slice for each batch in rows of their own a slice
 * for each request, and its stages within arrows                                         from the submission
 * to the batch, from the batch to the return a counter                                      of requests in
 * flight
 *
 * The format requires that slices in one row are nested or apart, but requests overlap. So no slice of a
 * thread begins before the one in front of it ends: it shows when the thread submitted or returned the
 * request. The request's own slice has the whole time.
 */
#include "ersatz/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ersatz/device.h"

/* The row of worker 0. The trace has no thread numbers of workers, so their rows are above all that Linux
 * gives. */
#define WORKER_ROW 10000000

enum kind {
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

struct event {
    uint64_t at, duration; /* nanoseconds */
    uint64_t order;        /* the order in which events were put in: for those at the same time */
    uint32_t request;      /* its index among the process's requests; of a batch, the first one's */
    int32_t row;           /* thread or worker */
    int32_t value;         /* BATCH: how many of it are in the trace; STAGE: enum ersatz_point it begins with;
                              ARROW: which of the two; IN_FLIGHT: how much it changes */
    enum kind kind;
};

/* One process's requests, and all the events of the whole file. */
struct writer {
    struct json json;
    struct ersatz_trace_entry *requests; /* copies */
    uint32_t count;
    struct event *events;
    size_t event_count, event_room;
    uint64_t ids; /* how many requests the earlier processes had, since an id is unique in the file */
    long pid;
    bool failed; /* out of memory */
};

/* ----------------------------------------------------------------------------------------------- requests */

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

static bool collect(struct writer *writer, struct ersatz_trace *trace)
{
    writer->count = 0;
    for (uint32_t i = 0; i < ERSATZ_TRACE_ENTRIES; i++)
        writer->count += copy_entry(&trace->entries[i], &writer->requests[writer->count]);
    return writer->count > 0;
}

/* The time of the last point that it reached. */
static uint64_t last_time(const struct ersatz_trace_entry *request)
{
    uint64_t last = 0;

    for (unsigned point = 0; point < ERSATZ_POINTS; point++)
        last = request->at[point] > last ? request->at[point] : last;
    return last;
}

/* ------------------------------------------------------------------------------------------------- events */

static void put(struct writer *writer, struct event event)
{
    if (writer->event_count == writer->event_room) {
        size_t room = writer->event_room == 0 ? 4096 : 2 * writer->event_room;
        struct event *events = realloc(writer->events, room * sizeof(*events));

        writer->failed = writer->failed || events == NULL;
        if (events == NULL)
            return;
        writer->events = events;
        writer->event_room = room;
    }
    event.order = writer->event_count;
    writer->events[writer->event_count++] = event;
}

static int by_start_on_worker(const void *a, const void *b)
{
    const struct ersatz_trace_entry *x = a, *y = b;
    uint64_t p = x->at[ERSATZ_POINT_STARTED], q = y->at[ERSATZ_POINT_STARTED];

    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return p != q ? (p < q ? -1 : 1) : x->number < y->number ? -1 : x->number > y->number;
}

static void put_arrow(struct writer *writer, uint32_t request, int which, enum kind end, int row, uint64_t at)
{
    put(writer, (struct event){.at = at, .request = request, .row = row, .value = which, .kind = end});
}

/* The requests of a batch have the same worker and the same start. The requests are sorted by these. */
static void put_batches(struct writer *writer)
{
    uint32_t end;

    for (uint32_t first = 0; first < writer->count; first = end) {
        const struct ersatz_trace_entry *one = &writer->requests[first];
        uint64_t start = one->at[ERSATZ_POINT_STARTED], over = start + 1;
        int row = WORKER_ROW + one->worker;

        for (end = first; end < writer->count && writer->requests[end].worker == one->worker &&
                          writer->requests[end].at[ERSATZ_POINT_STARTED] == start;
             end++) {
            uint64_t computed = writer->requests[end].at[ERSATZ_POINT_COMPUTED];

            over = computed > over ? computed : over;
        }
        if (start == 0)
            continue; /* no worker took it */
        put(writer, (struct event){.at = start,
                        .duration = over - start,
                        .request = first,
                        .row = row,
                        .value = (int32_t)(end - first),
                        .kind = BATCH});
        for (uint32_t i = first; i < end; i++) {
            put_arrow(writer, i, 0, ARROW_ARRIVES, row, start);
            if (writer->requests[i].returner != 0)
                put_arrow(writer, i, 1, ARROW_LEAVES, row, over - 1);
        }
    }
}

/* A request's slice, and one for each stage that it has got through: from a point to the next one it
 * reached. */
static void put_request(struct writer *writer, uint32_t index)
{
    const struct ersatz_trace_entry *request = &writer->requests[index];
    uint64_t at = request->at[ERSATZ_POINT_CREATED], last = last_time(request);
    unsigned point = ERSATZ_POINT_CREATED;

    put(writer, (struct event){.at = at, .request = index, .kind = REQUEST_BEGINS});
    for (unsigned next = point + 1; next < ERSATZ_POINTS; next++) {
        struct event event = {.at = at, .request = index, .value = (int)point, .kind = STAGE_BEGINS};

        if (request->at[next] == 0)
            continue;
        put(writer, event);
        at = request->at[next] > at ? request->at[next] : at;
        event.at = at;
        event.kind = STAGE_ENDS;
        put(writer, event);
        point = next;
        if (next == ERSATZ_POINT_SUBMITTED)
            put(writer, (struct event){.at = at, .value = 1, .kind = IN_FLIGHT});
        if (next == ERSATZ_POINT_COMPUTED)
            put(writer, (struct event){.at = at, .value = -1, .kind = IN_FLIGHT});
    }
    put(writer, (struct event){.at = last > at ? last : at, .request = index, .kind = REQUEST_ENDS});
}

/* The slices of the application's threads, which may still overlap. */
static void put_threads(struct writer *writer, uint32_t index)
{
    const struct ersatz_trace_entry *request = &writer->requests[index];
    const uint64_t *at = request->at;
    uint64_t told = at[ERSATZ_POINT_RESUMED] != 0 ? at[ERSATZ_POINT_RESUMED] : at[ERSATZ_POINT_SIGNALLED];

    put(writer, (struct event){.at = at[ERSATZ_POINT_CREATED],
                    .duration = at[ERSATZ_POINT_SUBMITTED] - at[ERSATZ_POINT_CREATED],
                    .request = index,
                    .row = request->submitter,
                    .kind = SUBMIT});
    if (request->returner == 0)
        return;
    told = told < at[ERSATZ_POINT_SUBMITTED] ? at[ERSATZ_POINT_SUBMITTED] : told;
    put(writer, (struct event){.at = told,
                    .duration = at[ERSATZ_POINT_RETURNED] > told ? at[ERSATZ_POINT_RETURNED] - told : 0,
                    .request = index,
                    .row = request->returner,
                    .kind = RETURN});
}

static bool is_on_thread(const struct event *event)
{
    return event->kind == SUBMIT || event->kind == RETURN;
}

/* The slices of threads come first, by thread and end. */
static int by_thread_and_end(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    uint64_t p = x->at + x->duration, q = y->at + y->duration;

    if (is_on_thread(x) != is_on_thread(y))
        return is_on_thread(x) ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return p != q ? (p < q ? -1 : 1) : x->order < y->order ? -1 : x->order > y->order;
}

/* Cut the slices of each thread so that none overlaps the one before it, and put the arrows' ends on them. */
static void cut_threads(struct writer *writer)
{
    size_t count = 0;
    uint64_t ended = 0;

    qsort(writer->events, writer->event_count, sizeof(*writer->events), by_thread_and_end);
    while (count < writer->event_count && is_on_thread(&writer->events[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        struct event event = writer->events[i]; /* a copy: put() may move the events */
        uint64_t end = event.at + event.duration;

        if (i == 0 || event.row != writer->events[i - 1].row)
            ended = 0;
        if (event.at < ended)
            event.at = ended;
        if (end <= event.at)
            end = event.at + 1; /* an arrow cannot end at an empty slice */
        event.duration = end - event.at;
        ended = end;
        writer->events[i] = event;
        if (writer->requests[event.request].at[ERSATZ_POINT_STARTED] == 0)
            continue; /* no batch, and so no arrow */
        if (event.kind == RETURN)
            put_arrow(writer, event.request, 1, ARROW_ARRIVES, event.row, event.at);
        else
            put_arrow(writer, event.request, 0, ARROW_LEAVES, event.row, event.at);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* ------------------------------------------------------------------------------------------------ writing */

/* Begin an event with its phase ("ph"), category, row and time. json_close() ends it. */
static void open_event(
    struct writer *writer, const char *phase, const char *category, int32_t row, uint64_t at)
{
    struct json *json = &writer->json;

    json_line(json, "");
    json_open(json, NULL, '{');
    json_text(json, "ph", phase);
    json_text(json, "cat", category);
    json_signed(json, "pid", writer->pid);
    json_signed(json, "tid", row);
    json_microseconds(json, "ts", at);
}

/* The operation of a slice: a batch may have several. */
static const char *operation_of(const struct writer *writer, const struct event *event)
{
    uint8_t op = writer->requests[event->request].op;

    for (uint32_t i = 1; event->kind == BATCH && i < (uint32_t)event->value; i++) {
        if (writer->requests[event->request + i].op != op)
            return "mixed";
    }
    return ersatz_request_name_text(op);
}

static void write_thread_slice(struct writer *writer, const struct event *event)
{
    static const char *const verbs[] = {[BATCH] = "compute", [SUBMIT] = "submit", [RETURN] = "return"};
    const struct ersatz_trace_entry *request = &writer->requests[event->request];
    const char *verb = verbs[event->kind], *operation = operation_of(writer, event);
    struct json *json = &writer->json;

    open_event(writer, "X", event->kind == BATCH ? "card" : "application", event->row, event->at);
    json_microseconds(json, "dur", event->duration);
    if (event->kind == BATCH) {
        json_format(json, "name", "%s %s x%u", verb, operation, request->batch);
        json_open(json, "args", '{');
        json_number(json, "batch", request->batch);
        json_signed(json, "in_trace", event->value);
        json_number(json, "first_request", request->number);
    } else {
        json_format(json, "name", "%s %s", verb, operation);
        json_open(json, "args", '{');
        json_number(json, "request", request->number);
        json_number(json, "bytes", request->bytes);
    }
    json_close(json, '}');
    json_close(json, '}');
}

static void write_arrow(struct writer *writer, const struct event *event)
{
    static const char *const names[] = {"to the card", "back"};
    bool arrives = event->kind == ARROW_ARRIVES;
    uint64_t id = 2 * (writer->ids + event->request + 1) + (uint64_t)event->value;
    struct json *json = &writer->json;

    open_event(writer, arrives ? "f" : "s", "arrow", event->row, event->at);
    if (arrives)
        json_text(json, "bp", "e"); /* it ends at the slice that encloses it */
    json_format(json, "id", "0x%" PRIx64, id);
    json_text(json, "name", names[event->value]);
    json_close(json, '}');
}

static const char *how_told(const struct ersatz_trace_entry *request)
{
    switch (request->told_by) {
    case ERSATZ_TOLD_BY_FD:
        return "fd";
    case ERSATZ_TOLD_BY_CALLBACK:
        return "callback";
    default:
        return "waiting";
    }
}

static void write_request_arguments(struct json *json, const struct ersatz_trace_entry *request)
{
    json_open(json, "args", '{');
    json_number(json, "request", request->number);
    json_number(json, "bytes", request->bytes);
    json_number(json, "instance", request->instance);
    json_text(json, "told_by", how_told(request));
    json_signed(json, "thread", request->submitter);
    if (request->at[ERSATZ_POINT_STARTED] != 0) {
        json_number(json, "worker", request->worker);
        json_number(json, "batch", request->batch);
    }
    json_text(json, "end", !request->ended ? "not seen" : request->orphan ? "orphan" : "returned");
    if (request->ended)
        json_text(json, "result", request->result == ERSATZ_OK ? "ok" : ersatz_result_text(request->result));
    json_close(json, '}');
}

/* The beginning or end of a request's slice, or of a stage of it. */
static void write_request_slice(struct writer *writer, const struct event *event)
{
    static const char *const stages[] = {
        [ERSATZ_POINT_CREATED] = "submitted",
        [ERSATZ_POINT_SUBMITTED] = "in the ring",
        [ERSATZ_POINT_STARTED] = "computed",
        [ERSATZ_POINT_COMPUTED] = "delayed by the card",
        [ERSATZ_POINT_SIGNALLED] = "signalled, not resumed",
        [ERSATZ_POINT_RESUMED] = "returned",
    };
    const struct ersatz_trace_entry *request = &writer->requests[event->request];
    bool is_whole = event->kind == REQUEST_BEGINS || event->kind == REQUEST_ENDS;
    bool begins = event->kind == REQUEST_BEGINS || event->kind == STAGE_BEGINS;
    struct json *json = &writer->json;

    open_event(writer, begins ? "b" : "e", "request", request->submitter, event->at);
    json_format(json, "id", "0x%" PRIx64, writer->ids + event->request + 1);
    json_text(json, "name", is_whole ? ersatz_request_name_text(request->op) : stages[event->value]);
    if (event->kind == REQUEST_BEGINS)
        write_request_arguments(json, request);
    json_close(json, '}');
}

static void write_in_flight(struct writer *writer, const struct event *event, int64_t *in_flight)
{
    struct json *json = &writer->json;

    *in_flight += event->value;
    open_event(writer, "C", "card", 0, event->at);
    json_text(json, "name", "in flight");
    json_open(json, "args", '{');
    json_signed(json, "requests", *in_flight);
    json_close(json, '}');
    json_close(json, '}');
}

static void write_events(struct writer *writer)
{
    int64_t in_flight = 0;

    for (size_t i = 0; i < writer->event_count; i++) {
        const struct event *event = &writer->events[i];

        switch (event->kind) {
        case BATCH:
        case SUBMIT:
        case RETURN:
            write_thread_slice(writer, event);
            break;
        case ARROW_LEAVES:
        case ARROW_ARRIVES:
            write_arrow(writer, event);
            break;
        case IN_FLIGHT:
            write_in_flight(writer, event, &in_flight);
            break;
        default:
            write_request_slice(writer, event);
        }
    }
}

/* Metadata ("ph": "M"): the name of the process, or of a row of it, which kind says ("thread_name"). */
static void write_name(struct writer *writer, const char *kind, int32_t row, const char *name)
{
    struct json *json = &writer->json;

    json_line(json, "");
    json_open(json, NULL, '{');
    json_text(json, "ph", "M");
    json_signed(json, "pid", writer->pid);
    if (row != 0)
        json_signed(json, "tid", row);
    json_text(json, "name", kind);
    json_open(json, "args", '{');
    json_text(json, "name", name);
    json_close(json, '}');
    json_close(json, '}');
}

static void write_row_name(struct writer *writer, int32_t row)
{
    char name[32];

    if (row >= WORKER_ROW)
        snprintf(name, sizeof(name), "card: worker %d", row - WORKER_ROW);
    else
        snprintf(name, sizeof(name), "%s", row == writer->pid ? "main thread" : "thread");
    write_name(writer, "thread_name", row, name);
}

static int by_row(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    return x->row < y->row ? -1 : x->row > y->row;
}

/* The names of the process and its rows. Sorts the events by row. */
static void write_names(struct writer *writer, const char *program)
{
    write_name(writer, "process_name", 0, program);
    qsort(writer->events, writer->event_count, sizeof(*writer->events), by_row);
    for (size_t i = 0; i < writer->event_count; i++) {
        const struct event *event = &writer->events[i];

        if (event->row != 0 && (i == 0 || event->row != writer->events[i - 1].row))
            write_row_name(writer, event->row);
    }
}

static void write_process(struct writer *writer, const struct ersatz_traced *process)
{
    writer->pid = process->pid;
    writer->event_count = 0;
    if (!collect(writer, process->trace))
        return;
    qsort(writer->requests, writer->count, sizeof(*writer->requests), by_start_on_worker);
    put_batches(writer);
    for (uint32_t i = 0; i < writer->count; i++) {
        put_request(writer, i);
        put_threads(writer, i);
    }
    cut_threads(writer);
    if (writer->failed)
        return;
    write_names(writer, process->program);
    qsort(writer->events, writer->event_count, sizeof(*writer->events), by_time);
    write_events(writer);
    writer->ids += writer->count;
}

bool ersatz_trace_write(const struct ersatz_traced *processes, unsigned count, FILE *stream)
{
    struct writer writer = {.json = {.stream = stream, .compact = true}};

    writer.requests =
        aligned_alloc(_Alignof(struct ersatz_trace_entry), ERSATZ_TRACE_ENTRIES * sizeof(*writer.requests));
    writer.failed = writer.requests == NULL;
    json_open(&writer.json, NULL, '{');
    json_text(&writer.json, "displayTimeUnit", "ns");
    json_open(&writer.json, "traceEvents", '[');
    for (unsigned i = 0; i < count && !writer.failed; i++)
        write_process(&writer, &processes[i]);
    json_line(&writer.json, "");
    json_close(&writer.json, ']');
    json_close(&writer.json, '}');
    fputc('\n', stream);
    free(writer.events);
    free(writer.requests);
    return fflush(stream) == 0 && !ferror(stream) && !writer.failed;
}
