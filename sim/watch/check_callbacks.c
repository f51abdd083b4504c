/* SPDX-License-Identifier: Apache-2.0 */
/* Watches callbacks on the card's threads: that they return soon, and do not call back into the engine. */
#include <stdio.h>
#include <sys/resource.h>

#include "base/threads.h"
#include "check_state.h"
#include "running.h"

/* How many callbacks run on the calling thread, one inside another, if it is a thread of the card. */
static _Thread_local unsigned callback_depth;

/* Not inlined: a job may go on in another thread, where the compiler must not use this address. */
__attribute__((noinline)) static unsigned *thread_callback_depth(void)
{
    return &callback_depth;
}

/* A callback's own time is what lies between this at its begin and at its end. For the check's own lock, and
 * files of /proc, the thread waits before or after. */
static void note_usage(struct thread_usage *usage)
{
    struct rusage of_thread;

    getrusage(RUSAGE_THREAD, &of_thread);
    usage->now_ns = clock_now();
    usage->cpu_ns = clock_thread_cpu();
    usage->sleeps = of_thread.ru_nvcsw;
}

/* Before the former at the begin, after it at the end. */
static void note_waited(struct thread_usage *usage, pid_t thread)
{
    struct thread_schedstat schedstat = thread_schedstat(thread);

    usage->waited_ns = schedstat.waited_ns;
    usage->has_waited_ns = schedstat.ran_ns != 0;
}

static struct ersatz_running_callback *begin_running(
    struct check *check, struct watched *request, pid_t thread, bool is_applications)
{
    uint64_t now_ns = clock_now() - check->findings->began_ns;
    uint64_t submitted_ns = *request->submitted_ns - check->findings->began_ns;
    const struct ersatz_running_callback as = {.thread = thread,
        .is_applications = is_applications,
        .operation = ersatz_op_name(request->op),
        .bytes = check_size_of(request->op),
        .request = *request->number,
        .at_ns = submitted_ns,
        .began_ns = now_ns,
        .function = (uintptr_t)request->callback};

    return running_begins(check->findings, &as);
}

struct ersatz_running_callback *check_polled_callback_begins(struct check *check, struct watched *request)
{
    return begin_running(check, request, thread_self(), true);
}

void check_polled_callback_ends(struct ersatz_running_callback *running)
{
    running_ends(running);
}

void check_callback_begins(struct check *check, struct check_callback *callback, struct watched *request)
{
    struct ersatz_locked locked;

    ++*thread_callback_depth();
    *callback = (struct check_callback){.thread = thread_self(),
        .operation = ersatz_op_name(request->op),
        .bytes = check_size_of(request->op),
        .function = (uintptr_t)request->callback};
    note_waited(&callback->began, callback->thread);
    ersatz_lock(&check->lock, &locked);
    note_usage(&callback->began);
    if (request->entry != NULL) {
        callback->submitted = request->entry->submitted;
        callback->number = *request->number;
        callback->at_ns = request->entry->at_ns;
    }
    callback->serial = ++check->last_callback;
    callback->late_looks = check->late_looks;
    callback->next = check->callbacks;
    check->callbacks = callback;
    if (check->asleep)
        pthread_cond_signal(&check->wake);
    ersatz_unlock(&locked);
    callback->running = begin_running(check, request, callback->thread, false);
}

void report_fill_callback(
    struct check_report *report, const struct check_callback *callback, enum ersatz_finding finding)
{
    *report = (struct check_report){.finding = finding,
        .number = callback->number,
        .at_ns = callback->at_ns,
        .operation = callback->operation,
        .bytes = callback->bytes,
        .thread = callback->thread,
        .submitted = callback->submitted};
    callers_be(&report->happened, callback->function);
}

/* For how long it slept, without the time that it computed or waited for a core. 0: not known, since the
 * watcher, which should have looked meanwhile, came too late, as when the process was stopped. (A callback
 * that the watcher saw asleep has slept for as long as the watcher's clock says.) */
static uint64_t slept_ns(const struct check_callback *callback, const struct thread_usage *now, bool late)
{
    uint64_t not_slept = now->cpu_ns - callback->began.cpu_ns + (now->waited_ns - callback->began.waited_ns);
    uint64_t ran = late ? callback->ran_ns : now->now_ns - callback->began.now_ns;

    if ((late && !callback->reported) || !now->has_waited_ns || now->sleeps == callback->began.sleeps ||
        ran < not_slept)
        return 0;
    return ran - not_slept;
}

bool callback_may_be_reported(const struct check_callback *callback, enum ersatz_finding finding)
{
    return finding != ERSATZ_FOUND_BLOCKED_CALLBACK || !callback->entered;
}

static void note_callback(
    const struct check_callback *callback, enum ersatz_finding finding, uint64_t ns, char *note, size_t size)
{
    bool seen = finding == ERSATZ_FOUND_BLOCKED_CALLBACK && callback->sleeps_in[0] != '\0';

    snprintf(note, size, "its callback %s for %llu ms on the card's thread%s%s",
        finding == ERSATZ_FOUND_BLOCKED_CALLBACK ? "slept" : "computed", (unsigned long long)(ns / NS_PER_MS),
        seen ? ", in " : "", seen ? callback->sleeps_in : "");
}

/* Under the lock: decide on the finding, unless it was reported. Returns for how long it slept or
 * computed. */
static uint64_t judge_ended(
    const struct check *check, struct check_callback *callback, const struct thread_usage *now)
{
    bool late = check->late_looks != callback->late_looks ||
                (now->now_ns > check->looked_ns && now->now_ns - check->looked_ns > STEP_MAX_NS);
    uint64_t slept = slept_ns(callback, now, late), computed = now->cpu_ns - callback->began.cpu_ns;

    if (!callback->reported)
        callback->finding = slept > computed ? ERSATZ_FOUND_BLOCKED_CALLBACK : ERSATZ_FOUND_LONG_CALLBACK;
    return callback->finding == ERSATZ_FOUND_BLOCKED_CALLBACK ? slept : computed;
}

void check_callback_ends(struct check *check, struct check_callback *callback)
{
    uint64_t limit_ns = check->findings->limits.callback_ms * NS_PER_MS, ns = 0;
    bool is_short = clock_now() - callback->began.now_ns < limit_ns, tell = false;
    struct thread_usage now = callback->began;
    struct check_callback **link = &check->callbacks;
    struct check_report report;
    struct ersatz_locked locked;

    atomic_store_explicit(&callback->returned, true, memory_order_relaxed);
    --*thread_callback_depth();
    running_ends(callback->running);
    if (!is_short) {
        note_usage(&now);
        note_waited(&now, callback->thread);
    }
    ersatz_lock(&check->lock, &locked);
    while (*link != callback)
        link = &(*link)->next;
    *link = callback->next;
    if (!is_short)
        ns = judge_ended(check, callback, &now);
    if (ns >= limit_ns) {
        report_fill_callback(&report, callback, callback->finding);
        note_callback(callback, callback->finding, ns, report.note, sizeof(report.note));
        tell = !callback->reported && callback_may_be_reported(callback, callback->finding);
    }
    if (ns >= limit_ns && callback->reported) {
        sighting_amend(callback->sighting, report.note);
        ersatz_count_max(&check->findings->of[callback->finding].ns, ns);
    }
    ersatz_unlock(&locked);
    if (tell)
        finding_report(check, &report, ns);
}

bool check_reentry(struct check *check, const char *action)
{
    struct check_callback *callback;
    struct check_report report;
    bool tell = false;
    struct ersatz_locked locked;

    if (*thread_callback_depth() == 0)
        return false;
    ersatz_lock(&check->lock, &locked);
    for (callback = check->callbacks; callback != NULL; callback = callback->next) {
        if (callback->thread != thread_self() || callback->entered)
            continue;
        callback->entered = tell = true;
        report_fill_callback(&report, callback, ERSATZ_FOUND_CALLBACK_REENTERS);
        break;
    }
    ersatz_unlock(&locked);
    if (!tell)
        return true;
    /* In a job that the callback resumed, the stack is the job's. Then the callback's function is
     * reported. */
    if (callers_on_stack_of_thread())
        callers_take(&report.happened);
    snprintf(report.note, sizeof(report.note), "its callback %s on the card's thread", action);
    finding_report(check, &report, 0);
    return true;
}
