/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: gather a batch of requests, compute it, post its completions, sleep. */
#include "worker.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/stats.h"
#include "base/threads.h"
#include "complete.h"
#include "device.h"
#include "direct.h"
#include "ersatz/assertion.h"
#include "kernels/compute.h"
#include "kernels/openssl_context.h"
#include "linger.h"
#include "locked_memory.h"
#include "stop.h"
#include "timers.h"
#include "timing.h"

_Static_assert(WORKER_BATCH <= COMPUTE_BATCH_MAX, "the kernels take a whole batch of a worker");

struct batch {
    struct ersatz_request *requests[WORKER_BATCH];
    unsigned count;
};

/* ------------------------------------------------------------------------------------------------- gather */

/* Whether it is one of the worker's own instances. */
static bool is_own(const struct worker *worker, unsigned instance)
{
    unsigned bindings = device_bindings(worker->device);

    return instance % bindings == worker->index % bindings;
}

/* The first of the worker's own instances from its turn on, cyclically. */
static struct instance *own_instance(const struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    unsigned bindings = device_bindings(device), own = worker->index % bindings;
    unsigned at = worker->turn + (own + bindings - worker->turn % bindings) % bindings;

    return &device->instances[at < device->config.instances ? at : own];
}

/* With so many in an instance of its own, a worker takes a batch without a look at the other instances. */
#define WAITING_ENOUGH (4 * (size_t)WORKER_BATCH)

/* How many of the waiting requests this worker should take, so that the others that have a core get as
 * many. */
static unsigned share(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    size_t waiting, workers = device->config.workers < device->cores ? device->config.workers : device->cores;

    if (ring_count(&own_instance(worker)->requests) >= WAITING_ENOUGH)
        return WORKER_BATCH;
    waiting = (device_waiting(device, worker->turn, workers * WORKER_BATCH) + workers - 1) / workers;
    return waiting < WORKER_BATCH ? (unsigned)waiting : WORKER_BATCH;
}

/* The share, rounded up to as many as a kernel computes in the same time. But of long RSA operations that are
 * no more than a pass, each stays alone: another worker computes the next one at the same time. The first one
 * waits no longer. */
static unsigned round_share(const struct worker *worker, unsigned share, const struct ersatz_op *first)
{
    unsigned lanes = compute_lanes_for(first);

    if (share == 1 && first->kind == ERSATZ_RSA_PRIVATE &&
        device_waiting(worker->device, worker->turn, lanes) < lanes)
        return share;
    return (share + lanes - 1) / lanes * lanes;
}

/* Take requests from an instance until the batch has *want of them. Then it is the next one's turn, even if
 * there is more in this one. */
static void take(struct worker *worker, struct instance *instance, struct batch *batch, unsigned *want)
{
    struct ersatz_device *device = worker->device;
    bool ticket;

    while (batch->count < *want && ring_count(&instance->requests) > 0 &&
           device_may_pass(device, ERSATZ_HOLD_COMPUTE, &ticket)) {
        struct ersatz_request *request = ring_pop(&instance->requests);

        if (request == NULL) { /* another worker was faster */
            device_return_ticket(device, ERSATZ_HOLD_COMPUTE, ticket);
            break;
        }
        if (batch->count == 0)
            *want = round_share(worker, *want, &request->op);
        worker->turn = (instance->index + 1) % device->config.instances;
        batch->requests[batch->count++] = request;
    }
}

/* Whether to take from all instances in turn, and not first from the worker's own: with more workers than
 * cores, nobody may be awake for the others. */
static bool serves_in_turn(const struct worker *worker)
{
    return worker->device->config.workers > worker->device->cores;
}

static void take_between(
    struct worker *worker, unsigned from, unsigned to, bool own_only, struct batch *batch, unsigned *want)
{
    struct ersatz_device *device = worker->device;

    for (unsigned i = bits_next(device->active, from, to); i < to && batch->count < *want;
         i = bits_next(device->active, i + 1, to)) {
        if (!own_only || is_own(worker, i))
            take(worker, &device->instances[i], batch, want);
    }
}

static void take_around(struct worker *worker, bool own_only, struct batch *batch, unsigned *want)
{
    unsigned first = worker->turn;

    take_between(worker, first, worker->device->config.instances, own_only, batch, want);
    take_between(worker, 0, first, own_only, batch, want);
}

/* Take the requests that are there, and do not wait for more. */
static void gather(struct worker *worker, struct batch *batch)
{
    struct ersatz_device *device = worker->device;
    unsigned want = company_share(worker, share(worker));

    batch->count = 0;
    if (atomic_load(&device->stopping))
        return; /* the requests left in the rings are cancelled */
    if (!serves_in_turn(worker))
        take_around(worker, true, batch, &want);
    take_around(worker, false, batch, &want);
    if (batch->count == 0)
        return;
    company_came(worker, &batch->requests[0]->op, batch->count);
    if (device_has_sleepers(device) && device_has_work_from(device, worker->turn))
        device_ring_doorbell(device, worker->index);
}

/* ------------------------------------------------------------------------------------------------ compute */

/* Leaves in the batch the requests that are to be signalled. */
static void compute(struct worker *worker, struct batch *batch)
{
    struct ersatz_stats *stats = device_stats(worker->device);
    const struct ersatz_op *ops[WORKER_BATCH];
    enum ersatz_result results[WORKER_BATCH];
    unsigned failed = 0, to_post = 0;
    uint64_t now = worker->device->keeps_times ? clock_now() : 0, lone_start = 0;
    bool has_check = worker->device->check != NULL;
    uint64_t cpu_ns = has_check ? clock_thread_cpu() : 0;

    for (unsigned i = 0; i < batch->count; i++) {
        ops[i] = &batch->requests[i]->op;
        times_take_up(batch->requests[i], worker->index, batch->count, now);
        if (batch->requests[i]->direct)
            direct_begins(batch->requests[i]);
    }
    if (batch->count == 1)
        lone_start = lone_op_started(worker->device, ops[0]);
    if (worker->device->faults == NULL)
        compute_batch(worker->lanes, ops, results, batch->count, stats);
    else
        batch->count =
            faults_compute(worker->device->faults, worker->lanes, batch->requests, results, batch->count);
    lone_op_done(worker->device, lone_start);
    if (has_check)
        cpu_ns = clock_thread_cpu() - cpu_ns;
    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request;

        if (has_check)
            batch->requests[i]->times.cpu_ns = cpu_ns;
        if (batch->requests[i]->direct)
            direct_ends(batch->requests[i]);
        request = complete_result(batch->requests[i], results[i]);

        failed += results[i] != ERSATZ_OK;
        if (request != NULL)
            batch->requests[to_post++] = request;
    }
    ERR_clear_error(); /* the results report the errors; nobody reads this thread's queue */
    stats_count(stats, ERSATZ_COUNTER_BATCHES, 1);
    stats_count(stats, ERSATZ_COUNTER_COMPLETED, batch->count);
    stats_count(stats, ERSATZ_COUNTER_FAILED, failed);
    batch->count = to_post;
}

/* --------------------------------------------------------------------------------------------------- post */

/* Leave to the timers the requests that are not due yet; those that stay in the batch are due. */
static void defer_early(struct worker *worker, struct batch *batch)
{
    struct ersatz_device *device = worker->device;
    bool all = device->faults != NULL && faults_order_completions(device->faults);
    unsigned due_now = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request = batch->requests[i];
        uint64_t due = device->timing != NULL ? timing_computed(request) : 0;

        if (device->faults != NULL)
            due = faults_due(device->faults, request, due);
        if ((!all && due <= clock_now()) || !timers_complete(device->timers, request, due))
            batch->requests[due_now++] = request;
    }
    batch->count = due_now;
}

static void post(struct worker *worker, struct batch *batch)
{
    if (worker->device->timers != NULL)
        defer_early(worker, batch);
    poster_post(&worker->poster, batch->requests, batch->count);
}

/* Post the completions of the requests that are not held before the signal; keep the others, in order. */
static void post_or_hold(struct worker *worker, const struct batch *batch)
{
    struct batch now = {.count = 0};

    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request = batch->requests[i];

        if (worker->held_first == NULL && device_may_pass(worker->device, ERSATZ_HOLD_SIGNAL, NULL)) {
            now.requests[now.count++] = request;
            continue;
        }
        complete_answer(request);
        request->next = NULL;
        ASSERT((worker->held_first == NULL) == (worker->held_end == &worker->held_first));
        *worker->held_end = request;
        worker->held_end = &request->next;
    }
    post(worker, &now);
}

/* Post the completions of requests that are held no longer, at most a batch. Returns whether there were
 * any. */
static bool post_held(struct worker *worker)
{
    struct batch batch = {.count = 0};
    bool all = atomic_load(&worker->device->stopping);

    while (worker->held_first != NULL && batch.count < WORKER_BATCH &&
           (all || device_may_pass(worker->device, ERSATZ_HOLD_SIGNAL, NULL))) {
        batch.requests[batch.count++] = worker->held_first;
        worker->held_first = worker->held_first->next;
    }
    if (worker->held_first == NULL)
        worker->held_end = &worker->held_first;
    if (batch.count > 0)
        post(worker, &batch);
    return batch.count > 0;
}

/* -------------------------------------------------------------------------------------------------- sleep */

static void sleep_until_rung(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    uint64_t until, asleep;

    stats_count(device_stats(device), ERSATZ_COUNTER_SLEEPS, 1); /* first: who finds it asleep finds this */
    worker->lingerer.woke_early = false;
    compute_lanes_cleanse(worker->lanes);
    device_fell_asleep(device, worker->index); /* then look: see device_ring_doorbell() */
    pool_cleanse(&device->pool, device_has_work, device);
    if (!device_has_work(device) && !atomic_load(&device->stopping)) {
        until = linger_sleep_until(device);
        asleep = clock_now();
        poster_sleep(&worker->poster, until);
        linger_slept(&worker->lingerer, until, clock_now() - asleep);
    }
    device_woke_up(device, worker->index);
}

/* One ring is enough for a card. Further rings make it faster, but they count against the limit on locked
 * memory. */
static enum uring_need need_of_ring(unsigned index)
{
    if (index == 0)
        return URING_REQUIRED;
    return index < locked_memory_rings() ? URING_NEEDED : URING_WELCOME;
}

static enum ersatz_result set_up_poster(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    struct ersatz_stats *stats = device_stats(device);
    enum ersatz_result result = ERSATZ_OK;

    if (device->locked_memory_is_short) /* a worker before this one had no ring */
        poster_init_without(&worker->poster);
    else
        result = poster_init(&worker->poster, WORKER_BATCH, need_of_ring(worker->index), worker->start_error);
    if (result != ERSATZ_OK)
        return result;
    device->locked_memory_is_short = !worker->poster.has_ring;
    ersatz_count(worker->poster.has_ring ? &stats->workers_with_ring : &stats->workers_without_ring, 1);
    return ERSATZ_OK;
}

static enum ersatz_result set_up(struct worker *worker)
{
    worker->held_first = NULL;
    worker->held_end = &worker->held_first;
    worker->lingerer = (struct lingerer){.woke_early = false};
    company_init(&worker->company);
    worker->turn = worker->index % worker->device->config.instances;
    library_context_adopt();
    worker->lanes = compute_lanes_new();
    if (worker->lanes == NULL) {
        worker->start_error->result = ERSATZ_NO_MEMORY;
        snprintf(worker->start_error->text, sizeof(worker->start_error->text), "no memory for a worker");
        return ERSATZ_NO_MEMORY;
    }
    return set_up_poster(worker);
}

/* In how many rounds a worker drops idle instances; and, if it never sleeps, cleanses its lanes, and the
 * buffers that were left. */
#define DROP_EVERY 64u
#define CLEANSE_EVERY 4096u

static bool never(struct ersatz_device *device)
{
    (void)device;
    return false;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct ersatz_device *device = worker->device;
    bool first = worker->index == 0, began_to_stop = false;
    struct batch batch;
    unsigned rounds = 0;

    pthread_setname_np(pthread_self(), ERSATZ_WORKER_THREAD);
    worker->start_result =
        set_up(worker); /* here, since Linux takes submissions only from the thread that made the ring */
    if (worker->start_result != ERSATZ_OK) {
        compute_lanes_free(worker->lanes);
        sem_post(&worker->started);
        return NULL;
    }
    sem_post(&worker->started);
    for (;;) {
        bool busy;

        if (first && !began_to_stop && atomic_load(&device->leaving)) {
            began_to_stop = true;
            stop_begin(device);
        }
        if (++rounds % DROP_EVERY == 0)
            device_drop_idle(device);
        if (rounds % CLEANSE_EVERY == 0) {
            compute_lanes_cleanse(worker->lanes);
            pool_cleanse(&device->pool, never, device);
        }
        if (company_awaited(worker))
            continue; /* the doorbell may have ended the nap: look at everything that it may have rung for */
        gather(worker, &batch);
        busy = batch.count > 0;
        if (busy) {
            compute(worker, &batch);
            post_or_hold(worker, &batch);
        }
        busy |= post_held(worker);
        if (first && device_take_marks(worker->device)) /* it has a ring; others may have none */
            poster_mark(&worker->poster);
        if (busy) {
            worker->lingerer.woke_early = false;
            continue;
        }
        if (atomic_load(&device->stopping) && worker->held_first == NULL)
            break;
        if (!linger(device, &worker->lingerer))
            sleep_until_rung(worker);
    }
    pool_cleanse(&device->pool, never, device);
    compute_lanes_free(worker->lanes);
    if (first)
        stop_end(device, &worker->poster); /* which may free this worker, too */
    else
        poster_exit(&worker->poster);
    return NULL;
}

enum ersatz_result worker_start(
    struct worker *worker, struct ersatz_device *device, unsigned index, struct ersatz_error *error)
{
    char what[40];

    worker->device = device;
    worker->index = index;
    worker->start_error = error;
    poster_open(&worker->poster, device);
    sem_init(&worker->started, 0, 0);
    if (!thread_start(&worker->thread, work, worker)) {
        snprintf(what, sizeof(what), "worker thread %u", index);
        threads_explain(error, what);
        sem_destroy(&worker->started);
        return ERSATZ_NO_THREADS;
    }
    while (sem_wait(&worker->started) != 0)
        ; /* interrupted by a signal of the application's */
    sem_destroy(&worker->started);
    if (worker->start_result != ERSATZ_OK)
        pthread_join(worker->thread, NULL);
    return worker->start_result;
}
