/* SPDX-License-Identifier: Apache-2.0 */
/* See echo.h. */
#include "echo.h"

#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/doorbell.h"
#include "check.h"
#include "times.h"

#define BATCH 16u
#define LOOK_NS 50000u /* as a worker looks for work before it sleeps */

/* From one thread that asks to the one that answers it. */
struct queue {
    /* Of the thread that asks: sequentially consistent, see answer_later(). */
    _Alignas(64) _Atomic unsigned tail;
    _Alignas(64) _Atomic unsigned head; /* of the one that answers, which alone uses it */
    int fds[ECHO_QUEUE];
};

struct answerer {
    _Alignas(64) _Atomic bool asleep; /* sequentially consistent: set by it, cleared by whoever rings */
    struct doorbell bell;
    _Alignas(64) _Atomic uint64_t batches; /* relaxed, as the next */
    _Atomic uint64_t sleeps;
    unsigned index, turn;
    pthread_t thread;
    struct io_uring ring;
};

static struct queue *queues;
static struct answerer *answerers;
static unsigned queue_count, answerer_count;
static _Atomic bool ending; /* sequentially consistent; the bells are rung after it */

static bool is_empty(struct queue *queue)
{
    return atomic_load(&queue->tail) == atomic_load_explicit(&queue->head, memory_order_relaxed);
}

/* Each answers every so many-th thread. Takes what is there, and a full batch at the most. */
static unsigned take(struct answerer *own, int fds[BATCH])
{
    unsigned taken = 0, turns = (queue_count - own->index + answerer_count - 1) / answerer_count;

    for (unsigned i = 0; i < turns && taken < BATCH; i++) {
        struct queue *queue = &queues[own->index + own->turn * answerer_count];
        unsigned head = atomic_load_explicit(&queue->head, memory_order_relaxed);

        while (taken < BATCH && atomic_load(&queue->tail) != head)
            fds[taken++] = queue->fds[head++ % ECHO_QUEUE];
        atomic_store_explicit(&queue->head, head, memory_order_relaxed);
        own->turn = (own->turn + 1) % turns;
    }
    return taken;
}

static void answer(struct answerer *own, const int fds[BATCH], unsigned count)
{
    static const uint64_t one = 1;
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;

    for (unsigned i = 0; i < count; i++)
        io_uring_prep_write(io_uring_get_sqe(&own->ring), fds[i], &one, sizeof(one), 0);
    atomic_fetch_add_explicit(&own->batches, 1, memory_order_relaxed);
    CHECK_EQ(io_uring_submit_and_wait(&own->ring, count), (int)count);
    io_uring_for_each_cqe(&own->ring, head, cqe)
    {
        CHECK_EQ(cqe->res, (int)sizeof(one));
        seen++;
    }
    CHECK_EQ(seen, count);
    io_uring_cq_advance(&own->ring, seen);
}

static bool has_work(const struct answerer *own)
{
    for (unsigned i = own->index; i < queue_count; i += answerer_count) {
        if (!is_empty(&queues[i]))
            return true;
    }
    return atomic_load(&ending);
}

/* This thread says that it sleeps, then looks; one that asks raises its tail, then looks whether this one
 * sleeps. */
static void answer_later(struct answerer *own)
{
    uint64_t end = time_now() + LOOK_NS;

    do {
        if (has_work(own))
            return;
        sched_yield();
    } while (time_now() < end);
    atomic_store(&own->asleep, true);
    atomic_fetch_add_explicit(&own->sleeps, 1, memory_order_relaxed);
    if (!has_work(own))
        doorbell_sleep(&own->bell, DOORBELL_NEVER);
    atomic_store(&own->asleep, false);
}

static void *run(void *arg)
{
    struct answerer *own = arg;
    int fds[BATCH];

    CHECK_EQ(
        io_uring_queue_init(BATCH, &own->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN), 0);
    for (;;) {
        unsigned count = take(own, fds);

        if (count > 0)
            answer(own, fds, count);
        else if (atomic_load(&ending))
            break;
        else
            answer_later(own);
    }
    io_uring_queue_exit(&own->ring);
    return NULL;
}

static void *new_zeroed(size_t size)
{
    void *memory = aligned_alloc(64, size);

    CHECK(memory != NULL);
    memset(memory, 0, size);
    return memory;
}

void echo_open(unsigned threads, unsigned workers)
{
    cpu_set_t cores;

    CHECK_EQ(sched_getaffinity(0, sizeof(cores), &cores), 0);
    queue_count = threads;
    answerer_count = workers < (unsigned)CPU_COUNT(&cores) ? workers : (unsigned)CPU_COUNT(&cores);
    if (answerer_count > threads)
        answerer_count = threads;
    queues = new_zeroed(queue_count * sizeof(*queues));
    answerers = new_zeroed(answerer_count * sizeof(*answerers));
    for (unsigned i = 0; i < answerer_count; i++) {
        answerers[i].index = i;
        doorbell_init(&answerers[i].bell);
        CHECK_EQ(pthread_create(&answerers[i].thread, NULL, run, &answerers[i]), 0);
    }
}

void echo_ask(unsigned thread, int fd)
{
    struct answerer *answerer = &answerers[thread % answerer_count];
    struct queue *queue = &queues[thread];
    unsigned tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);

    queue->fds[tail % ECHO_QUEUE] = fd;
    atomic_store(&queue->tail, tail + 1);
    if (atomic_load(&answerer->asleep) && atomic_exchange(&answerer->asleep, false))
        doorbell_ring(&answerer->bell);
}

void echo_close(void)
{
    atomic_store(&ending, true);
    for (unsigned i = 0; i < answerer_count; i++) {
        doorbell_ring(&answerers[i].bell);
        CHECK_EQ(pthread_join(answerers[i].thread, NULL), 0);
    }
    free(queues);
    free(answerers);
}

uint64_t echo_batches(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < answerer_count; i++)
        sum += atomic_load_explicit(&answerers[i].batches, memory_order_relaxed);
    return sum;
}

uint64_t echo_sleeps(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < answerer_count; i++)
        sum += atomic_load_explicit(&answerers[i].sleeps, memory_order_relaxed);
    return sum;
}
