/* SPDX-License-Identifier: Apache-2.0 */
/* See trace.h. The trace is a ring: a request takes the place of the one that came a whole ring earlier. */
#include "trace.h"

#include <string.h>

#include "device.h"
#include "kernels/rsa_key.h"

_Static_assert(sizeof(struct ersatz_trace_entry) == 128, "two cache lines");

#define TAKEN 1u

static struct ersatz_trace_entry *entry_of(struct ersatz_trace *trace, uint64_t turn)
{
    return &trace->entries[turn / 2 % ERSATZ_TRACE_ENTRIES];
}

/* Take the entry for this thread alone, if it is at the expected turn. */
static bool take(struct ersatz_trace_entry *entry, uint64_t expected, uint64_t turn)
{
    /* Acquire: pairs with the release in give(). */
    return atomic_compare_exchange_strong_explicit(
        &entry->turn, &expected, turn | TAKEN, memory_order_acquire, memory_order_relaxed);
}

static void give(struct ersatz_trace_entry *entry, uint64_t turn)
{
    /* Release: a thread that takes the entry next, or a reader of the file, sees all of it. */
    atomic_store_explicit(&entry->turn, turn, memory_order_release);
}

static void count_late(struct ersatz_trace *trace)
{
    atomic_fetch_add_explicit(&trace->late, 1, memory_order_relaxed);
}

static uint32_t bytes_of(const struct ersatz_op *op)
{
    size_t bytes = op->kind == ERSATZ_CIPHER ? op->u.cipher.len : ersatz_rsa_key_size(op->u.rsa.key);

    return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static enum ersatz_told_by told_by(const struct ersatz_request *request)
{
    switch (request->notify) {
    case NOTIFY_FD:
        return ERSATZ_TOLD_BY_FD;
    case NOTIFY_CALLBACK:
        return ERSATZ_TOLD_BY_CALLBACK;
    default:
        return ERSATZ_TOLD_BY_WAITING;
    }
}

void trace_begin(struct ersatz_trace *trace, struct ersatz_request *request)
{
    /* Relaxed: it is enough that each place is given once. */
    uint64_t turn = 2 * (atomic_fetch_add_explicit(&trace->begun, 1, memory_order_relaxed) + 1);
    struct ersatz_trace_entry *entry = entry_of(trace, turn);
    uint64_t before = atomic_load_explicit(&entry->turn, memory_order_relaxed);

    request->trace_turn = turn;
    if ((before & TAKEN) != 0 || before > turn || !take(entry, before, turn)) {
        count_late(trace); /* rare: a request of a whole ring earlier or later is being written there */
        request->trace_turn = 0;
        return;
    }
    entry->number = request->times.number;
    memset(entry->at, 0, sizeof(entry->at));
    entry->at[ERSATZ_POINT_CREATED] = request->times.at[ERSATZ_POINT_CREATED];
    entry->at[ERSATZ_POINT_SUBMITTED] = request->times.at[ERSATZ_POINT_SUBMITTED];
    entry->submitter = request->times.submitter;
    entry->returner = 0;
    entry->bytes = bytes_of(&request->op);
    entry->instance = (uint16_t)(request->instance - request->device->instances);
    entry->worker = entry->batch = 0;
    entry->op = (uint8_t)ersatz_op_name(&request->op);
    entry->result = 0;
    entry->told_by = (uint8_t)told_by(request);
    entry->ended = entry->orphan = false;
    give(entry, turn);
}

void trace_end(struct ersatz_trace *trace, const struct ersatz_request *request)
{
    struct ersatz_trace_entry *entry = entry_of(trace, request->trace_turn);
    /* Of a group, the first request is signalled, resumed and returned for all. It is released last. */
    const struct ersatz_request *first = request->first;

    if (request->trace_turn == 0)
        return;
    if (!take(entry, request->trace_turn, request->trace_turn)) {
        count_late(trace);
        return;
    }
    entry->at[ERSATZ_POINT_STARTED] = request->times.at[ERSATZ_POINT_STARTED];
    entry->at[ERSATZ_POINT_COMPUTED] = request->times.at[ERSATZ_POINT_COMPUTED];
    for (unsigned point = ERSATZ_POINT_SIGNALLED; point < ERSATZ_POINTS; point++)
        entry->at[point] = first->times.at[point];
    entry->returner = first->times.returner;
    entry->worker = (uint16_t)request->times.worker;
    entry->batch = (uint16_t)request->times.batch;
    entry->result = (uint8_t)request->result;
    entry->orphan = (atomic_load_explicit(&first->state, memory_order_relaxed) & REQUEST_MUTED) != 0;
    entry->ended = true;
    give(entry, request->trace_turn);
}
