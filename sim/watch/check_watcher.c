/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watcher: a thread that looks every 20 milliseconds at jobs that were signalled and are left alone, at
 * jobs that a full ring refused, and at callbacks that run; and finds out what the threads in question do.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check_state.h"

#include "base/threads.h"

#define IDLE_LOOKS 50u   /* looks with nothing to look at, before the watcher sleeps */
#define ASLEEP_LOOKS 3u  /* looks in a row at which a callback sleeps, until it counts as blocked */
#define SUSPECTS_MAX 16u /* at one look; the others come at the next */
#define SCANS_MAX 2u     /* of all threads, at one look */

/* A copy of an open entry that is to be looked into. The entry may be closed meanwhile. */
struct suspect {
    struct check_entry *entry;
    uint64_t number;
    bool is_callback_mode, refused, callback_due;
    uint64_t alone_ns, waited_ns, ran_ns;
    bool first_look;
    struct check_report report;
};

struct suspects {
    unsigned count;
    unsigned scans; /* of all threads, so far */
    struct suspect list[SUSPECTS_MAX];
};

/* ---------------------------------------------------------------------------------------- jobs left alone */

/* Under the lock: whether its job could go on now. */
static bool is_alone(const struct check_entry *entry)
{
    if (entry->refused)
        return atomic_load(entry->slots.taken) < entry->slots.all &&
               clock_now() >= entry->slots.full_until_ns;
    return state_of(entry->request->state) == REQUEST_SIGNALLED;
}

static bool callback_is_due(const struct check *check)
{
    for (const struct check_entry *entry = check->open; entry != NULL; entry = entry->next) {
        if (!entry->refused && entry->request->callback != NULL && !is_alone(entry))
            return true;
    }
    return false;
}

/* Under the lock. */
static void suspect(struct check *check, struct check_entry *entry, struct suspects *suspects)
{
    struct suspect *suspect = &suspects->list[suspects->count++];

    *suspect = (struct suspect){.entry = entry,
        .number = entry->number,
        .refused = entry->refused,
        .is_callback_mode = entry->refused || entry->request->callback != NULL,
        .alone_ns = entry->alone_ns,
        .waited_ns = entry->waited_ns,
        .ran_ns = entry->ran_ns,
        .first_look = entry->looks == 2};
    suspect->callback_due = suspect->refused && callback_is_due(check);
    report_fill(&suspect->report, entry, ERSATZ_FOUND_NEVER_RESUMED);
}

/* Under the lock: add the time since the last look to the entries that are alone, and list those to look
 * into: at their second look, to learn how long their thread has waited for a core so far; when they reach
 * the limit; and each time that they have been alone for twice as long. */
static void look_at_entries(struct check *check, uint64_t step_ns, struct suspects *suspects)
{
    for (struct check_entry *entry = check->open; entry != NULL; entry = entry->next) {
        uint64_t held_ns = entry_take_held(entry);

        if (!is_alone(entry)) {
            entry->left_out_ns = 0;
            continue;
        }
        if (held_ns > step_ns)
            held_ns = step_ns;
        if (entry->looks > 0) {
            entry->alone_ns += step_ns - held_ns;
            entry->left_out_ns += held_ns;
        }
        if (entry->reported) {
            ersatz_count_max(&check->findings->of[entry->finding].ns, entry->alone_ns);
            continue;
        }
        if (suspects->count == SUSPECTS_MAX)
            continue;
        if (entry->looks++ == 1 || (entry->looks > 2 && entry->alone_ns >= entry->look_at_ns))
            suspect(check, entry, suspects);
    }
}

/* Under the lock: the entry of a suspect, unless it was closed, or changed, meanwhile. */
static struct check_entry *still_open(struct check *check, const struct suspect *suspect)
{
    for (struct check_entry *entry = check->open; entry != NULL; entry = entry->next) {
        if (entry == suspect->entry && entry->number == suspect->number && entry->refused == suspect->refused)
            return entry;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------- locks */

/* blind: ERSATZ_BLIND_..., what could not be looked at. */
static void note_blind(struct check *check, uint32_t blind)
{
    atomic_fetch_or_explicit(&check->findings->blind, blind, memory_order_relaxed);
}

/* Whether that thread waits for a lock that the owner has. */
static bool waits_for(struct check *check, pid_t thread, pid_t owner)
{
    struct thread_state state;
    pid_t lock_owner;

    thread_look(thread, &state);
    switch (thread_lock_owner(&state, &lock_owner)) {
    case LOCK_UNREADABLE:
        note_blind(check, ERSATZ_BLIND_LOCKS);
        return false;
    case LOCK_OWNED:
        return lock_owner == owner;
    default:
        return false;
    }
}

/* The first thread that waits for a lock that the owner has; 0: none. */
static pid_t find_waiter(struct check *check, pid_t owner)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *each;
    pid_t found = 0;

    if (threads == NULL) {
        note_blind(check, ERSATZ_BLIND_THREADS);
        return 0;
    }
    while (found == 0 && (each = readdir(threads)) != NULL) {
        pid_t thread = (pid_t)strtol(each->d_name, NULL, 10);

        if (thread > 0 && waits_for(check, thread, owner))
            found = thread;
    }
    closedir(threads);
    return found;
}

/* ---------------------------------------------------------------------------------------------- diagnosis */

/* If the job's thread sleeps, and owns a lock for which a thread waits, then the job has taken that lock. */
static bool has_lock(struct check *check, struct suspects *suspects, struct check_report *report,
    const struct thread_state *state)
{
    pid_t waiter;

    if (!state->asleep || suspects->scans++ >= SCANS_MAX)
        return false;
    waiter = find_waiter(check, report->thread);
    if (waiter == 0)
        return false;
    report->finding = ERSATZ_FOUND_LOCK_HELD;
    if (waiter == report->thread)
        snprintf(report->note, sizeof(report->note),
            "paused while it held a lock, and its own thread waits for that lock");
    else
        snprintf(report->note, sizeof(report->note),
            "paused while it held a lock; thread %d waits for that lock, and the job's own thread sleeps",
            (int)waiter);
    return true;
}

static bool expects_descriptor(
    const struct suspect *suspect, struct check_report *report, const struct thread_state *state)
{
    char text[32];

    if (!suspect->is_callback_mode || !thread_waits_for_descriptors(state))
        return false;
    report->finding = ERSATZ_FOUND_DESCRIPTOR_EXPECTED;
    snprintf(report->note, sizeof(report->note),
        "its callback has run, but the job was not resumed, and its thread waits in %s",
        thread_call_name(state, text, sizeof(text)));
    return true;
}

/* Not under the lock: find out why the job is not resumed. The finding stays NEVER_RESUMED where that does
 * not show. */
static void diagnose(struct check *check, struct suspects *suspects, struct suspect *suspect)
{
    struct check_report *report = &suspect->report;
    struct thread_state state;

    if (suspect->refused) {
        report->finding = ERSATZ_FOUND_EAGAIN_IGNORED;
        snprintf(report->note, sizeof(report->note),
            "refused by a full ring (EAGAIN), and not resumed although there has been room since; %s",
            suspect->callback_due ? "callbacks of other jobs will come" : "no callback will come");
        return;
    }
    thread_look(report->thread, &state);
    if (!state.seen)
        note_blind(check, ERSATZ_BLIND_THREADS);
    if (has_lock(check, suspects, report, &state) || expects_descriptor(suspect, report, &state))
        return;
    snprintf(report->note, sizeof(report->note), "signalled, and not resumed for %u ms or longer",
        check->findings->limits.answer_ms);
}

/* Under the lock: it is over the limit. */
static void become_overdue(struct check *check, struct check_entry *entry, const struct suspect *suspect,
    const struct ersatz_sighting *sighting)
{
    enum ersatz_finding finding = suspect->report.finding;

    entry->look_at_ns = 2 * entry->alone_ns;
    if (finding != ERSATZ_FOUND_NEVER_RESUMED) {
        if (entry->live != NULL)
            atomic_store_explicit(&entry->live->kept, 0, memory_order_relaxed);
        if (entry->overdue)
            atomic_fetch_sub_explicit(&check->findings->unanswered, 1, memory_order_relaxed);
        entry->live = NULL;
        entry->reported = true;
        entry->finding = finding;
        finding_count(check, finding, entry->alone_ns);
        sighting_publish(check, finding, sighting);
        return;
    }
    if (!entry->overdue) {
        entry->overdue = true;
        atomic_fetch_add_explicit(&check->findings->unanswered, 1, memory_order_relaxed);
    }
    if (entry->live == NULL)
        entry->live = sighting_publish(check, finding, sighting);
}

/* Whether its thread may be waiting for a core: Linux counts that time only when the wait is over. A thread
 * that has had a core since the look before has counted all but its last moments. */
static bool may_wait_for_core(const struct suspect *suspect, const struct thread_schedstat *times)
{
    struct thread_state state;

    thread_look(suspect->report.thread, &state);
    return state.seen && !state.asleep && times->ran_ns != 0 &&
           (suspect->ran_ns == 0 || suspect->ran_ns == times->ran_ns);
}

/* Not under the lock. */
static void look_into(struct check *check, struct suspects *suspects, struct suspect *suspect)
{
    uint64_t limit_ns = check->findings->limits.answer_ms * NS_PER_MS;
    struct thread_schedstat times = thread_schedstat(suspect->report.thread);
    uint64_t busy_ns = suspect->first_look ? 0 : times.waited_ns - suspect->waited_ns; /* it had no core */
    bool is_over = !suspect->first_look && suspect->alone_ns >= limit_ns + busy_ns;
    bool looks_again = is_over && may_wait_for_core(suspect, &times);
    struct ersatz_sighting sighting;
    struct check_entry *entry;

    if (is_over && !looks_again) {
        diagnose(check, suspects, suspect);
        sighting_symbolize(&suspect->report, &sighting);
    }
    pthread_mutex_lock(&check->lock.mutex);
    entry = still_open(check, suspect);
    if (entry != NULL && suspect->first_look) {
        entry->waited_ns = times.waited_ns;
        entry->ran_ns = 0;
        entry->look_at_ns = limit_ns;
    } else if (entry != NULL && looks_again) {
        entry->ran_ns = times.ran_ns;
        entry->look_at_ns = suspect->alone_ns + 1;
    } else if (entry != NULL && is_over) {
        become_overdue(check, entry, suspect, &sighting);
    } else if (entry != NULL) {
        entry->ran_ns = 0;
        entry->look_at_ns = limit_ns + busy_ns;
    }
    pthread_mutex_unlock(&check->lock.mutex);
}

/* ---------------------------------------------------------------------------------------------- callbacks */

/* Its thread may wait for the lock of the check; then it is judged. */
static bool has_returned(const struct check_callback *callback)
{
    return atomic_load_explicit(&callback->returned, memory_order_relaxed);
}

/* Under the lock: of the callbacks after that serial that have run for longer than the limit, the first. */
static struct check_callback *next_slow_callback(struct check *check, uint64_t after)
{
    struct check_callback *next = NULL;

    for (struct check_callback *each = check->callbacks; each != NULL; each = each->next) {
        if (!each->reported && !has_returned(each) && each->serial > after &&
            each->ran_ns >= check->findings->limits.callback_ms * NS_PER_MS &&
            (next == NULL || each->serial < next->serial))
            next = each;
    }
    return next;
}

static struct check_callback *find_callback(struct check *check, uint64_t serial)
{
    struct check_callback *each = check->callbacks;

    while (each != NULL && each->serial != serial)
        each = each->next;
    return each;
}

/* Not under the lock. Whether there is a finding; then the report has it, and its note. */
static bool judge_callback(struct check *check, struct check_report *report, unsigned *asleep,
    char *sleeps_in, size_t size, uint64_t ran_ns, uint64_t cpu_ns)
{
    struct thread_state state;
    char text[32];

    thread_look(report->thread, &state);
    if (!state.seen)
        note_blind(check, ERSATZ_BLIND_THREADS);
    *asleep = state.asleep ? *asleep + 1 : 0;
    if (state.asleep)
        snprintf(sleeps_in, size, "%s", thread_call_name(&state, text, sizeof(text)));
    if (*asleep >= ASLEEP_LOOKS) {
        report->finding = ERSATZ_FOUND_BLOCKED_CALLBACK;
        snprintf(report->note, sizeof(report->note),
            "its callback has run on the card's thread for %llu ms so far, and sleeps in %s",
            (unsigned long long)(ran_ns / NS_PER_MS), sleeps_in);
        return true;
    }
    if (cpu_ns >= check->findings->limits.callback_ms * NS_PER_MS) {
        snprintf(report->note, sizeof(report->note),
            "its callback has computed on the card's thread for %llu ms so far",
            (unsigned long long)(cpu_ns / NS_PER_MS));
        return true;
    }
    return false;
}

/* Look into one callback. The lock is held when this is called and when it returns. False: the callback has
 * returned meanwhile, and was judged then. */
static bool look_into_callback(struct check *check, struct check_callback *callback)
{
    struct check_report report;
    uint64_t serial = callback->serial, ran_ns = callback->ran_ns, began_ns = callback->began.cpu_ns, cpu_ns;
    unsigned asleep = callback->asleep;
    char sleeps_in[sizeof(callback->sleeps_in)] = "";
    struct ersatz_sighting *kept;
    bool tell;

    report_fill_callback(&report, callback, ERSATZ_FOUND_LONG_CALLBACK);
    pthread_mutex_unlock(&check->lock.mutex);
    cpu_ns = thread_schedstat(report.thread).ran_ns;
    cpu_ns = cpu_ns > began_ns ? cpu_ns - began_ns : 0;
    tell = judge_callback(check, &report, &asleep, sleeps_in, sizeof(sleeps_in), ran_ns, cpu_ns);
    pthread_mutex_lock(&check->lock.mutex);
    callback = find_callback(check, serial);
    if (callback == NULL)
        return false;
    callback->asleep = asleep;
    if (sleeps_in[0] != '\0')
        memcpy(callback->sleeps_in, sleeps_in, sizeof(sleeps_in));
    if (!tell || has_returned(callback) || !callback_may_be_reported(callback, report.finding))
        return true;
    callback->reported = true; /* when it ends, only its time is added */
    callback->finding = report.finding;
    pthread_mutex_unlock(&check->lock.mutex);
    kept = finding_report(check, &report, report.finding == ERSATZ_FOUND_LONG_CALLBACK ? cpu_ns : ran_ns);
    pthread_mutex_lock(&check->lock.mutex);
    callback = find_callback(check, serial);
    if (callback != NULL)
        callback->sighting = kept;
    return callback != NULL;
}

/* Look into callbacks that have run for long. The lock is held when this is called and when it returns. */
static void look_at_callbacks(struct check *check, uint64_t step_ns)
{
    struct check_callback *callback;

    for (callback = check->callbacks; callback != NULL; callback = callback->next)
        callback->ran_ns += step_ns;
    callback = NULL;
    while ((callback = next_slow_callback(check, callback == NULL ? 0 : callback->serial)) != NULL) {
        if (!look_into_callback(check, callback))
            return; /* the list has changed; the others come at the next look */
    }
}

/* ------------------------------------------------------------------------------------------------- thread */

static uint64_t add(struct timespec *time, uint64_t ns)
{
    ns += (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
    time->tv_sec = (time_t)(ns / 1000000000);
    time->tv_nsec = (long)(ns % 1000000000);
    return ns;
}

/* Under the lock: wait until the next look, or for as long as there is nothing to look at. */
static void wait_for_look(struct check *check, unsigned *idle)
{
    struct timespec until;

    if (check->open != NULL || check->callbacks != NULL)
        *idle = 0;
    if (++*idle <= IDLE_LOOKS) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        add(&until, LOOK_NS);
        while (!check->stopping && pthread_cond_timedwait(&check->wake, &check->lock.mutex, &until) == 0)
            ;
        return;
    }
    check->asleep = true;
    while (!check->stopping && check->open == NULL && check->callbacks == NULL)
        pthread_cond_wait(&check->wake, &check->lock.mutex);
    check->asleep = false;
    check->looked_ns = clock_now(); /* no job was left alone meanwhile */
    *idle = 0;
}

static void *watch(void *arg)
{
    struct check *check = arg;
    unsigned idle = 0;

    pthread_mutex_lock(&check->lock.mutex);
    check->looked_ns = clock_now();
    while (!check->stopping) {
        struct suspects suspects = {.count = 0};
        uint64_t now_ns, step_ns;

        wait_for_look(check, &idle);
        now_ns = clock_now();
        step_ns = now_ns - check->looked_ns;
        if (step_ns > STEP_MAX_NS) {
            step_ns = STEP_MAX_NS;
            check->late_looks++;
        }
        check->looked_ns = now_ns;
        look_at_callbacks(check, step_ns);
        look_at_entries(check, step_ns, &suspects);
        pthread_mutex_unlock(&check->lock.mutex);
        for (unsigned i = 0; i < suspects.count; i++)
            look_into(check, &suspects, &suspects.list[i]);
        pthread_mutex_lock(&check->lock.mutex);
    }
    pthread_mutex_unlock(&check->lock.mutex);
    return NULL;
}

bool check_watcher_start(struct check *check)
{
    return thread_start(&check->watcher, watch, check);
}

void check_watcher_stop(struct check *check)
{
    pthread_mutex_lock(&check->lock.mutex);
    check->stopping = true;
    pthread_cond_signal(&check->wake);
    pthread_mutex_unlock(&check->lock.mutex);
    pthread_join(check->watcher, NULL);
}
