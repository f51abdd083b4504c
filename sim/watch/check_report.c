/* SPDX-License-Identifier: Apache-2.0 */
/* How the check reports: what is known of an operation, and the sightings in the findings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "check_state.h"
#include "kernels/rsa_key.h"

uint32_t check_size_of(const struct ersatz_op *op)
{
    return (uint32_t)(op->kind == ERSATZ_CIPHER ? op->u.cipher.len : ersatz_rsa_key_size(op->u.rsa.key));
}

void report_fill(struct check_report *report, const struct check_entry *entry, enum ersatz_finding finding)
{
    report->finding = finding;
    report->number = entry->refused ? entry->refused_number : *entry->request->number;
    report->at_ns = entry->at_ns;
    report->operation = entry->operation;
    report->bytes = entry->bytes;
    report->thread = entry->thread;
    report->submitted = entry->submitted;
    report->happened.count = 0;
    report->note[0] = '\0';
}

void sighting_symbolize(const struct check_report *report, struct ersatz_sighting *sighting)
{
    memset(sighting, 0, sizeof(*sighting));
    sighting->thread = (int32_t)report->thread;
    thread_name(report->thread, sighting->thread_name);
    sighting->at_ns = report->at_ns;
    sighting->request = report->number;
    sighting->operation = report->operation;
    sighting->bytes = report->bytes;
    memcpy(sighting->note, report->note, sizeof(sighting->note));
    callers_name(&report->submitted, sighting->submitted, sizeof(sighting->submitted));
    callers_name(&report->happened, sighting->happened, sizeof(sighting->happened));
}

static struct ersatz_sighting *find_room(const struct check *check, enum ersatz_finding finding)
{
    struct ersatz_sighting *first = check->findings->of[finding].first;

    for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
        /* Relaxed: written under the lock only. */
        if (!atomic_load_explicit(&first[i].kept, memory_order_relaxed))
            return &first[i];
    }
    return NULL;
}

struct ersatz_sighting *sighting_publish(
    struct check *check, enum ersatz_finding finding, const struct ersatz_sighting *sighting)
{
    struct ersatz_sighting *room = find_room(check, finding);

    if (room == NULL)
        return NULL;
    memcpy((char *)room + sizeof(room->kept), (const char *)sighting + sizeof(sighting->kept),
        sizeof(*room) - sizeof(room->kept));
    /* Release: a reader that sees it sees the rest. */
    atomic_store_explicit(&room->kept, 1, memory_order_release);
    return room;
}

void sighting_amend(struct ersatz_sighting *sighting, const char *note)
{
    if (sighting == NULL)
        return;
    /* Relaxed: what a reader has read so far was true. Release: as in sighting_publish(). */
    atomic_store_explicit(&sighting->kept, 0, memory_order_relaxed);
    snprintf(sighting->note, sizeof(sighting->note), "%s", note);
    atomic_store_explicit(&sighting->kept, 1, memory_order_release);
}

void finding_count(struct check *check, enum ersatz_finding finding, uint64_t ns)
{
    struct ersatz_found *found = &check->findings->of[finding];

    atomic_fetch_add_explicit(&found->count, 1, memory_order_relaxed);
    ersatz_count_max(&found->ns, ns);
}

struct ersatz_sighting *sighting_keep(struct check *check, const struct check_report *report)
{
    struct ersatz_sighting *sighting = NULL, *kept;
    bool room;
    struct ersatz_locked locked;

    ersatz_lock(&check->lock, &locked);
    room = find_room(check, report->finding) != NULL;
    ersatz_unlock(&locked);
    if (room)
        sighting = malloc(sizeof(*sighting)); /* a fibre's stack is small */
    if (sighting == NULL)
        return NULL;
    sighting_symbolize(report, sighting);
    ersatz_lock(&check->lock, &locked);
    kept = sighting_publish(check, report->finding, sighting);
    ersatz_unlock(&locked);
    free(sighting);
    return kept;
}

struct ersatz_sighting *finding_report(struct check *check, const struct check_report *report, uint64_t ns)
{
    struct ersatz_sighting *kept = sighting_keep(check, report);

    finding_count(check, report->finding, ns);
    return kept;
}
