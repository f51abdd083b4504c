/* Workers: gather, compute, post, sleep. */
#include "worker.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "compute.h"
#include "device.h"
#include "kernel_order.h"
#include "library_context.h"
#include "uring.h"
#include "waker.h"

/* What a completion-queue entry of a worker's ring is for stands in the low bits of its user data; the rest
 * is a request's address, which is aligned to 64. */
#define POSTED_SIGNAL 1u
#define POSTED_MESSAGE 2u
#define POSTED_MASK 3u
#define DOORBELL UINT64_C(0)

_Static_assert(WORKER_BATCH <= COMPUTE_BATCH_MAX, "a batch of a worker's is one of the kernels'");

/* A batch and the doorbell. */
#define URING_ENTRIES (2 * WORKER_BATCH)

/* So many temporary errors in a row are a permanent one. */
#define REFUSALS_MAX 100u

static const uint64_t one = 1; /* what a signal adds to an eventfd */

struct batch {
    struct ersatz_request *requests[WORKER_BATCH];
    unsigned count;
};

/* ------------------------------------------------------------------------------------------------- gather */

/* A fair share of what waits, so that the other workers get theirs. */
static unsigned share(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    size_t waiting = 0;
    size_t workers = device->config.workers;

    for (unsigned i = 0; i < device->config.instances; i++)
        waiting += ring_count(&device->instances[i].requests);
    waiting = (waiting + workers - 1) / workers;
    return waiting < WORKER_BATCH ? (unsigned)waiting : WORKER_BATCH;
}

/* The share, rounded up to what is done in the same time. But a single long operation is left to another
 * worker, if there is one to wake: both are done sooner so. */
static unsigned round_share(unsigned share, const struct ersatz_op *first)
{
    unsigned lanes = compute_lanes_for(first);

    if (share == 1 && first->kind == ERSATZ_RSA_PRIVATE)
        return share;
    return (share + lanes - 1) / lanes * lanes;
}

/* Take what is there, and do not wait for more. */
static void gather(struct worker *worker, struct batch *batch)
{
    struct ersatz_device *device = worker->device;
    unsigned want = share(worker);

    batch->count = 0;
    if (atomic_load(&device->stopping))
        return; /* what is left in the rings is cancelled */
    for (unsigned looked = 0; looked < device->config.instances && batch->count < want; looked++) {
        struct instance *instance =
            &device->instances[(worker->next_instance + looked) % device->config.instances];

        while (batch->count < want && ring_count(&instance->requests) > 0 &&
               device_may_pass(device, ERSATZ_HOLD_COMPUTE)) {
            struct ersatz_request *request = ring_pop(&instance->requests);

            if (request == NULL) { /* another worker was faster: hand the ticket back */
                atomic_fetch_add_explicit(&device->tickets, 1, memory_order_relaxed);
                break;
            }
            if (batch->count == 0)
                want = round_share(want, &request->op);
            batch->requests[batch->count++] = request;
        }
    }
    worker->next_instance++;
    if (batch->count > 0 && device_has_work(device))
        device_ring_doorbell(device);
}

/* ------------------------------------------------------------------------------------------------ compute */

/* What is left in the batch is to be told of. */
static void compute(struct worker *worker, struct batch *batch)
{
    struct ersatz_stats *stats = device_stats(worker->device);
    const struct ersatz_op *ops[WORKER_BATCH];
    enum ersatz_result results[WORKER_BATCH];
    unsigned failed = 0, to_tell = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        ops[i] = &batch->requests[i]->op;
        life_start(batch->requests[i], worker->index, batch->count);
    }
    compute_batch(worker->lanes, ops, results, batch->count, stats);
    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request = batch->requests[i];
        struct instance *instance = request->instance;

        failed += results[i] != ERSATZ_OK;
        request = request_complete(request, results[i]);
        if (request != NULL)
            batch->requests[to_tell++] = request;
        else
            instance_give_slot(instance);
    }
    ERR_clear_error(); /* the result says it; this thread's queue is read by nobody */
    ersatz_count(&stats->batches, 1);
    ersatz_count(&stats->completed, batch->count);
    ersatz_count(&stats->failed, failed);
    batch->count = to_tell;
}

/* --------------------------------------------------------------------------------------------------- post */

/* The job is told, or need not be: the device is done with the request. */
static void signalled(struct ersatz_request *request)
{
    request_step(request); /* SIGNALLING -> SIGNALLED */
    request_release(request);
}

static struct io_uring_sqe *get_sqe(struct worker *worker)
{
    /* Never NULL: the ring has room for a batch and the doorbell, and is submitted whole. */
    return io_uring_get_sqe(&worker->uring);
}

/* Prepare the completion of one request. Returns whether an entry was made for it. */
static bool prepare(struct worker *worker, struct ersatz_request *request)
{
    struct io_uring_sqe *sqe;

    if (request->notify == NOTIFY_CALLBACK) {
        sqe = get_sqe(worker);
        io_uring_prep_msg_ring(sqe, request->instance->responses.ring_fd, 0, (uintptr_t)request, 0);
        sqe->user_data = (uintptr_t)request | POSTED_MESSAGE;
        kernel_order_give(request);
        return true;
    }
    life_mark(request, LIFE_SIGNALLED);
    device_flight_ended(request);
    instance_give_slot(request->instance); /* before the signal: the job may submit at once */
    if ((request_step(request) & REQUEST_MUTED) || request->notify == NOTIFY_WAIT) {
        signalled(request);
        return false;
    }
    sqe = get_sqe(worker);
    io_uring_prep_write(sqe, request->fd, &one, sizeof(one), 0);
    sqe->user_data = (uintptr_t)request | POSTED_SIGNAL;
    return true;
}

static void message_failed(struct worker *worker, struct ersatz_request *request, int err)
{
    /* The response ring has room by construction, so this is the kernel short of memory. The other way in: */
    if (!instance_send(request->instance, request)) {
        static const struct timespec pause = {.tv_nsec = 1000000};

        if (!worker->send_complained)
            device_complain("a completion could not be sent to its response ring, trying again", err);
        worker->send_complained = true;
        nanosleep(&pause, NULL);
        request->next = NULL;
        *worker->held_end = request;
        worker->held_end = &request->next;
        worker_wake(worker);
    }
}

/* Take one completion-queue entry. Returns 1 if it was a posted completion, 0 for the doorbell. */
static unsigned take(struct worker *worker, const struct io_uring_cqe *cqe)
{
    struct ersatz_request *request =
        (struct ersatz_request *)(uintptr_t)(cqe->user_data & ~(uint64_t)POSTED_MASK);

    if (cqe->user_data == DOORBELL) {
        worker->doorbell_armed = false;
        return 0;
    }
    if ((cqe->user_data & POSTED_MASK) == POSTED_MESSAGE) {
        if (cqe->res < 0)
            message_failed(worker, request, -cqe->res);
        return 1;
    }
    if (cqe->res != (int)sizeof(one))
        waker_signal(request->fd); /* refused by io_uring: by hand, so that no wake-up is lost */
    signalled(request);
    return 1;
}

static unsigned take_all(struct worker *worker)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, posted = 0;

    io_uring_for_each_cqe(&worker->uring, head, cqe)
    {
        posted += take(worker, cqe);
        seen++;
    }
    io_uring_cq_advance(&worker->uring, seen);
    return posted;
}

/* What the kernel did not take from the submission queue is done by hand. */
static void post_by_hand(struct worker *worker)
{
    struct io_uring_sq *sq = &worker->uring.sq;
    unsigned head = *sq->khead, tail = sq->sqe_tail;

    *sq->ktail = sq->sqe_head = sq->sqe_tail = head; /* nobody submits them any more */
    for (; head != tail; head++) {
        struct io_uring_cqe refused = {
            .user_data = sq->sqes[head & *sq->kring_mask].user_data, .res = -ECANCELED};

        (void)take(worker, &refused);
    }
}

/* Submit and wait until that many entries completed, or find that the kernel refuses for good. What it had
 * taken completed inside the call; the caller does the rest by hand. */
static void enter(struct worker *worker, unsigned wanted)
{
    static const struct timespec pause = {.tv_nsec = 100000};
    int err = io_uring_submit_and_wait(&worker->uring, wanted);

    ersatz_count(&device_stats(worker->device)->io_uring_enters, 1);
    if (err >= 0) {
        worker->refusals = 0;
        return;
    }
    if ((err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ENOMEM) &&
        ++worker->refusals < REFUSALS_MAX) {
        nanosleep(&pause, NULL); /* short of memory, or of room that take_all() makes */
        return;
    }
    device_complain("io_uring_enter failed, a worker goes on without it", -err);
    worker->uring_broken = true;
}

/* Submit what was prepared and see every entry of it completed. */
static void enter_until(struct worker *worker, unsigned posted)
{
    unsigned seen = 0;

    while (seen < posted && !worker->uring_broken) {
        enter(worker, posted - seen);
        seen += take_all(worker);
    }
    if (worker->uring_broken)
        post_by_hand(worker);
}

static void post(struct worker *worker, const struct batch *batch)
{
    struct ersatz_stats *stats = device_stats(worker->device);
    unsigned signals = 0, messages = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request = batch->requests[i];
        bool is_message = request->notify == NOTIFY_CALLBACK;

        if (prepare(worker, request)) {
            messages += is_message;
            signals += !is_message;
        }
    }
    /* Counted first: who is told may read the statistics at once. */
    ersatz_count(&stats->wakeups, signals);
    ersatz_count(&stats->messages, messages);
    enter_until(worker, signals + messages);
}

/* Post what may pass the hold before the signal; keep the rest, in order. */
static void post_or_hold(struct worker *worker, const struct batch *batch)
{
    struct batch now = {.count = 0};

    for (unsigned i = 0; i < batch->count; i++) {
        struct ersatz_request *request = batch->requests[i];

        if (worker->held_first == NULL && device_may_pass(worker->device, ERSATZ_HOLD_SIGNAL)) {
            now.requests[now.count++] = request;
            continue;
        }
        request->next = NULL;
        *worker->held_end = request;
        worker->held_end = &request->next;
    }
    post(worker, &now);
}

/* Returns whether there was something to post: there may be more than a batch of it. */
static bool post_held(struct worker *worker)
{
    struct batch batch = {.count = 0};
    bool all = atomic_load(&worker->device->stopping);

    while (worker->held_first != NULL && batch.count < WORKER_BATCH &&
           (all || device_may_pass(worker->device, ERSATZ_HOLD_SIGNAL))) {
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

static void arm_doorbell(struct worker *worker)
{
    struct io_uring_sqe *sqe;

    if (worker->doorbell_armed)
        return;
    sqe = get_sqe(worker);
    io_uring_prep_read(sqe, worker->doorbell, &worker->doorbell_value, sizeof(worker->doorbell_value), 0);
    sqe->user_data = DOORBELL;
    worker->doorbell_armed = true;
}

/* A read of the doorbell that the kernel still has stays undone: it would be done inside io_uring_enter. */
static void wait_by_hand(struct worker *worker)
{
    post_by_hand(worker); /* the doorbell, if it was not taken */
    if (read(worker->doorbell, &worker->doorbell_value, sizeof(worker->doorbell_value)) < 0 && errno != EINTR)
        device_complain("reading a worker's doorbell", errno);
}

static void sleep_until_rung(struct worker *worker)
{
    struct ersatz_device *device = worker->device;
    uint64_t bit = UINT64_C(1) << worker->index;

    if (!worker->uring_broken)
        arm_doorbell(worker);
    atomic_fetch_or(&device->sleepers, bit); /* then look: see device_ring_doorbell() */
    if (!device_has_work(device) && !atomic_load(&device->stopping)) {
        ersatz_count(&device_stats(device)->sleeps, 1);
        if (worker->uring_broken)
            wait_by_hand(worker);
        else
            enter(worker, 1); /* if it breaks now, look around once more: the doorbell may have been read */
        take_all(worker);
    }
    atomic_fetch_and(&device->sleepers, ~bit);
}

static enum ersatz_result set_up(struct worker *worker)
{
    worker->uring_broken = worker->send_complained = false;
    worker->refusals = 0;
    worker->held_first = NULL;
    worker->held_end = &worker->held_first;
    worker->next_instance = worker->index;
    library_context_adopt();
    worker->lanes = compute_lanes_new();
    if (worker->lanes == NULL) {
        worker->start_error->result = ERSATZ_NO_MEMORY;
        snprintf(worker->start_error->text, sizeof(worker->start_error->text), "no memory for a worker");
        return ERSATZ_NO_MEMORY;
    }
    return uring_init_worker(&worker->uring, URING_ENTRIES, worker->start_error);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct batch batch;

    worker->start_result =
        set_up(worker); /* here, since the kernel takes submissions from the thread that set up */
    if (worker->start_result != ERSATZ_OK) {
        compute_lanes_free(worker->lanes);
        sem_post(&worker->started);
        return NULL;
    }
    sem_post(&worker->started);
    for (;;) {
        bool busy;

        gather(worker, &batch);
        busy = batch.count > 0;
        if (busy) {
            compute(worker, &batch);
            post_or_hold(worker, &batch);
        }
        busy |= post_held(worker);
        if (busy)
            continue;
        if (atomic_load(&worker->device->stopping) && worker->held_first == NULL)
            break;
        sleep_until_rung(worker);
    }
    io_uring_queue_exit(&worker->uring);
    compute_lanes_free(worker->lanes);
    return NULL;
}

enum ersatz_result worker_start(
    struct worker *worker, struct ersatz_device *device, unsigned index, struct ersatz_error *error)
{
    worker->device = device;
    worker->index = index;
    worker->start_error = error;
    worker->doorbell = eventfd(0, EFD_CLOEXEC);
    if (worker->doorbell < 0) {
        error->result = ERSATZ_NO_DESCRIPTORS;
        snprintf(error->text, sizeof(error->text),
            "no file descriptor is free for a worker's doorbell; raise the limit "
            "(ulimit -n)");
        return ERSATZ_NO_DESCRIPTORS;
    }
    sem_init(&worker->started, 0, 0);
    if (!device_start_thread(&worker->thread, work, worker)) {
        error->result = ERSATZ_NO_THREADS;
        snprintf(error->text, sizeof(error->text),
            "worker thread %u could not be started; raise the limit (ulimit -u) or lower WORKERS", index);
        worker_destroy(worker);
        return ERSATZ_NO_THREADS;
    }
    while (sem_wait(&worker->started) != 0)
        ; /* interrupted by a signal of the application's */
    if (worker->start_result != ERSATZ_OK) {
        pthread_join(worker->thread, NULL);
        worker_destroy(worker);
    }
    return worker->start_result;
}

void worker_wake(struct worker *worker)
{
    waker_signal(worker->doorbell);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_destroy(struct worker *worker)
{
    close(worker->doorbell);
    sem_destroy(&worker->started);
}

void worker_forget(struct worker *worker)
{
    io_uring_queue_exit(&worker->uring);
    close(worker->doorbell);
}
