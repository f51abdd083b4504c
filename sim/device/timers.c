/* Things that wait for their time: a heap, and the thread that sleeps until the first of them is due. */
#include "timers.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/threads.h"
#include "device.h"
#include "poster.h"

#define BATCH POSTER_BATCH_MAX
#define ROOM_AT_FIRST 64u
#define LEAD_MAX UINT64_C(25000) /* nanoseconds; no longer does the thread ever spin */

/* A request to tell of, or a function to call. */
struct entry {
    uint64_t due;
    uint64_t turn; /* of those due at the same time, the first to come is the first to go */
    struct ersatz_request *request;
    void (*run)(void *);
    void *arg;
};

struct delay {
    struct ersatz_device *device;
    struct poster poster;
    pthread_t thread;

    uint64_t lead; /* the thread's own: see sleep_until() */

    pthread_mutex_t lock; /* what follows */
    struct entry *heap;   /* the one that is due first at 0; those at 2i + 1 and 2i + 2 are due after i */
    size_t count, room;
    uint64_t turns;
    uint64_t asleep_until; /* what is due sooner rings the doorbell; 0: the thread is up, and will look */
    bool ending;

    /* Between the starter and the thread, until `started` is posted. */
    sem_t started;
    enum ersatz_result start_result;
    struct ersatz_error *start_error;
};

/* --------------------------------------------------------------------------------------------------- heap */

static bool is_before(const struct entry *a, const struct entry *b)
{
    return a->due != b->due ? a->due < b->due : a->turn < b->turn;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry other = *a;

    *a = *b;
    *b = other;
}

static void sift_up(struct delay *delay, size_t at)
{
    struct entry *heap = delay->heap;

    for (; at > 0 && is_before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct delay *delay, size_t at)
{
    struct entry *heap = delay->heap;

    for (;;) {
        size_t first = at, left = 2 * at + 1;

        if (left < delay->count && is_before(&heap[left], &heap[first]))
            first = left;
        if (left + 1 < delay->count && is_before(&heap[left + 1], &heap[first]))
            first = left + 1;
        if (first == at)
            return;
        swap(&heap[at], &heap[first]);
        at = first;
    }
}

static bool reserve(struct delay *delay)
{
    size_t room = delay->room == 0 ? ROOM_AT_FIRST : 2 * delay->room;
    struct entry *heap;

    if (delay->count < delay->room)
        return true;
    heap = realloc(delay->heap, room * sizeof(*heap));
    if (heap == NULL)
        return false;
    delay->heap = heap;
    delay->room = room;
    return true;
}

static struct entry pop(struct delay *delay)
{
    struct entry first = delay->heap[0];

    delay->heap[0] = delay->heap[--delay->count];
    sift_down(delay, 0);
    return first;
}

static uint64_t next_due(const struct delay *delay)
{
    return delay->count == 0 ? DELAY_NEVER : delay->heap[0].due;
}

/* ------------------------------------------------------------------------------------------------ entries */

static bool put(struct delay *delay, struct entry entry)
{
    bool ring = false, ok;

    pthread_mutex_lock(&delay->lock);
    ok = !delay->ending && reserve(delay);
    if (ok) {
        entry.turn = delay->turns++;
        delay->heap[delay->count++] = entry;
        sift_up(delay, delay->count - 1);
        ring = entry.due < delay->asleep_until;
        if (ring)
            delay->asleep_until = entry.due; /* so that the next one need not ring, too */
    }
    pthread_mutex_unlock(&delay->lock);
    if (ring)
        poster_wake(&delay->poster);
    return ok;
}

bool delay_tell(struct delay *delay, struct ersatz_request *request, uint64_t due)
{
    return put(delay, (struct entry){.due = due, .request = request});
}

bool delay_call(struct delay *delay, uint64_t due, void (*run)(void *), void *arg)
{
    return put(delay, (struct entry){.due = due, .run = run, .arg = arg});
}

/* In the order in which they came. Under the lock. */
static void make_all_due(struct delay *delay)
{
    for (size_t i = 0; i < delay->count; i++)
        delay->heap[i].due = 0;
    for (size_t i = delay->count / 2; i-- > 0;)
        sift_down(delay, i);
}

static void flush(struct delay *delay, bool end)
{
    pthread_mutex_lock(&delay->lock);
    delay->ending = delay->ending || end;
    make_all_due(delay);
    pthread_mutex_unlock(&delay->lock);
    poster_wake(&delay->poster);
}

void delay_flush(struct delay *delay)
{
    flush(delay, false);
}

/* ------------------------------------------------------------------------------------------------- thread */

/* Take what is due. Where nothing is, note until when the thread will sleep. */
static unsigned take_due(struct delay *delay, struct entry *due, uint64_t *next, bool *end)
{
    uint64_t now = clock_now();
    unsigned count = 0;

    pthread_mutex_lock(&delay->lock);
    while (count < BATCH && next_due(delay) <= now)
        due[count++] = pop(delay);
    *next = next_due(delay);
    *end = delay->ending && count == 0 && delay->count == 0;
    delay->asleep_until = count == 0 ? *next : 0;
    pthread_mutex_unlock(&delay->lock);
    return count;
}

/* Tell of the requests among them, then call the functions. */
static void do_due(struct delay *delay, const struct entry *due, unsigned count)
{
    struct ersatz_request *requests[BATCH];
    unsigned to_tell = 0;

    for (unsigned i = 0; i < count; i++) {
        if (due[i].request != NULL)
            requests[to_tell++] = due[i].request;
    }
    if (to_tell > 0 && delay->device->faults != NULL)
        faults_tell(delay->device->faults, &delay->poster, requests, to_tell);
    else if (to_tell > 0)
        poster_post(&delay->poster, requests, to_tell);
    for (unsigned i = 0; i < count; i++) {
        if (due[i].request == NULL)
            due[i].run(due[i].arg);
    }
}

/*
 * A thread runs some time after its timer has fired: tens of microseconds, most of it the same each time. So
 * the timer is set early by what that took lately, or a little less, and the rest of it, if there is one, is
 * spun away. The estimate goes down at once when the thread was up too soon, and up slowly.
 */
static void sleep_until(struct delay *delay, uint64_t next)
{
    uint64_t now = clock_now(), lead = delay->lead, late;

    if (next == DELAY_NEVER) {
        poster_sleep(&delay->poster, DELAY_NEVER);
        return;
    }
    if (next <= now + lead) {
        while (clock_now() < next)
            ;
        return;
    }
    poster_sleep(&delay->poster, next - lead);
    now = clock_now();
    if (now < next - lead)
        return; /* the doorbell */
    late = now - (next - lead);
    delay->lead = late < lead ? lead - (lead - late) / 4
                              : lead + (late < LEAD_MAX ? late - lead : LEAD_MAX - lead) / 16;
}

static void keep_time(struct delay *delay)
{
    struct entry due[BATCH];
    uint64_t next;
    bool end = false;

    while (!end) {
        unsigned count = take_due(delay, due, &next, &end);

        do_due(delay, due, count);
        if (count == 0 && !end)
            sleep_until(delay, next);
    }
}

static void *run(void *arg)
{
    struct delay *delay = arg;

    delay->start_result = poster_init(&delay->poster, BATCH, true, delay->start_error);
    sem_post(&delay->started);
    if (delay->start_result != ERSATZ_OK)
        return NULL;
    keep_time(delay);
    poster_exit(&delay->poster);
    return NULL;
}

/* ----------------------------------------------------------------------------------------- start and stop */

static enum ersatz_result start_thread(struct delay *delay, struct ersatz_error *error)
{
    delay->start_error = error;
    if (!thread_start(&delay->thread, run, delay))
        return threads_explain(error, "the thread of the delay line");
    while (sem_wait(&delay->started) != 0)
        ; /* interrupted by a signal of the application's */
    if (delay->start_result != ERSATZ_OK)
        pthread_join(delay->thread, NULL);
    return delay->start_result;
}

enum ersatz_result delay_start(struct ersatz_device *device, struct delay **out, struct ersatz_error *error)
{
    struct delay *delay = calloc(1, sizeof(*delay));
    enum ersatz_result result;

    *out = NULL;
    if (delay == NULL) {
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text), "no memory for the delay line");
        return ERSATZ_NO_MEMORY;
    }
    delay->device = device;
    poster_open(&delay->poster, device);
    pthread_mutex_init(&delay->lock, NULL); /* cannot fail for a default mutex on Linux */
    sem_init(&delay->started, 0, 0);
    result = start_thread(delay, error);
    if (result == ERSATZ_OK)
        *out = delay;
    else
        delay_free(delay);
    return result;
}

void delay_stop(struct delay *delay)
{
    if (delay == NULL)
        return;
    flush(delay, true);
    pthread_join(delay->thread, NULL);
}

void delay_free(struct delay *delay)
{
    if (delay == NULL)
        return;
    pthread_mutex_destroy(&delay->lock);
    sem_destroy(&delay->started);
    free(delay->heap);
    free(delay);
}
