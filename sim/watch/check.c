/* SPDX-License-Identifier: Apache-2.0 */
/* Records mistakes of the application as they happen: of its jobs, wait contexts and forks. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/threads.h"
#include "check_state.h"
#include "running.h"

#define ENTRIES_MAX 65536u

/* After this many pauses the shortest pause of an operation is known well enough to judge the operation. */
#define EARLY_TO_JUDGE 100u

/* Processor time of the calling thread when it last called the engine. What the thread uses from then until
 * it resumes a job too early is the processor time that busy polling costs. */
static _Thread_local uint64_t thread_cpu_ns;

/* Not inlined: a job may go on in another thread, where the compiler must not use this thread's addresses. */
__attribute__((noinline)) static uint64_t cpu_since_last_call(void)
{
    uint64_t now = clock_thread_cpu(), before = thread_cpu_ns;

    thread_cpu_ns = now;
    return now - before;
}

/* ------------------------------------------------------------------------------------------------ entries */

/* Under the lock. NULL: no memory. */
static struct check_entry *take_spare(struct check *check)
{
    struct check_entry *entry = check->spare;

    if (entry != NULL) {
        check->spare = entry->next;
        return entry;
    }
    entry = check->entries < ENTRIES_MAX ? malloc(sizeof(*entry)) : NULL;
    if (entry != NULL)
        check->entries++;
    else
        atomic_fetch_or_explicit(&check->findings->blind, ERSATZ_BLIND_MEMORY, memory_order_relaxed);
    return entry;
}

static void open_entry(struct check *check, struct check_entry *entry)
{
    entry->next = check->open;
    entry->link = &check->open;
    if (entry->next != NULL)
        entry->next->link = &entry->next;
    check->open = entry;
    if (check->asleep)
        pthread_cond_signal(&check->wake);
}

static void unlink_entry(struct check_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
}

/* Under the lock: its request needs no entry any more. */
static void close_entry(struct check *check, struct check_entry *entry)
{
    entry->request->entry = NULL;
    unlink_entry(entry);
    if (entry->live != NULL) /* relaxed: what a reader has read so far was true */
        atomic_store_explicit(&entry->live->kept, 0, memory_order_relaxed);
    if (entry->overdue && !entry->reported)
        atomic_fetch_sub_explicit(&check->findings->unanswered, 1, memory_order_relaxed);
    entry->next = check->spare;
    check->spare = entry;
}

void check_submitted(struct check *check, struct watched *request)
{
    struct callers callers;
    struct check_entry *entry;
    bool reenters = check_reentry(check, "submitted an operation");
    struct ersatz_locked locked;

    callers_take(&callers);
    if (request->callback != NULL)
        running_name(check->findings, (uintptr_t)request->callback);
    cpu_since_last_call();
    ersatz_lock(&check->lock, &locked);
    entry = request->entry;
    if (entry != NULL) { /* a full ring refused it before */
        entry->refused = false;
        entry->alone_ns = 0;
        entry->looks = 0;
    } else if (!check->settled && (entry = take_spare(check)) != NULL) {
        *entry = (struct check_entry){.number = ++check->last_number,
            .request = request,
            .at_ns = clock_now() - check->findings->began_ns,
            .operation = ersatz_op_name(request->op),
            .bytes = check_size_of(request->op),
            .thread = thread_self(),
            .submitted = callers,
            .moved = reenters,
            .shortest_pause_ns = UINT64_MAX};
        request->entry = entry;
        open_entry(check, entry);
        atomic_fetch_add_explicit(&check->findings->watched, 1, memory_order_relaxed);
    }
    if (entry != NULL)
        entry->left_at_ns = clock_now();
    ersatz_unlock(&locked);
}

void check_finished(struct check *check, struct watched *request)
{
    struct ersatz_locked locked;

    ersatz_lock(&check->lock, &locked);
    if (request->entry != NULL)
        close_entry(check, request->entry);
    ersatz_unlock(&locked);
}

void check_refused(struct check *check, struct watched *request, struct watched_slots slots)
{
    struct ersatz_locked locked;

    ersatz_lock(&check->lock, &locked);
    if (request->entry != NULL) {
        request->entry->refused = true;
        request->entry->slots = slots;
        request->entry->refused_number = *request->number;
        request->entry->alone_ns = 0;
        request->entry->looks = 0;
        request->entry->left_at_ns = clock_now();
    }
    ersatz_unlock(&locked);
}

/* ----------------------------------------------------------------------------------------------- resuming */

/* Under the lock: count the operation as busy polling, if it is. False: it is not, or was counted before. */
static bool count_polling(struct check *check, struct check_entry *entry)
{
    struct ersatz_found *found = &check->findings->of[ERSATZ_FOUND_BUSY_POLLING];

    if (entry->polls || entry->early < check->findings->limits.early || !entry_has_paused(check, entry))
        return false;
    entry->polls = true;
    atomic_fetch_add_explicit(&found->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->times, entry->early, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->ns, entry->early_cpu_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->lasted_ns, entry->early_ns, memory_order_relaxed);
    return true;
}

/* Under the lock: its job was resumed too early. Returns what count_polling() returns. */
static bool count_early(struct check *check, struct check_entry *entry, uint64_t lasted_ns, uint64_t cpu_ns)
{
    struct ersatz_found *found = &check->findings->of[ERSATZ_FOUND_BUSY_POLLING];

    entry->early++;
    entry->early_ns += lasted_ns;
    entry->early_cpu_ns += cpu_ns;
    entry->poller = thread_self();
    if (entry->polls) {
        atomic_fetch_add_explicit(&found->times, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&found->ns, cpu_ns, memory_order_relaxed);
        atomic_fetch_add_explicit(&found->lasted_ns, lasted_ns, memory_order_relaxed);
    }
    return entry->early >= EARLY_TO_JUDGE && count_polling(check, entry);
}

/* The function that resumes a job is on the thread's stack, which cannot be walked from the job's own stack.
 * So the note names the thread. */
static void note_polling(const struct check_entry *entry, const char *until, char *note, size_t size)
{
    snprintf(note, size, "resumed %u times in %.3f s %s, by %sthread %d", entry->early,
        (double)entry->early_ns / 1e9, until, entry->poller == entry->thread ? "the same " : "",
        (int)entry->poller);
}

/* Under the lock: the operation ends. Where it was busy polling, the sighting gets its final numbers. True:
 * there is no sighting yet, and *report is for one. */
static bool end_polling(struct check *check, struct check_entry *entry, struct check_report *report)
{
    bool was_counted = entry->polls;

    if (!was_counted && !count_polling(check, entry))
        return false;
    report_fill(report, entry, ERSATZ_FOUND_BUSY_POLLING);
    note_polling(entry, "before its signal", report->note, sizeof(report->note));
    if (was_counted)
        sighting_amend(entry->polling, report->note);
    return !was_counted;
}

/* Not under the lock: keep a sighting of an operation that still polls. */
static void keep_polling(struct check *check, struct watched *request, const struct check_report *report)
{
    struct ersatz_sighting *kept = sighting_keep(check, report);
    struct ersatz_locked locked;

    ersatz_lock(&check->lock, &locked);
    if (request->entry != NULL)
        request->entry->polling = kept;
    ersatz_unlock(&locked);
}

void check_early_resume(struct check *check, struct watched *request, uint64_t back_ns, bool signal)
{
    uint64_t cpu_ns = cpu_since_last_call();
    struct check_entry *entry;
    struct check_report report;
    bool is_new = false;
    struct ersatz_locked locked;

    check_resumed(check, request);
    ersatz_lock(&check->lock, &locked);
    entry = request->entry;
    if (entry != NULL) {
        uint64_t away_ns = back_ns - entry->left_at_ns;

        entry_note_pause(entry, away_ns);
        is_new = !signal && count_early(check, entry, away_ns, cpu_ns);
        if (is_new) {
            report_fill(&report, entry, ERSATZ_FOUND_BUSY_POLLING);
            note_polling(entry, "so far", report.note, sizeof(report.note));
        }
        /* Under the lock: when the device stops, the entry is closed. */
        entry->left_at_ns = clock_now();
    }
    ersatz_unlock(&locked);
    if (is_new)
        keep_polling(check, request, &report);
}

/* ------------------------------------------------------------------------------------------------ the end */

#define NO_FINDING ERSATZ_FINDINGS

/* What is to be reported about an operation that has ended. */
struct ended {
    bool has_report, has_polling;
    uint64_t alone_ns;                   /* for how long its job had been left alone */
    struct check_report report, polling; /* polling: that its job was busy polling */
};

/* Under the lock: the operation ends, with that finding or with NO_FINDING; busy polling may come to it.
 * Where there is a report, the caller writes its note. */
static void end_entry(
    struct check *check, struct check_entry *entry, enum ersatz_finding finding, struct ended *ended)
{
    ended->has_report = finding != NO_FINDING;
    ended->alone_ns = entry->alone_ns;
    if (ended->has_report)
        report_fill(&ended->report, entry, finding);
    ended->has_polling = end_polling(check, entry, &ended->polling);
    close_entry(check, entry);
}

/* Not under the lock. ns: see finding_count(). */
static void report_ended(struct check *check, const struct ended *ended, uint64_t ns)
{
    if (ended->has_polling)
        sighting_keep(check, &ended->polling);
    if (ended->has_report)
        finding_report(check, &ended->report, ns);
}

void check_answered(struct check *check, struct watched *request)
{
    struct check_entry *entry;
    struct ended ended;
    struct ersatz_locked locked;

    check_resumed(check, request);
    cpu_since_last_call();
    ersatz_lock(&check->lock, &locked);
    entry = request->entry;
    if (entry != NULL)
        end_entry(
            check, entry, entry->overdue && !entry->reported ? ERSATZ_FOUND_LATE_ANSWER : NO_FINDING, &ended);
    ersatz_unlock(&locked);
    if (entry == NULL)
        return;
    if (ended.has_report)
        snprintf(ended.report.note, sizeof(ended.report.note), "resumed about %llu ms after its signal",
            (unsigned long long)(ended.alone_ns / NS_PER_MS));
    report_ended(check, &ended, ended.alone_ns);
}

void check_orphaned(struct check *check, struct watched *request, bool reused)
{
    bool told = state_of(request->state) >= REQUEST_SIGNALLING;
    struct check_entry *entry;
    struct ended ended;
    enum ersatz_finding finding = told     ? ERSATZ_FOUND_NEVER_RESUMED
                                  : reused ? ERSATZ_FOUND_CONTEXT_REUSED
                                           : ERSATZ_FOUND_FREED_IN_FLIGHT;
    struct callers happened;
    struct ersatz_locked locked;

    callers_take(&happened);
    ersatz_lock(&check->lock, &locked);
    entry = request->entry;
    if (entry != NULL)
        end_entry(check, entry, entry->reported ? NO_FINDING : finding, &ended);
    ersatz_unlock(&locked);
    if (entry == NULL)
        return;
    if (ended.has_report) {
        ended.report.happened = happened;
        snprintf(ended.report.note, sizeof(ended.report.note), "%s, its wait context was %s by thread %d",
            told ? "after its signal" : "while the card worked", reused ? "given to another job" : "freed",
            (int)thread_self());
    }
    report_ended(check, &ended, 0);
}

/* Under the lock: whether an entry that is open when the device stops belongs to a job that will not be
 * resumed. Where the process ends in the middle of its work, another thread may have been about to resume the
 * job. */
static bool is_given_up(const struct check_entry *entry, pid_t stopper)
{
    if (entry->reported)
        return false;
    if (entry->overdue)
        return true;
    if (entry->refused || state_of(entry->request->state) >= REQUEST_SIGNALLED)
        return entry->thread == stopper;
    return false;
}

void check_settle(struct check *check, pid_t stopper)
{
    struct ersatz_locked locked;

    check_watcher_stop(check);
    ersatz_lock(&check->lock, &locked);
    check->settled = true;
    while (check->open != NULL) {
        struct check_entry *entry = check->open;
        enum ersatz_finding finding =
            entry->refused ? ERSATZ_FOUND_EAGAIN_IGNORED : ERSATZ_FOUND_NEVER_RESUMED;
        struct ended ended;

        end_entry(check, entry, is_given_up(entry, stopper) ? finding : NO_FINDING, &ended);
        ersatz_unlock(&locked);
        if (ended.has_report)
            snprintf(ended.report.note, sizeof(ended.report.note),
                "%s, and not resumed by the time the device stopped",
                finding == ERSATZ_FOUND_EAGAIN_IGNORED ? "refused by a full ring (EAGAIN)" : "signalled");
        report_ended(check, &ended, 0);
        ersatz_lock(&check->lock, &locked);
    }
    ersatz_unlock(&locked);
}

void check_buffer_touched(struct check *check, struct watched *request, const char *change)
{
    struct check_report report;
    bool watched;
    struct ersatz_locked locked;

    ersatz_lock(&check->lock, &locked);
    watched = request->entry != NULL; /* it is of a job, and not given up */
    if (watched)
        report_fill(&report, request->entry, ERSATZ_FOUND_BUFFER_TOUCHED);
    ersatz_unlock(&locked);
    if (!watched)
        return;
    snprintf(report.note, sizeof(report.note), "%s", change);
    finding_report(check, &report, 0);
}

void check_forking(struct check *check)
{
    struct check_report report = {.finding = ERSATZ_FOUND_FORK_IN_FLIGHT, .thread = thread_self()};
    unsigned in_flight = 0;
    struct ersatz_locked locked;

    callers_take(&report.happened);
    ersatz_lock(&check->lock, &locked);
    for (const struct check_entry *entry = check->open; entry != NULL; entry = entry->next)
        in_flight += !entry->refused;
    ersatz_unlock(&locked);
    if (in_flight == 0)
        return;
    report.at_ns = clock_now() - check->findings->began_ns;
    snprintf(report.note, sizeof(report.note), "the process forked with %u operations in flight", in_flight);
    atomic_fetch_add_explicit(
        &check->findings->of[ERSATZ_FOUND_FORK_IN_FLIGHT].times, in_flight, memory_order_relaxed);
    finding_report(check, &report, 0);
}

/* ------------------------------------------------------------------------------------------ start and end */

struct check *check_start(struct ersatz_findings *findings, uint64_t pause_ns)
{
    struct check *check = calloc(1, sizeof(*check));
    pthread_condattr_t monotonic;

    if (check == NULL)
        return NULL;
    callers_prepare();
    check->findings = findings;
    check->pause_ns = pause_ns;
    ersatz_lock_renew(&check->lock);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&check->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!check_watcher_start(check)) {
        check_free(check);
        return NULL;
    }
    return check;
}

void check_free(struct check *check)
{
    if (check == NULL)
        return;
    while (check->spare != NULL) {
        struct check_entry *entry = check->spare;

        check->spare = entry->next;
        free(entry);
    }
    pthread_cond_destroy(&check->wake);
    free(check);
}
