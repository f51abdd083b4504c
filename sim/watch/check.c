/* Writes down what the application does with its jobs: the facts. What is about time is in check_watcher.c.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/threads.h"
#include "check_state.h"
#include "kernels/rsa_key.h"
#include "running.h"

#define ENTRIES_MAX 65536u

/* So many pauses of one operation are enough to know the shortest one, unless the operation ends before. */
#define EARLY_TO_JUDGE 100u

/* Processor time of the calling thread when it last had to do with the engine: what it used since, until it
 * resumes a job for nothing, it used for nothing. */
static _Thread_local uint64_t thread_cpu_ns;

/* Not inlined: a fibre may go on in another thread, where the compiler must not use this one's addresses. */
__attribute__((noinline)) static uint64_t cpu_since_last_time(void)
{
    uint64_t now = thread_own_cpu_ns(), before = thread_cpu_ns;

    thread_cpu_ns = now;
    return now - before;
}

/* How many callbacks of the card's run on the calling thread, one inside another. */
static _Thread_local unsigned callbacks;

/* Not inlined, for the same reason. */
__attribute__((noinline)) static unsigned *own_callbacks(void)
{
    return &callbacks;
}

/* ------------------------------------------------------------------------------------------------ reports
 */

void verdict_about(
    struct verdict_report *report, const struct verdict_entry *entry, enum ersatz_finding finding)
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

void verdict_name(const struct verdict_report *report, struct ersatz_sighting *sighting)
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

static struct ersatz_sighting *find_room(const struct verdict *verdict, enum ersatz_finding finding)
{
    struct ersatz_sighting *first = verdict->findings->of[finding].first;

    for (unsigned i = 0; i < ERSATZ_SIGHTINGS_KEPT; i++) {
        /* Relaxed: written under the lock only. */
        if (!atomic_load_explicit(&first[i].kept, memory_order_relaxed))
            return &first[i];
    }
    return NULL;
}

struct ersatz_sighting *verdict_keep(
    struct verdict *verdict, enum ersatz_finding finding, const struct ersatz_sighting *sighting)
{
    struct ersatz_sighting *room = find_room(verdict, finding);

    if (room == NULL)
        return NULL;
    memcpy((char *)room + sizeof(room->kept), (const char *)sighting + sizeof(sighting->kept),
        sizeof(*room) - sizeof(room->kept));
    /* Release: a reader that sees it sees the rest. */
    atomic_store_explicit(&room->kept, 1, memory_order_release);
    return room;
}

void verdict_amend(struct ersatz_sighting *sighting, const char *note)
{
    if (sighting == NULL)
        return;
    /* Relaxed: what a reader has read so far was true. Release: as when it was kept. */
    atomic_store_explicit(&sighting->kept, 0, memory_order_relaxed);
    snprintf(sighting->note, sizeof(sighting->note), "%s", note);
    atomic_store_explicit(&sighting->kept, 1, memory_order_release);
}

void verdict_count(struct verdict *verdict, enum ersatz_finding finding, uint64_t ns)
{
    struct ersatz_found *found = &verdict->findings->of[finding];

    atomic_fetch_add_explicit(&found->count, 1, memory_order_relaxed);
    ersatz_count_max(&found->ns, ns);
}

/* Not under the lock: name it and keep it, if there is room. */
static struct ersatz_sighting *name_and_keep(struct verdict *verdict, const struct verdict_report *report)
{
    struct ersatz_sighting *sighting = NULL, *kept;
    bool room;

    pthread_mutex_lock(&verdict->lock);
    room = find_room(verdict, report->finding) != NULL;
    pthread_mutex_unlock(&verdict->lock);
    if (room)
        sighting = malloc(sizeof(*sighting)); /* a fibre's stack is small */
    if (sighting == NULL)
        return NULL;
    verdict_name(report, sighting);
    pthread_mutex_lock(&verdict->lock);
    kept = verdict_keep(verdict, report->finding, sighting);
    pthread_mutex_unlock(&verdict->lock);
    free(sighting);
    return kept;
}

struct ersatz_sighting *verdict_tell(
    struct verdict *verdict, const struct verdict_report *report, uint64_t ns)
{
    struct ersatz_sighting *kept = name_and_keep(verdict, report);

    verdict_count(verdict, report->finding, ns);
    return kept;
}

/* ------------------------------------------------------------------------------------------------ entries
 */

/* Under the lock. NULL: no memory. */
static struct verdict_entry *take_spare(struct verdict *verdict)
{
    struct verdict_entry *entry = verdict->spare;

    if (entry != NULL) {
        verdict->spare = entry->next;
        return entry;
    }
    entry = verdict->entries < ENTRIES_MAX ? malloc(sizeof(*entry)) : NULL;
    if (entry != NULL)
        verdict->entries++;
    else
        atomic_fetch_or_explicit(&verdict->findings->blind, ERSATZ_BLIND_MEMORY, memory_order_relaxed);
    return entry;
}

static void open_entry(struct verdict *verdict, struct verdict_entry *entry)
{
    entry->next = verdict->open;
    entry->link = &verdict->open;
    if (entry->next != NULL)
        entry->next->link = &entry->next;
    verdict->open = entry;
    if (verdict->asleep)
        pthread_cond_signal(&verdict->wake);
}

static void unlink_entry(struct verdict_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
}

/* Under the lock: the entry of the request, off the list; the caller's until given to put_spare(). NULL:
 * there is none. */
static struct verdict_entry *close_entry(struct verdict *verdict, struct watched *request)
{
    struct verdict_entry *entry = request->entry;

    if (entry == NULL)
        return NULL;
    request->entry = NULL;
    unlink_entry(entry);
    if (entry->live != NULL) /* relaxed: what a reader has read so far was true */
        atomic_store_explicit(&entry->live->kept, 0, memory_order_relaxed);
    if (entry->overdue && !entry->reported)
        atomic_fetch_sub_explicit(&verdict->findings->unanswered, 1, memory_order_relaxed);
    return entry;
}

static void put_spare(struct verdict *verdict, struct verdict_entry *entry)
{
    entry->next = verdict->spare;
    verdict->spare = entry;
}

static uint32_t size_of(const struct ersatz_op *op)
{
    return (uint32_t)(op->kind == ERSATZ_CIPHER ? op->u.cipher.len : ersatz_rsa_key_size(op->u.rsa.key));
}

void verdict_submits(struct verdict *verdict, struct watched *request)
{
    struct callers callers;
    struct verdict_entry *entry;

    verdict_enters(verdict, "submitted an operation");
    callers_take(&callers);
    if (request->callback != NULL)
        running_name(verdict->findings, (uintptr_t)request->callback);
    cpu_since_last_time();
    pthread_mutex_lock(&verdict->lock);
    entry = request->entry;
    if (entry != NULL) { /* refused before, and here again */
        entry->refused = false;
        entry->alone_ns = 0;
        entry->looks = 0;
    } else if (!verdict->settled && (entry = take_spare(verdict)) != NULL) {
        *entry = (struct verdict_entry){.number = ++verdict->last_number,
            .request = request,
            .at_ns = clock_now() - verdict->findings->began_ns,
            .operation = ersatz_op_name(request->op),
            .bytes = size_of(request->op),
            .thread = thread_self(),
            .submitted = callers,
            .shortest_pause_ns = UINT64_MAX};
        request->entry = entry;
        open_entry(verdict, entry);
        atomic_fetch_add_explicit(&verdict->findings->watched, 1, memory_order_relaxed);
    }
    if (entry != NULL)
        entry->left_at_ns = clock_now();
    pthread_mutex_unlock(&verdict->lock);
}

void verdict_finished(struct verdict *verdict, struct watched *request)
{
    struct verdict_entry *entry;

    pthread_mutex_lock(&verdict->lock);
    entry = close_entry(verdict, request);
    if (entry != NULL)
        put_spare(verdict, entry);
    pthread_mutex_unlock(&verdict->lock);
}

void verdict_refused(struct verdict *verdict, struct watched *request, struct watched_slots slots)
{
    pthread_mutex_lock(&verdict->lock);
    if (request->entry != NULL) {
        request->entry->refused = true;
        request->entry->slots = slots;
        request->entry->refused_number = *request->number;
        request->entry->alone_ns = 0;
        request->entry->looks = 0;
    }
    pthread_mutex_unlock(&verdict->lock);
}

/* ------------------------------------------------------------------------------------------------ resuming
 */

/* Whether it was resumed at all: one of its pauses that comes back sooner did not pause (ASYNC_block_pause is
 * in force), and then none did. */
static bool has_paused(const struct verdict *verdict, const struct verdict_entry *entry)
{
    return entry->shortest_pause_ns > verdict->pause_ns;
}

/* Under the lock. True: it is busy polling, and was not known for it. */
static bool becomes_polling(struct verdict *verdict, struct verdict_entry *entry)
{
    struct ersatz_found *found = &verdict->findings->of[ERSATZ_FOUND_BUSY_POLLING];

    if (entry->polls || entry->early < verdict->findings->limits.early || !has_paused(verdict, entry))
        return false;
    entry->polls = true;
    atomic_fetch_add_explicit(&found->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->times, entry->early, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->ns, entry->early_cpu_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&found->lasted_ns, entry->early_ns, memory_order_relaxed);
    return true;
}

/* Under the lock. The same. */
static bool count_early(
    struct verdict *verdict, struct verdict_entry *entry, uint64_t lasted_ns, uint64_t cpu_ns)
{
    struct ersatz_found *found = &verdict->findings->of[ERSATZ_FOUND_BUSY_POLLING];

    entry->early++;
    entry->early_ns += lasted_ns;
    entry->early_cpu_ns += cpu_ns;
    entry->poller = thread_self();
    if (entry->polls) {
        atomic_fetch_add_explicit(&found->times, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&found->ns, cpu_ns, memory_order_relaxed);
        atomic_fetch_add_explicit(&found->lasted_ns, lasted_ns, memory_order_relaxed);
    }
    return entry->early >= EARLY_TO_JUDGE && becomes_polling(verdict, entry);
}

/* Whoever resumes a job stands on the thread's stack, which cannot be seen from the job's: the thread is all
 * there is to name. */
static void note_polling(const struct verdict_entry *entry, const char *until, char *note, size_t size)
{
    snprintf(note, size, "resumed %u times in %.3f s %s, by %sthread %d", entry->early,
        (double)entry->early_ns / 1e9, until, entry->poller == entry->thread ? "the same " : "",
        (int)entry->poller);
}

/* Under the lock: the operation has come to its end, and with it what was said of it so far. True: it is busy
 * polling, was not known for it, and is to be told of. */
static bool end_polling(struct verdict *verdict, struct verdict_entry *entry, struct verdict_report *report)
{
    bool was_known = entry->polls;

    if (!was_known && !becomes_polling(verdict, entry))
        return false;
    verdict_about(report, entry, ERSATZ_FOUND_BUSY_POLLING);
    note_polling(entry, "before it was told", report->note, sizeof(report->note));
    if (was_known)
        verdict_amend(entry->polling, report->note);
    return !was_known;
}

/* Not under the lock. */
static void tell_of_polling(
    struct verdict *verdict, struct watched *request, const struct verdict_report *report)
{
    struct ersatz_sighting *kept = name_and_keep(verdict, report);

    pthread_mutex_lock(&verdict->lock);
    if (request->entry != NULL)
        request->entry->polling = kept;
    pthread_mutex_unlock(&verdict->lock);
}

void verdict_early(struct verdict *verdict, struct watched *request, uint64_t back_ns, bool signal)
{
    uint64_t cpu_ns = cpu_since_last_time();
    struct verdict_entry *entry;
    struct verdict_report report;
    bool tell = false;

    verdict_enters(verdict, "resumed a job");
    pthread_mutex_lock(&verdict->lock);
    entry = request->entry;
    if (entry != NULL) {
        uint64_t away_ns = back_ns - entry->left_at_ns;

        if (away_ns < entry->shortest_pause_ns)
            entry->shortest_pause_ns = away_ns;
        tell = !signal && count_early(verdict, entry, away_ns, cpu_ns);
        if (tell) {
            verdict_about(&report, entry, ERSATZ_FOUND_BUSY_POLLING);
            note_polling(entry, "so far", report.note, sizeof(report.note));
        }
        /* Under the lock: when the device stops, the entry becomes another's. */
        entry->left_at_ns = clock_now();
    }
    pthread_mutex_unlock(&verdict->lock);
    if (tell)
        tell_of_polling(verdict, request, &report);
}

void verdict_answered(struct verdict *verdict, struct watched *request)
{
    struct verdict_entry *entry;
    struct verdict_report late, polls;
    uint64_t alone_ns = 0;
    bool is_late, is_polling;

    verdict_enters(verdict, "resumed a job");
    cpu_since_last_time();
    pthread_mutex_lock(&verdict->lock);
    entry = close_entry(verdict, request);
    is_late = entry != NULL && entry->overdue && !entry->reported;
    if (is_late) {
        verdict_about(&late, entry, ERSATZ_FOUND_LATE_ANSWER);
        alone_ns = entry->alone_ns;
    }
    is_polling = entry != NULL && end_polling(verdict, entry, &polls);
    if (entry != NULL)
        put_spare(verdict, entry);
    pthread_mutex_unlock(&verdict->lock);
    if (is_polling)
        name_and_keep(verdict, &polls);
    if (!is_late)
        return;
    snprintf(late.note, sizeof(late.note), "resumed about %llu ms after it was told",
        (unsigned long long)(alone_ns / NS_PER_MS));
    verdict_tell(verdict, &late, alone_ns);
}

/* ------------------------------------------------------------------------------------------------- the end
 */

void verdict_orphaned(struct verdict *verdict, struct watched *request, bool reused)
{
    bool told = state_of(request->state) >= REQUEST_SIGNALLING;
    struct verdict_entry *entry;
    struct verdict_report report, polls;
    bool tell, is_polling;

    callers_take(&report.happened);
    pthread_mutex_lock(&verdict->lock);
    entry = close_entry(verdict, request);
    tell = entry != NULL && !entry->reported;
    if (tell) {
        struct callers happened = report.happened;

        verdict_about(&report, entry,
            told     ? ERSATZ_FOUND_NEVER_RESUMED
            : reused ? ERSATZ_FOUND_CONTEXT_REUSED
                     : ERSATZ_FOUND_FREED_IN_FLIGHT);
        report.happened = happened;
    }
    is_polling = entry != NULL && end_polling(verdict, entry, &polls);
    if (entry != NULL)
        put_spare(verdict, entry);
    pthread_mutex_unlock(&verdict->lock);
    if (is_polling)
        name_and_keep(verdict, &polls);
    if (!tell)
        return;
    snprintf(report.note, sizeof(report.note), "%s, its wait context was %s by thread %d",
        told ? "told that it may go on" : "with the card", reused ? "given to another job" : "freed",
        (int)thread_self());
    verdict_tell(verdict, &report, 0);
}

/* Under the lock: whether this entry, open at the end, is one of a job that will not be resumed. Where the
 * process ends in the middle of its work, a thread may have been about to. */
static bool is_given_up(const struct verdict_entry *entry, pid_t stopper)
{
    if (entry->reported)
        return false;
    if (entry->overdue)
        return true;
    if (entry->refused || state_of(entry->request->state) >= REQUEST_SIGNALLED)
        return entry->thread == stopper;
    return false;
}

void verdict_settle(struct verdict *verdict, pid_t stopper)
{
    verdict_watch_stop(verdict);
    pthread_mutex_lock(&verdict->lock);
    verdict->settled = true;
    while (verdict->open != NULL) {
        struct verdict_entry *entry = verdict->open;
        struct verdict_report report, polls;
        bool tell = is_given_up(entry, stopper), is_polling = end_polling(verdict, entry, &polls);

        if (tell) {
            verdict_about(
                &report, entry, entry->refused ? ERSATZ_FOUND_EAGAIN_IGNORED : ERSATZ_FOUND_NEVER_RESUMED);
            snprintf(report.note, sizeof(report.note), "%s, and not resumed when the device stopped",
                entry->refused ? "refused by a full ring (EAGAIN)" : "told that it may go on");
        }
        put_spare(verdict, close_entry(verdict, entry->request));
        pthread_mutex_unlock(&verdict->lock);
        if (tell)
            verdict_tell(verdict, &report, 0);
        if (is_polling)
            name_and_keep(verdict, &polls);
        pthread_mutex_lock(&verdict->lock);
    }
    pthread_mutex_unlock(&verdict->lock);
}

void verdict_forking(struct verdict *verdict)
{
    struct verdict_report report = {.finding = ERSATZ_FOUND_FORK_IN_FLIGHT, .thread = thread_self()};
    unsigned in_flight = 0;

    callers_take(&report.happened);
    pthread_mutex_lock(&verdict->lock);
    for (const struct verdict_entry *entry = verdict->open; entry != NULL; entry = entry->next)
        in_flight += !entry->refused;
    pthread_mutex_unlock(&verdict->lock);
    if (in_flight == 0)
        return;
    report.at_ns = clock_now() - verdict->findings->began_ns;
    snprintf(report.note, sizeof(report.note), "it forked with %u operations in flight", in_flight);
    atomic_fetch_add_explicit(
        &verdict->findings->of[ERSATZ_FOUND_FORK_IN_FLIGHT].times, in_flight, memory_order_relaxed);
    verdict_tell(verdict, &report, 0);
}

/* ----------------------------------------------------------------------------------------------- callbacks
 */

static struct verdict_times times_now(pid_t thread)
{
    struct thread_times kernel = thread_times(thread);
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return (struct verdict_times){.now_ns = clock_now(),
        .cpu_ns = thread_own_cpu_ns(),
        .waited_ns = kernel.waited_ns,
        .sleeps = usage.ru_nvcsw,
        .seen = kernel.ran_ns != 0};
}

static struct ersatz_running_callback *begin_running(
    struct verdict *verdict, struct watched *request, pid_t thread, bool is_applications)
{
    uint64_t now_ns = clock_now() - verdict->findings->began_ns;
    uint64_t submitted_ns = *request->submitted_ns - verdict->findings->began_ns;
    const struct ersatz_running_callback as = {.thread = thread,
        .is_applications = is_applications,
        .operation = ersatz_op_name(request->op),
        .bytes = size_of(request->op),
        .request = *request->number,
        .at_ns = submitted_ns,
        .began_ns = now_ns,
        .function = (uintptr_t)request->callback};

    return running_begins(verdict->findings, &as);
}

struct ersatz_running_callback *verdict_own_callback_begins(struct verdict *verdict, struct watched *request)
{
    return begin_running(verdict, request, thread_self(), true);
}

void verdict_own_callback_ends(struct ersatz_running_callback *running)
{
    running_ends(running);
}

void verdict_callback_begins(
    struct verdict *verdict, struct verdict_callback *callback, struct watched *request)
{
    ++*own_callbacks();
    *callback = (struct verdict_callback){.thread = thread_self(),
        .operation = ersatz_op_name(request->op),
        .bytes = size_of(request->op),
        .function = (uintptr_t)request->callback};
    callback->began = times_now(callback->thread);
    pthread_mutex_lock(&verdict->lock);
    if (request->entry != NULL) {
        callback->submitted = request->entry->submitted;
        callback->number = *request->number;
        callback->at_ns = request->entry->at_ns;
    }
    callback->serial = ++verdict->last_callback;
    callback->late_looks = verdict->late_looks;
    callback->next = verdict->callbacks;
    verdict->callbacks = callback;
    if (verdict->asleep)
        pthread_cond_signal(&verdict->wake);
    pthread_mutex_unlock(&verdict->lock);
    callback->running = begin_running(verdict, request, callback->thread, false);
}

void verdict_callback_about(
    struct verdict_report *report, const struct verdict_callback *callback, enum ersatz_finding finding)
{
    *report = (struct verdict_report){.finding = finding,
        .number = callback->number,
        .at_ns = callback->at_ns,
        .operation = callback->operation,
        .bytes = callback->bytes,
        .thread = callback->thread,
        .submitted = callback->submitted};
    callers_be(&report->happened, callback->function);
}

/* For how long it slept: not what it computed, nor what it waited for a core. 0 where that is not known: the
 * watching thread, which would have looked meanwhile, came too late, as when the process is stopped. (One
 * that it did see asleep has slept for as long as its clock says.) */
static uint64_t slept_ns(const struct verdict_callback *callback, const struct verdict_times *now, bool late)
{
    uint64_t not_slept = now->cpu_ns - callback->began.cpu_ns + (now->waited_ns - callback->began.waited_ns);
    uint64_t ran = late ? callback->ran_ns : now->now_ns - callback->began.now_ns;

    if ((late && !callback->reported) || !now->seen || now->sleeps == callback->began.sleeps ||
        ran < not_slept)
        return 0;
    return ran - not_slept;
}

bool verdict_callback_may_be(const struct verdict_callback *callback, enum ersatz_finding finding)
{
    return finding != ERSATZ_FOUND_BLOCKED_CALLBACK || !callback->entered;
}

static void note_callback(const struct verdict_callback *callback, enum ersatz_finding finding, uint64_t ns,
    char *note, size_t size)
{
    bool seen = finding == ERSATZ_FOUND_BLOCKED_CALLBACK && callback->sleeps_in[0] != '\0';

    snprintf(note, size, "its callback %s for %llu ms on the card's thread%s%s",
        finding == ERSATZ_FOUND_BLOCKED_CALLBACK ? "slept" : "computed", (unsigned long long)(ns / NS_PER_MS),
        seen ? ", in " : "", seen ? callback->sleeps_in : "");
}

/* Under the lock: what it was, and for how long. */
static uint64_t judge_ended(
    const struct verdict *verdict, struct verdict_callback *callback, const struct verdict_times *now)
{
    bool late = verdict->late_looks != callback->late_looks ||
                (now->now_ns > verdict->looked_ns && now->now_ns - verdict->looked_ns > STEP_MAX_NS);
    uint64_t slept = slept_ns(callback, now, late), computed = now->cpu_ns - callback->began.cpu_ns;

    if (!callback->reported)
        callback->finding = slept > computed ? ERSATZ_FOUND_BLOCKED_CALLBACK : ERSATZ_FOUND_LONG_CALLBACK;
    return callback->finding == ERSATZ_FOUND_BLOCKED_CALLBACK ? slept : computed;
}

void verdict_callback_ends(struct verdict *verdict, struct verdict_callback *callback)
{
    uint64_t limit_ns = verdict->findings->limits.callback_ms * NS_PER_MS, ns = 0;
    bool is_short = clock_now() - callback->began.now_ns < limit_ns, tell = false;
    struct verdict_times now = is_short ? callback->began : times_now(callback->thread);
    struct verdict_callback **link = &verdict->callbacks;
    struct verdict_report report;

    --*own_callbacks();
    running_ends(callback->running);
    pthread_mutex_lock(&verdict->lock);
    while (*link != callback)
        link = &(*link)->next;
    *link = callback->next;
    if (!is_short)
        ns = judge_ended(verdict, callback, &now);
    if (ns >= limit_ns) {
        verdict_callback_about(&report, callback, callback->finding);
        note_callback(callback, callback->finding, ns, report.note, sizeof(report.note));
        tell = !callback->reported && verdict_callback_may_be(callback, callback->finding);
    }
    if (ns >= limit_ns && callback->reported) {
        verdict_amend(callback->sighting, report.note);
        ersatz_count_max(&verdict->findings->of[callback->finding].ns, ns);
    }
    pthread_mutex_unlock(&verdict->lock);
    if (tell)
        verdict_tell(verdict, &report, ns);
}

void verdict_enters(struct verdict *verdict, const char *what)
{
    struct verdict_callback *callback;
    struct verdict_report report;
    bool tell = false;

    if (*own_callbacks() == 0)
        return;
    pthread_mutex_lock(&verdict->lock);
    for (callback = verdict->callbacks; callback != NULL; callback = callback->next) {
        if (callback->thread != thread_self() || callback->entered)
            continue;
        callback->entered = tell = true;
        verdict_callback_about(&report, callback, ERSATZ_FOUND_CALLBACK_REENTERS);
        break;
    }
    pthread_mutex_unlock(&verdict->lock);
    if (!tell)
        return;
    /* In a job that was resumed there, the stack is the job's: then it is the callback's function. */
    if (callers_on_stack_of_thread())
        callers_take(&report.happened);
    snprintf(report.note, sizeof(report.note), "its callback, on the card's thread, %s", what);
    verdict_tell(verdict, &report, 0);
}

/* ------------------------------------------------------------------------------------------ start and end
 */

struct verdict *verdict_start(struct ersatz_findings *findings, uint64_t pause_ns)
{
    struct verdict *verdict = calloc(1, sizeof(*verdict));
    pthread_condattr_t monotonic;

    if (verdict == NULL)
        return NULL;
    callers_prepare();
    verdict->findings = findings;
    verdict->pause_ns = pause_ns;
    pthread_mutex_init(&verdict->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&verdict->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!verdict_watch_start(verdict)) {
        verdict_free(verdict);
        return NULL;
    }
    return verdict;
}

void verdict_free(struct verdict *verdict)
{
    if (verdict == NULL)
        return;
    while (verdict->spare != NULL) {
        struct verdict_entry *entry = verdict->spare;

        verdict->spare = entry->next;
        free(entry);
    }
    pthread_cond_destroy(&verdict->wake);
    pthread_mutex_destroy(&verdict->lock);
    free(verdict);
}
