/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the faults of a request at its submission; resets of the card, requests that hang, and full rings. */
#include "faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/stats.h"
#include "by_hand.h"
#include "callback.h"
#include "faults_inside.h"
#include "instance.h"
#include "timers.h"
#include "waker.h"
#include "watch/check.h"

#define SHUT_NS NS_PER_MS /* for how long a ring is full where the rule has no time */

/* ------------------------------------------------------------------------------------------------- resets */

bool faults_have_card_down(const struct faults *faults)
{
    uint64_t until = atomic_load(&faults->down_until);

    return until != 0 && (until == UINT64_MAX || clock_now() < until);
}

/* The result of a request that was in flight when the card went down, or that was given up. */
static enum ersatz_result result_of_end(enum ersatz_fault ended_by)
{
    if (ended_by == ERSATZ_FAULT_HANG)
        return ERSATZ_DEVICE_ERROR;
    return ended_by == ERSATZ_FAULT_GONE ? ERSATZ_DEVICE_GONE : ERSATZ_DEVICE_RESET;
}

/* Under the lock. Returns the request's result. */
static enum ersatz_result blame_reset(struct faults *faults, struct ersatz_request *request)
{
    fault_blame(request, faults->ended_by, faults->ended_on);
    return result_of_end(faults->ended_by);
}

/* They have hung, and end now: by the fault that they blame, else because the device stops. Not under the
 * lock. */
static void end_all(struct ersatz_request *request)
{
    while (request != NULL) {
        struct ersatz_request *next = request->next;
        struct ersatz_stats *stats = device_stats(request->device);
        enum ersatz_result result =
            request->faults.blamed_on != 0 ? result_of_end(request->faults.by) : ERSATZ_STOPPED;

        stats_count(stats, ERSATZ_COUNTER_COMPLETED, 1);
        stats_count(stats, ERSATZ_COUNTER_FAILED, 1);
        complete_uncomputed(request, result);
        request = next;
    }
}

/* Under the lock: take the requests that hang, as a list. */
static struct ersatz_request *take_hung(struct faults *faults)
{
    struct ersatz_request *hung = faults->hung_first;

    faults->hung_first = NULL;
    faults->hung_end = &faults->hung_first;
    return hung;
}

/* The card goes down, by that fault of the request with that number. Returns the requests that have hung
 * until now. A card that is down cannot be reset again, but it may still go for good. Under the lock. */
static struct ersatz_request *go_down(
    struct faults *faults, enum ersatz_fault fault, uint64_t number, uint64_t time_ns)
{
    bool for_good = fault == ERSATZ_FAULT_GONE;
    struct ersatz_request *hung;

    if (for_good ? atomic_load(&faults->down_until) == UINT64_MAX : faults_have_card_down(faults))
        return NULL;
    fault_count(faults, fault);
    faults->ended_by = fault;
    faults->ended_on = number;
    atomic_store(&faults->down_until, for_good ? UINT64_MAX : clock_now() + time_ns);
    atomic_fetch_add(&faults->resets, 1);
    hung = take_hung(faults);
    for (struct ersatz_request *each = hung; each != NULL; each = each->next)
        blame_reset(faults, each);
    return hung;
}

static void end_by_reset(
    struct faults *faults, const struct ersatz_request *request, const struct ersatz_fault_rule *rule)
{
    struct ersatz_request *hung;
    struct ersatz_locked locked;

    ersatz_lock(&faults->lock, &locked);
    hung = go_down(faults, rule->fault, request->times.number, rule->time_ns);
    ersatz_unlock(&locked);
    end_all(hung);
}

static struct ersatz_request *take_doomed(struct faults *faults)
{
    struct ersatz_request *doomed;
    struct ersatz_locked locked;

    ersatz_lock(&faults->lock, &locked);
    doomed = faults->doomed;
    faults->doomed = NULL;
    ersatz_unlock(&locked);
    return doomed;
}

static void end_doomed(void *faults)
{
    end_all(take_doomed(faults));
}

/* By a command. The thread that it comes from may have descriptors of its own, so it signals nobody: the
 * timer thread does. */
static bool go_down_by_command(struct ersatz_device *device, enum ersatz_fault fault, uint64_t time_ns)
{
    struct faults *faults = device->faults;
    struct ersatz_request *hung, **end;
    struct ersatz_locked locked;

    if (faults == NULL)
        return false;
    ersatz_lock(&faults->lock, &locked);
    hung = go_down(faults, fault, FAULT_BY_COMMAND, time_ns);
    for (end = &faults->doomed; *end != NULL;)
        end = &(*end)->next;
    *end = hung;
    ersatz_unlock(&locked);
    if (hung != NULL) /* without memory, they end with the device: faults_stop() */
        (void)timers_call(device->timers, 0, end_doomed, faults);
    return true;
}

bool ersatz_device_reset(struct ersatz_device *device, uint64_t time_ns)
{
    return go_down_by_command(device, ERSATZ_FAULT_RESET, time_ns);
}

bool ersatz_device_remove(struct ersatz_device *device)
{
    return go_down_by_command(device, ERSATZ_FAULT_GONE, 0);
}

bool ersatz_device_bring_back(struct ersatz_device *device)
{
    if (device->faults == NULL)
        return false;
    atomic_store(&device->faults->down_until, 0);
    return true;
}

void faults_stop(struct faults *faults)
{
    struct ersatz_request *hung;
    struct ersatz_locked locked;

    end_doomed(faults);
    ersatz_lock(&faults->lock, &locked);
    hung = take_hung(faults);
    ersatz_unlock(&locked);
    end_all(hung);
}

/* On the timer thread: the requests that have hung for their time fail, as if a driver had given them up. */
static void give_up_hung(void *arg)
{
    struct faults *faults = arg;
    struct ersatz_request *over = NULL, **at = &faults->hung_first;
    uint64_t now = clock_now();
    struct ersatz_locked locked;

    ersatz_lock(&faults->lock, &locked);
    while (*at != NULL) {
        struct ersatz_request *request = *at;

        if (request->faults.hung_until == 0 || request->faults.hung_until > now) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = over;
        over = request;
        fault_blame(request, ERSATZ_FAULT_HANG, request->times.number);
    }
    faults->hung_end = at;
    ersatz_unlock(&locked);
    end_all(over);
}

enum ersatz_result faults_take_up(struct faults *faults, struct ersatz_request *request, bool *hangs)
{
    enum ersatz_result result = ERSATZ_OK;
    struct ersatz_locked locked;
    uint64_t until = 0;

    *hangs = false;
    if (!request_is_struck(&request->faults, ERSATZ_FAULT_HANG) &&
        request->faults.resets == atomic_load(&faults->resets))
        return result;
    ersatz_lock(&faults->lock, &locked);
    if (request->faults.resets != atomic_load(&faults->resets)) {
        result = blame_reset(faults, request);
    } else {
        *hangs = true;
        fault_count(faults, ERSATZ_FAULT_HANG);
        if (request->faults.hang_ns != 0)
            request->faults.hung_until = until = clock_now() + request->faults.hang_ns;
        request->next = NULL;
        *faults->hung_end = request;
        faults->hung_end = &request->next;
    }
    ersatz_unlock(&locked);
    /* Without memory for the timer it hangs until the card is reset. The request may be gone by now. */
    if (until != 0)
        timers_call(faults->device->timers, until, give_up_hung, faults);
    return result;
}

/* --------------------------------------------------------------------------------------------- submission */

/* What a rule does to a request that it strikes. */
static void strike(
    struct faults *faults, struct ersatz_request *request, const struct ersatz_fault_rule *rule)
{
    struct request_faults *own = &request->faults;

    if (rule->fault == ERSATZ_FAULT_BOOT && clock_now() >= faults->opened_at + rule->time_ns)
        return; /* the card is up */
    own->strikes |= 1u << rule->fault;
    switch (rule->fault) {
    case ERSATZ_FAULT_RESET:
    case ERSATZ_FAULT_GONE:
        end_by_reset(faults, request, rule);
        break;
    case ERSATZ_FAULT_RING_FULL:
        own->shut_ns = rule->time_ns;
        break;
    case ERSATZ_FAULT_REORDER:
        own->reorder_ns = rule->time_ns;
        break;
    case ERSATZ_FAULT_HANG:
        own->hang_ns = rule->time_ns;
        break;
    case ERSATZ_FAULT_BOOT:
        own->up_at = faults->opened_at + rule->time_ns;
        fault_count(faults, ERSATZ_FAULT_BOOT);
        break;
    case ERSATZ_FAULT_FORK:
        own->fork_ns = rule->time_ns;
        break;
    case ERSATZ_FAULT_EARLY:
        own->early_ns = rule->time_ns;
        break;
    case ERSATZ_FAULT_READY:
        own->ready_ns = rule->time_ns;
        break;
    default:
        own->delay_ns += rule->time_ns; /* late, spurious, slow; 0 for the others */
    }
}

/* Whether a request that is signalled in this way can have the fault. */
static bool can_have(const struct ersatz_request *request, enum ersatz_fault fault)
{
    switch (fault) {
    case ERSATZ_FAULT_BURST:
        return false;           /* not of one request */
    case ERSATZ_FAULT_SPURIOUS: /* a callback cannot be spurious */
        return request->notify == NOTIFY_FD && request->first == request;
    case ERSATZ_FAULT_EARLY:
    case ERSATZ_FAULT_READY: /* the first of a group is signalled for all, to a job */
        return request->notify != NOTIFY_WAIT && request->first == request;
    default:
        return true;
    }
}

static void draw(struct faults *faults, struct ersatz_request *request)
{
    const struct fault_list *list = faults_list(faults);
    uint64_t number = request->times.number, from = atomic_load_explicit(&list->from, memory_order_relaxed);

    request->faults.drawn = true;
    if (number <= from)
        return; /* it was submitted while the list was replaced */
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        const struct ersatz_fault_rule *rule;

        if ((list->present & 1u << fault) == 0 || !can_have(request, fault))
            continue;
        rule = fault == ERSATZ_FAULT_SLOW
                   ? ersatz_fault_slows(&list->rules, ersatz_op_name(&request->op))
                   : ersatz_fault_strikes(&list->rules, faults->seed, number - from, fault);
        if (rule != NULL)
            strike(faults, request, rule);
    }
}

/* Whether the ring is full for this request, which does not wait in line. Its submitter tries again, and
 * succeeds the next time, or when the rule's time has passed. */
static bool is_refused(struct faults *faults, struct ersatz_request *request)
{
    struct request_faults *own = &request->faults;
    uint64_t now = request->times.at[ERSATZ_POINT_SUBMITTED];

    if (own->refused_at == 0) {
        fault_count(faults, ERSATZ_FAULT_RING_FULL);
        own->refused_at = now;
    } else if (now - own->refused_at >= own->shut_ns) {
        own->strikes &= ~(1u << ERSATZ_FAULT_RING_FULL);
        return false;
    }
    ersatz_count(&device_stats(faults->device)->retries, 1);
    fault_blame(request, ERSATZ_FAULT_RING_FULL, request->times.number);
    return true;
}

uint64_t faults_full_until(const struct ersatz_request *request)
{
    const struct request_faults *own = &request->faults;

    return request_is_struck(own, ERSATZ_FAULT_RING_FULL) ? own->refused_at + own->shut_ns : 0;
}

static enum ersatz_result refuse(struct faults *faults, struct ersatz_request *request)
{
    enum ersatz_result result;
    struct ersatz_locked locked;

    ersatz_lock(&faults->lock, &locked);
    result = blame_reset(faults, request);
    ersatz_unlock(&locked);
    return result;
}

/* Whether the request's own fault took the card down: it fails even if the card is back by now. If it is
 * submitted again, it is a request like any other. */
static bool took_card_down(struct ersatz_request *request)
{
    const unsigned down = 1u << ERSATZ_FAULT_RESET | 1u << ERSATZ_FAULT_GONE;
    bool took = (request->faults.strikes & down) != 0;

    request->faults.strikes &= ~down;
    return took;
}

enum ersatz_result faults_admit(struct faults *faults, struct ersatz_request *request, bool wait_in_line)
{
    bool fails = false;

    for (struct ersatz_request *each = request; each != NULL; each = each->group_next) {
        if (!each->faults.drawn)
            draw(faults, each);
        fails |= took_card_down(each);
    }
    for (struct ersatz_request *each = request; each != NULL; each = each->group_next)
        each->faults.resets = atomic_load(&faults->resets); /* before the look whether the card is down */
    if (fails || faults_have_card_down(faults))
        return refuse(faults, request);
    if (request_is_struck(&request->faults, ERSATZ_FAULT_RING_FULL) && !wait_in_line &&
        is_refused(faults, request))
        return ERSATZ_RING_FULL;
    request->faults.blamed_on = 0;
    return ERSATZ_OK;
}

static void reopen_ring(void *instance)
{
    instance_open(instance);
}

bool faults_close_ring(struct faults *faults, struct ersatz_request *request)
{
    struct request_faults *own = &request->faults;
    uint64_t until = request->times.at[ERSATZ_POINT_SUBMITTED] + (own->shut_ns != 0 ? own->shut_ns : SHUT_NS);

    struct ersatz_undisturbed before;
    bool closed;

    if (!request_is_struck(own, ERSATZ_FAULT_RING_FULL))
        return false;
    own->strikes &= ~(1u << ERSATZ_FAULT_RING_FULL);
    ersatz_undisturbed_begin(&before); /* a thread that jumps away would leave the ring shut */
    instance_shut(request->instance);
    closed = timers_call(faults->device->timers, until, reopen_ring, request->instance);
    if (!closed)
        instance_open(request->instance);
    ersatz_undisturbed_end(&before);
    if (closed)
        fault_count(faults, ERSATZ_FAULT_RING_FULL);
    return closed;
}

void faults_before_pause(struct faults *faults, struct ersatz_request *request, struct ersatz_waker *waker)
{
    const struct request_faults *own = &request->faults;
    uint64_t ms = (own->ready_ns + NS_PER_MS - 1) / NS_PER_MS;

    if (request_is_struck(own, ERSATZ_FAULT_SPURIOUS))
        fault_count(faults, ERSATZ_FAULT_SPURIOUS);
    if (request_is_woken_for_nothing(request) && waker != NULL)
        waker_signal(waker->fd, waker->serial);
    if (!request_is_struck(own, ERSATZ_FAULT_READY) || callback_runs_here(faults->device))
        return;
    check_thread_held(faults->device->check, NULL);
    request_sleep_until(request, REQUEST_SIGNALLED, (int)ms);
    check_thread_released(faults->device->check, 0);
    if (request_state(request) == REQUEST_SIGNALLED)
        fault_count(faults, ERSATZ_FAULT_READY);
}

bool ersatz_request_blame(const struct ersatz_request *request, struct ersatz_error *error)
{
    while (request != NULL && (request->device->faults == NULL || request->faults.blamed_on == 0))
        request = request->group_next;
    if (request == NULL)
        return false;
    if (request->faults.blamed_on == FAULT_BY_COMMAND) {
        snprintf(error->text, sizeof(error->text),
            "injected fault of the simulated card: %s by a control command",
            ersatz_fault_name(request->faults.by));
        return true;
    }
    snprintf(error->text, sizeof(error->text),
        "injected fault of the simulated card: %s on request #%" PRIu64,
        ersatz_fault_name(request->faults.by), request->faults.blamed_on);
    if (request->faults.blamed_on != request->times.number)
        snprintf(error->text + strlen(error->text), sizeof(error->text) - strlen(error->text),
            ", this is request #%" PRIu64, request->times.number);
    return true;
}
