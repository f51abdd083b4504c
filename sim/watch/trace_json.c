/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the trace as Chrome trace-event JSON ("Trace Event Format", by the authors of Chrome's tracing;
 * Perfetto reads it). The file has:
 *
 * - in the row of each thread of the application, a slice for each request that it submits or returns;
 * - in the row of each worker, a slice for each batch;
 * - in rows of their own, a slice for each request, and its stages within;
 * - arrows from the submission to the batch, and from the batch to the return;
 * - a counter of requests in flight.
 *
 * The format requires that slices in one row are nested or apart, but requests overlap. So no slice of a
 * thread begins before the one in front of it ends: it shows when the thread submitted or returned the
 * request. The request's own slice has the whole time.
 */
#include "ersatz/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "ersatz/device.h"
#include "trace_events.h"

struct writer {
    struct json json;
    struct trace_events events; /* of the process that is written */
    uint64_t ids; /* how many requests the earlier processes had, since an id is unique in the file */
    long pid;
};

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
static const char *operation_of(const struct writer *writer, const struct trace_event *event)
{
    uint8_t op = writer->events.requests[event->request].op;

    for (uint32_t i = 1; event->kind == BATCH && i < (uint32_t)event->value; i++) {
        if (writer->events.requests[event->request + i].op != op)
            return "mixed";
    }
    return ersatz_request_name_text(op);
}

static void write_thread_slice(struct writer *writer, const struct trace_event *event)
{
    static const char *const verbs[] = {[BATCH] = "compute", [SUBMIT] = "submit", [RETURN] = "return"};
    const struct ersatz_trace_entry *request = &writer->events.requests[event->request];
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

static void write_arrow(struct writer *writer, const struct trace_event *event)
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
static void write_request_slice(struct writer *writer, const struct trace_event *event)
{
    static const char *const stages[] = {
        [ERSATZ_POINT_CREATED] = "submitted",
        [ERSATZ_POINT_SUBMITTED] = "in the ring",
        [ERSATZ_POINT_STARTED] = "computed",
        [ERSATZ_POINT_COMPUTED] = "delayed by the card",
        [ERSATZ_POINT_SIGNALLED] = "signalled, not resumed",
        [ERSATZ_POINT_RESUMED] = "returned",
    };
    const struct ersatz_trace_entry *request = &writer->events.requests[event->request];
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

static void write_in_flight(struct writer *writer, const struct trace_event *event, int64_t *in_flight)
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

    for (size_t i = 0; i < writer->events.count; i++) {
        const struct trace_event *event = &writer->events.all[i];

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
    const struct trace_event *x = a, *y = b;

    return x->row < y->row ? -1 : x->row > y->row;
}

/* The names of the process and its rows. Sorts the events by row. */
static void write_names(struct writer *writer, const char *program)
{
    write_name(writer, "process_name", 0, program);
    qsort(writer->events.all, writer->events.count, sizeof(*writer->events.all), by_row);
    for (size_t i = 0; i < writer->events.count; i++) {
        const struct trace_event *event = &writer->events.all[i];

        if (event->row != 0 && (i == 0 || event->row != writer->events.all[i - 1].row))
            write_row_name(writer, event->row);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct trace_event *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void write_process(struct writer *writer, const struct ersatz_traced *process)
{
    struct trace_events *events = &writer->events;

    writer->pid = process->pid;
    if (!trace_events_collect(events, process->trace))
        return;
    write_names(writer, process->program);
    qsort(events->all, events->count, sizeof(*events->all), by_time);
    write_events(writer);
    writer->ids += events->request_count;
}

bool ersatz_trace_write(const struct ersatz_traced *processes, unsigned count, FILE *stream)
{
    struct writer writer = {.json = {.stream = stream, .compact = true}};

    trace_events_init(&writer.events);
    json_open(&writer.json, NULL, '{');
    json_text(&writer.json, "displayTimeUnit", "ns");
    json_open(&writer.json, "traceEvents", '[');
    for (unsigned i = 0; i < count && !writer.events.failed; i++)
        write_process(&writer, &processes[i]);
    json_line(&writer.json, "");
    json_close(&writer.json, ']');
    json_close(&writer.json, '}');
    fputc('\n', stream);
    trace_events_free(&writer.events);
    return fflush(stream) == 0 && !ferror(stream) && !writer.events.failed;
}
