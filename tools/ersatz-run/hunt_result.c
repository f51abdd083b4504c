/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from the records which requests the faults of a card struck, and the timeline around them. */
#include <stdlib.h>
#include <string.h>

#include "hunt.h"

#define SHOWN_BEFORE 8u /* so many requests in front of the first that was struck */

/* A copy of the entries that were used, in the order of submission. */
struct entries {
    struct ersatz_trace_entry *of;
    unsigned count;
};

static int by_number(const void *a, const void *b)
{
    const struct ersatz_trace_entry *left = a, *right = b;

    return left->number < right->number ? -1 : left->number > right->number;
}

static void entries_read(struct entries *entries, const struct ersatz_trace *trace)
{
    entries->count = 0;
    entries->of =
        aligned_alloc(_Alignof(struct ersatz_trace_entry), ERSATZ_TRACE_ENTRIES * sizeof(*entries->of));
    if (entries->of == NULL)
        give_up("out of memory");
    for (unsigned i = 0; trace->begun > 0 && i < ERSATZ_TRACE_ENTRIES; i++) {
        const struct ersatz_trace_entry *entry = &trace->entries[i];

        if (entry->turn != 0 && entry->number != 0 && entry->op < ERSATZ_REQUEST_NAMES)
            memcpy(&entries->of[entries->count++], entry, sizeof(*entry));
    }
    qsort(entries->of, entries->count, sizeof(*entries->of), by_number);
}

/* A bit for each fault that struck the request of this number. entry: NULL if the card did not accept it. Not
 * for faults that are not of one request. */
static uint32_t struck_by(
    const struct card *card, uint64_t seed, uint64_t number, const struct ersatz_trace_entry *entry)
{
    bool by_fd = entry != NULL && entry->told_by == ERSATZ_TOLD_BY_FD;
    uint32_t struck = 0;

    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        if (fault == ERSATZ_FAULT_BURST || fault == ERSATZ_FAULT_BOOT || fault == ERSATZ_FAULT_SLOW ||
            (fault == ERSATZ_FAULT_SPURIOUS && !by_fd))
            continue;
        if (ersatz_fault_strikes(&card->faults, seed, number, fault) != NULL)
            struck |= 1u << fault;
    }
    if (entry != NULL && ersatz_fault_slows(&card->faults, entry->op) != NULL)
        struck |= 1u << ERSATZ_FAULT_SLOW;
    return struck;
}

static uint32_t struck_entry(const struct card *card, uint64_t seed, const struct ersatz_trace_entry *entry)
{
    return struck_by(card, seed, entry->number, entry);
}

/* Nanoseconds from `from` on. Never 0, which means that it did not happen. */
static uint64_t since(uint64_t from, uint64_t at)
{
    return at == 0 ? 0 : at < from ? 1 : at - from + 1;
}

/* Adds the requests from `number` on, below `end`, that the card refused because of a fault: they have no
 * entry. */
static void show_refused(
    struct round_result *result, const struct card *card, uint64_t seed, uint64_t number, uint64_t end)
{
    for (; number < end && result->shown < TIMELINE_MAX; number++) {
        uint32_t struck = struck_by(card, seed, number, NULL);

        if (struck != 0)
            result->timeline[result->shown++] = (struct timeline_entry){
                .number = number, .op = ERSATZ_REQUEST_NAMES, .struck = struck, .ended = true};
    }
}

static void show(struct round_result *result, const struct card *card, uint64_t seed,
    const struct entries *entries, unsigned first)
{
    uint64_t from = entries->count == 0 ? 0 : entries->of[first].at[ERSATZ_POINT_CREATED];
    uint64_t next = first == 0 ? 1 : entries->of[first].number;

    result->shown = 0;
    for (unsigned i = first; i < entries->count && result->shown < TIMELINE_MAX; i++) {
        const struct ersatz_trace_entry *entry = &entries->of[i];
        struct timeline_entry *shown;

        show_refused(result, card, seed, next, entry->number);
        next = entry->number + 1;
        if (result->shown == TIMELINE_MAX)
            return;
        shown = &result->timeline[result->shown++];
        *shown = (struct timeline_entry){.number = entry->number,
            .submitter = entry->submitter,
            .struck = struck_entry(card, seed, entry),
            .op = entry->op,
            .ended = entry->ended,
            .orphan = entry->orphan};
        for (unsigned point = 0; point < ERSATZ_POINTS; point++)
            shown->at[point] = since(from, entry->at[point]);
    }
    show_refused(result, card, seed, next, next + 1);
}

static void fill_from(
    struct round_result *result, const struct card *card, const struct ersatz_record *record)
{
    unsigned hits = 0, first = 0;
    struct entries entries;

    entries_read(&entries, &record->trace);
    for (unsigned i = 0; i < entries.count; i++) {
        const struct ersatz_trace_entry *entry = &entries.of[i];
        uint32_t struck = struck_entry(card, record->head.seed, entry);

        result->most = entry->number > result->most ? entry->number : result->most;
        if (struck != 0 && hits++ == 0)
            first = i;
        for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
            if ((struck & 1u << fault) == 0)
                continue;
            result->struck[fault][entry->op]++;
        }
    }
    /* The picture is of the first process in which a fault struck. */
    if (record->head.started && (result->shown == 0 || (hits > 0 && !result->shows_fault))) {
        show(result, card, record->head.seed, &entries, first > SHOWN_BEFORE ? first - SHOWN_BEFORE : 0);
        result->shows_fault = hits > 0;
    }
    free(entries.of);
}

void result_fill(struct round_result *result, const struct card *card, const struct records *records)
{
    for (unsigned i = 0; i < records->count; i++)
        fill_from(result, card, records->of[i]);
}
