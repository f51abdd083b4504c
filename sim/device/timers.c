/* SPDX-License-Identifier: Apache-2.0 */
/* See timers.h: a heap of events, and the thread that sleeps until the first of them is due. */
#include "timers.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/threads.h"
#include "ersatz/undisturbed.h"
#include "poster.h"

#define BATCH POSTER_BATCH_MAX
#define ROOM_AT_FIRST 64u
#define LEAD_MAX UINT64_C(25000) /* nanoseconds; the thread never spins for longer */

/* An event: a request to complete, or a function to call. */
struct entry {
    uint64_t due;
    uint64_t turn; /* of events that are due at the same time, the one that was put in first runs first */
    struct ersatz_request *request;
    void (*run)(void *);
    void *arg;
};

struct timers {
    uint64_t (*again)(struct ersatz_request *); /* see timers_start() */
    struct poster poster;
    pthread_t thread;

    uint64_t lead; /* used by the timer thread alone: see sleep_until() */

    struct ersatz_lock lock; /* what follows; the timer thread, which gets no signals, takes its mutex */
    struct entry *heap; /* the first to be due is at 0; those at 2i + 1 and 2i + 2 are due after that at i */
    size_t count, room;
    uint64_t turns;
    uint64_t asleep_until; /* an event that is due sooner wakes the thread; 0: it is awake, and will look */
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

static void sift_up(struct timers *timers, size_t at)
{
    struct entry *heap = timers->heap;

    for (; at > 0 && is_before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct timers *timers, size_t at)
{
    struct entry *heap = timers->heap;

    for (;;) {
        size_t first = at, left = 2 * at + 1;

        if (left < timers->count && is_before(&heap[left], &heap[first]))
            first = left;
        if (left + 1 < timers->count && is_before(&heap[left + 1], &heap[first]))
            first = left + 1;
        if (first == at)
            return;
        swap(&heap[at], &heap[first]);
        at = first;
    }
}

static bool reserve(struct timers *timers)
{
    size_t room = timers->room == 0 ? ROOM_AT_FIRST : 2 * timers->room;
    struct entry *heap;

    if (timers->count < timers->room)
        return true;
    heap = realloc(timers->heap, room * sizeof(*heap));
    if (heap == NULL)
        return false;
    timers->heap = heap;
    timers->room = room;
    return true;
}

static struct entry pop(struct timers *timers)
{
    struct entry first = timers->heap[0];

    timers->heap[0] = timers->heap[--timers->count];
    sift_down(timers, 0);
    return first;
}

static uint64_t next_due(const struct timers *timers)
{
    return timers->count == 0 ? TIMERS_NEVER : timers->heap[0].due;
}

/* ------------------------------------------------------------------------------------------------ entries */

static bool put(struct timers *timers, struct entry entry)
{
    struct ersatz_locked locked;
    bool ok;

    ersatz_lock(&timers->lock, &locked);
    ok = !timers->ending && reserve(timers);
    if (ok) {
        entry.turn = timers->turns++;
        timers->heap[timers->count++] = entry;
        sift_up(timers, timers->count - 1);
        if (entry.due < timers->asleep_until) {
            timers->asleep_until = entry.due; /* so that the next one need not ring, too */
            poster_wake(&timers->poster);
        }
    }
    ersatz_unlock(&locked);
    return ok;
}

bool timers_complete(struct timers *timers, struct ersatz_request *request, uint64_t due)
{
    return put(timers, (struct entry){.due = due, .request = request});
}

bool timers_call(struct timers *timers, uint64_t due, void (*run)(void *), void *arg)
{
    return put(timers, (struct entry){.due = due, .run = run, .arg = arg});
}

/* After times in the heap have changed. Under the lock. */
static void order_heap(struct timers *timers)
{
    for (size_t i = timers->count / 2; i-- > 0;)
        sift_down(timers, i);
}

void timers_hasten(struct timers *timers, bool (*which)(const struct ersatz_request *), uint64_t due)
{
    pthread_mutex_lock(&timers->lock.mutex);
    for (size_t i = 0; i < timers->count; i++) {
        struct entry *entry = &timers->heap[i];

        if (entry->request != NULL && entry->due > due && which(entry->request))
            entry->due = due;
    }
    order_heap(timers);
    pthread_mutex_unlock(&timers->lock.mutex);
}

static void flush(struct timers *timers, bool end)
{
    struct ersatz_locked locked;

    ersatz_lock(&timers->lock, &locked);
    timers->ending = timers->ending || end;
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i].due = 0; /* in the order in which they came */
    order_heap(timers);
    ersatz_unlock(&locked);
    poster_wake(&timers->poster);
}

void timers_flush(struct timers *timers)
{
    flush(timers, false);
}

/* ------------------------------------------------------------------------------------------------- thread */

/* Take the events that are due. Where none is, note until when the thread will sleep. */
static unsigned take_due(struct timers *timers, struct entry *due, uint64_t *next, bool *end)
{
    uint64_t now = clock_now();
    unsigned count = 0;

    pthread_mutex_lock(&timers->lock.mutex);
    while (count < BATCH && next_due(timers) <= now)
        due[count++] = pop(timers);
    *next = next_due(timers);
    *end = timers->ending && count == 0 && timers->count == 0;
    timers->asleep_until = count == 0 ? *next : 0;
    pthread_mutex_unlock(&timers->lock.mutex);
    return count;
}

/* Whether the request has another time, and is back in the heap. */
static bool is_put_back(struct timers *timers, struct ersatz_request *request)
{
    uint64_t due = timers->again == NULL ? 0 : timers->again(request);

    return due != 0 && timers_complete(timers, request, due);
}

/* Complete the requests among them, then call the functions. */
static void do_due(struct timers *timers, const struct entry *due, unsigned count)
{
    struct ersatz_request *requests[BATCH];
    unsigned complete = 0;

    for (unsigned i = 0; i < count; i++) {
        if (due[i].request != NULL && !is_put_back(timers, due[i].request))
            requests[complete++] = due[i].request;
    }
    if (complete > 0)
        poster_post(&timers->poster, requests, complete);
    for (unsigned i = 0; i < count; i++) {
        if (due[i].request == NULL)
            due[i].run(due[i].arg);
    }
}

/*
 * A thread begins to run some time after its sleep should have ended: tens of microseconds, much the same
 * each time. So it sleeps for less, by what this delay was lately or a little less (the lead), and spins for
 * the rest of the time. The lead goes down fast when the thread was awake too soon, and up slowly.
 */
static void sleep_until(struct timers *timers, uint64_t next)
{
    uint64_t now = clock_now(), lead = timers->lead, late;

    if (next == TIMERS_NEVER) {
        poster_sleep(&timers->poster, TIMERS_NEVER);
        return;
    }
    if (next <= now + lead) {
        while (clock_now() < next)
            ;
        return;
    }
    poster_sleep(&timers->poster, next - lead);
    now = clock_now();
    if (now < next - lead)
        return; /* the doorbell has rung */
    late = now - (next - lead);
    timers->lead = late < lead ? lead - (lead - late) / 4
                               : lead + (late < LEAD_MAX ? late - lead : LEAD_MAX - lead) / 16;
}

static void keep_time(struct timers *timers)
{
    struct entry due[BATCH];
    uint64_t next;
    bool end = false;

    while (!end) {
        unsigned count = take_due(timers, due, &next, &end);

        do_due(timers, due, count);
        if (count == 0 && !end)
            sleep_until(timers, next);
    }
}

static void *run(void *arg)
{
    struct timers *timers = arg;

    timers->start_result = poster_init(&timers->poster, BATCH, URING_WELCOME, timers->start_error);
    sem_post(&timers->started);
    if (timers->start_result != ERSATZ_OK)
        return NULL;
    keep_time(timers);
    poster_exit(&timers->poster);
    return NULL;
}

/* ----------------------------------------------------------------------------------------- start and stop */

static enum ersatz_result start_thread(struct timers *timers, struct ersatz_error *error)
{
    timers->start_error = error;
    if (!thread_start(&timers->thread, run, timers))
        return threads_explain(error, "the timer thread");
    while (sem_wait(&timers->started) != 0)
        ; /* interrupted by a signal of the application's */
    if (timers->start_result != ERSATZ_OK)
        pthread_join(timers->thread, NULL);
    return timers->start_result;
}

enum ersatz_result timers_start(struct ersatz_device *device, uint64_t (*again)(struct ersatz_request *),
    struct timers **out, struct ersatz_error *error)
{
    struct timers *timers = calloc(1, sizeof(*timers));
    enum ersatz_result result;

    *out = NULL;
    if (timers == NULL) {
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text), "no memory for the timers");
        return ERSATZ_NO_MEMORY;
    }
    timers->again = again;
    poster_open(&timers->poster, device);
    ersatz_lock_renew(&timers->lock);
    sem_init(&timers->started, 0, 0);
    result = start_thread(timers, error);
    if (result == ERSATZ_OK)
        *out = timers;
    else
        timers_free(timers);
    return result;
}

void timers_stop(struct timers *timers)
{
    if (timers == NULL)
        return;
    flush(timers, true);
    pthread_join(timers->thread, NULL);
}

void timers_free(struct timers *timers)
{
    if (timers == NULL)
        return;
    sem_destroy(&timers->started);
    free(timers->heap);
    free(timers);
}
