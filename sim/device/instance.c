/* SPDX-License-Identifier: Apache-2.0 */
/* Request ring, slots and line; response ring and parked completions. */
#include "instance.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "ersatz/assertion.h"
#include "timing.h"
#include "uring.h"

enum ersatz_result instance_init(
    struct instance *instance, struct ersatz_device *device, unsigned index, struct ersatz_error *error)
{
    unsigned depth = device->config.ring_depth;

    instance->device = device;
    instance->index = index;
    instance->depth = depth;
    instance->counts = device->load != NULL && index < ERSATZ_LOAD_INSTANCES ? &device->load->of[index]
                                                                             : &instance->own_counts;
    *instance->counts = (struct ersatz_ring_counts){0};
    atomic_init(&instance->counts->flights, device->config.keeps_in_flight ? FLIGHTS_KEPT : 0);
    atomic_init(&instance->line_length, 0);
    atomic_init(&instance->shut, 0);
    atomic_init(&instance->ring_state, RING_NOT_MADE);
    atomic_init(&instance->reaper_runs, false);
    atomic_init(&instance->reaper_stops, false);
    atomic_init(&instance->wants_mark, false);
    atomic_init(&instance->unattended, false);
    atomic_init(&instance->begun_before, 0);
    doorbell_init(&instance->reaper_bell);
    instance->line_first = NULL;
    instance->line_end = &instance->line_first;
    instance->parked_first = NULL;
    instance->parked_end = &instance->parked_first;
    instance->marked = instance->kept_last = false;
    if (!ring_init(&instance->requests, depth)) {
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text), "no memory for a request ring of depth %u", depth);
        return ERSATZ_NO_MEMORY;
    }
    ersatz_lock_renew(&instance->line_lock);
    ersatz_lock_renew(&instance->reap_lock);
    return ERSATZ_OK;
}

/* ------------------------------------------------------------------------------------------ response ring */

/* Completions of requests that have no slot any more, and marks: see take_ring() and poster_mark(). */
#define COMPLETIONS_BESIDE 2u

struct ring_to_make {
    struct instance *instance;
    enum uring_need need;
};

static void make_ring(void *arg)
{
    struct ring_to_make *ring = arg;
    struct instance *instance = ring->instance;
    struct ersatz_error error; /* not reported: completions are parked instead, which is only slower */

    if (uring_init_response(&instance->responses, instance->depth + COMPLETIONS_BESIDE, ring->need, &error) !=
        ERSATZ_OK)
        return;
    if (descriptor_identify(instance->responses.ring_fd, &instance->ring_identity))
        /* Release: pairs with the acquire in instance_has_ring(). */
        atomic_store_explicit(&instance->ring_state, RING_READY, memory_order_release);
    else
        io_uring_queue_exit(&instance->responses);
}

static bool may_make_ring(struct instance *instance, bool again)
{
    int state = atomic_load_explicit(&instance->ring_state, memory_order_acquire);

    return state == RING_NOT_MADE || (again && state == RING_REFUSED);
}

void instance_make_ring(struct instance *instance, bool again)
{
    struct ring_to_make ring = {.instance = instance, .need = again ? URING_NEEDED : URING_WELCOME};
    struct ersatz_locked locked;

    if (!may_make_ring(instance, again))
        return;
    ersatz_lock(&instance->reap_lock, &locked);
    if (may_make_ring(instance, again)) {
        if (!atomic_exchange_explicit(&instance->device->makes_responses, true, memory_order_relaxed))
            ring.need = URING_NEEDED;
        if (!uring_apart(make_ring, &ring) || !instance_has_ring(instance))
            atomic_store_explicit(&instance->ring_state, RING_REFUSED, memory_order_release);
    }
    ersatz_unlock(&locked);
}

bool instance_has_completions(struct instance *instance)
{
    int state = atomic_load_explicit(&instance->ring_state, memory_order_acquire);

    return state == RING_READY || state == RING_UNREACHABLE;
}

static bool owns_descriptor(const struct instance *instance)
{
    return descriptor_is(instance->responses.ring_fd, &instance->ring_identity);
}

void instance_check_ring(struct instance *instance)
{
    if (instance_has_ring(instance) && !owns_descriptor(instance))
        atomic_store_explicit(&instance->ring_state, RING_UNREACHABLE, memory_order_release);
}

void instance_close(struct instance *instance)
{
    if (!instance_has_completions(instance))
        return;
    if (!owns_descriptor(instance))
        instance->responses.ring_fd = instance->responses.enter_ring_fd = -1; /* do not close */
    io_uring_queue_exit(&instance->responses);
}

void instance_forget(struct instance *instance)
{
    /* The memory is not there: see uring_init_response(). */
    if (instance_has_completions(instance) && owns_descriptor(instance))
        close(instance->responses.ring_fd);
}

bool instance_wants_mark(struct instance *instance)
{
    return atomic_exchange(&instance->wants_mark, false) && instance_has_ring(instance);
}

void instance_mark_failed(struct instance *instance)
{
    static const struct timespec pause = {.tv_nsec = 1000000};

    instance_check_ring(instance);
    if (!instance_has_ring(instance))
        return;
    nanosleep(&pause, NULL); /* Linux is short of memory */
    atomic_store(&instance->wants_mark, true);
    device_ask_for_marks(instance->device);
}

void instance_mark_given_up(struct instance *instance)
{
    struct ersatz_locked locked;

    ersatz_lock(&instance->reap_lock, &locked);
    instance->marked = false; /* the next completion that is parked asks again */
    ersatz_unlock(&locked);
}

/* Ask the first worker for a mark, unless the ring's descriptor is readable anyway. Under the reap lock. */
static void ask_for_mark(struct instance *instance)
{
    if (instance->marked || instance->kept_last || !instance_has_ring(instance))
        return;
    instance->marked = true;
    atomic_store(&instance->wants_mark, true);
    device_ask_for_marks(instance->device);
}

void instance_park(struct instance *instance, struct ersatz_request *request)
{
    struct ersatz_locked locked;

    request->next = NULL;
    ersatz_lock(&instance->reap_lock, &locked);
    ASSERT((instance->parked_first == NULL) == (instance->parked_end == &instance->parked_first));
    *instance->parked_end = request;
    instance->parked_end = &request->next;
    if (device_polled_externally(instance->device))
        ask_for_mark(instance);
    instance_wake_reaper(instance);
    ersatz_unlock(&locked);
}

void instance_wake_reaper(struct instance *instance)
{
    if (!device_polled_externally(instance->device))
        doorbell_ring(&instance->reaper_bell);
}

/* ----------------------------------------------------------------------------------------- slots and line */

static bool take_slot(struct instance *instance)
{
    unsigned taken = atomic_load(&instance->counts->in_flight);

    while (taken < instance->depth) {
        if (atomic_compare_exchange_weak(&instance->counts->in_flight, &taken, taken + 1))
            return true;
    }
    return false;
}

/* Put a request that has a slot into the ring. There is room: the ring is as long as there are slots. */
static void push(struct instance *instance, struct ersatz_request *request)
{
    ASSERT(!request->has_slot);
    request->has_slot = true;
    if (instance->device->timing != NULL)
        timing_accept(request); /* before a worker can have it */
    while (!ring_push(&instance->requests, request))
        sched_yield(); /* a worker is between taking an item and freeing its place */
    device_ring_doorbell(instance->device, instance->index);
}

static struct ersatz_request *leave_line(struct instance *instance)
{
    struct ersatz_request *request;
    unsigned length;
    struct ersatz_locked locked;

    ersatz_lock(&instance->line_lock, &locked);
    request = instance->line_first;
    if (request != NULL) {
        instance->line_first = request->next;
        if (instance->line_first == NULL)
            instance->line_end = &instance->line_first;
        length = atomic_fetch_sub(&instance->line_length, 1);
        ASSERT(length >= 1);
    }
    ersatz_unlock(&locked);
    return request;
}

/* Whether a request in line may have a slot, should there be one. Of a device that is stopping the line is
 * cancelled instead. */
static bool may_admit(struct instance *instance)
{
    return atomic_load(&instance->line_length) > 0 && atomic_load(&instance->shut) == 0 &&
           !atomic_load(&instance->device->stopping);
}

/* Let those in line have the slots there are. */
static void admit(struct instance *instance)
{
    while (may_admit(instance) && take_slot(instance)) {
        struct ersatz_request *request = leave_line(instance);

        if (request == NULL)
            atomic_fetch_sub(&instance->counts->in_flight, 1); /* another thread was faster; look once more */
        else
            push(instance, request);
    }
}

bool instance_take_slot(struct instance *instance)
{
    return atomic_load(&instance->line_length) == 0 && take_slot(instance);
}

bool instance_enqueue(struct instance *instance, struct ersatz_request *request, bool wait_in_line)
{
    if (instance_take_slot(instance)) {
        push(instance, request);
        return true;
    }
    if (wait_in_line)
        instance_join_line(instance, request);
    else
        ersatz_count(&device_stats(instance->device)->retries, 1);
    return wait_in_line;
}

void instance_join_line(struct instance *instance, struct ersatz_request *request)
{
    struct ersatz_locked locked;

    ersatz_count(&device_stats(instance->device)->retries, 1);
    request->next = NULL;
    ersatz_lock(&instance->line_lock, &locked);
    ASSERT((instance->line_first == NULL) == (instance->line_end == &instance->line_first));
    *instance->line_end = request;
    instance->line_end = &request->next;
    atomic_fetch_add(&instance->line_length, 1);
    ersatz_unlock(&locked);
    /*
     * A slot may have come free between the first look and joining the line. Either the thread that freed it
     * sees this request (it lowers in_flight, then reads line_length), or this thread sees the slot (it has
     * raised line_length, and reads in_flight now): sequential consistency forbids that both miss.
     */
    admit(instance);
}

void instance_shut(struct instance *instance)
{
    atomic_fetch_add(&instance->shut, 1);
}

void instance_open(struct instance *instance)
{
    /* Then look at the line: a thread that found it shut had joined the line, or given a slot back,
     * before. */
    unsigned before = atomic_fetch_sub(&instance->shut, 1);

    ASSERT(before >= 1);
    admit(instance);
}

void instance_give_slots(struct instance *instance, unsigned count)
{
    unsigned before = atomic_fetch_sub(&instance->counts->in_flight, count);

    ASSERT(before >= count);
    admit(instance);
}

/* In how many looks a thread fills the place in the ring that it has taken. */
#define FILL_LOOKS 100u

/*
 * A submitter takes a place in the ring, fills it, then looks whether the device is stopping. That it has
 * taken the place is sequentially consistent, so a thread that stops the device sees this, or the submitter
 * sees that it stops. But that the place is filled may become visible later: here it is waited for. Not for
 * ever, since the submitter may be interrupted in between; then it looks when it goes on.
 */
static struct ersatz_request *pop_what_is_pushed(struct instance *instance)
{
    struct ersatz_request *request = ring_pop(&instance->requests);

    for (unsigned i = 0; request == NULL && ring_count(&instance->requests) > 0 && i < FILL_LOOKS; i++) {
        sched_yield();
        request = ring_pop(&instance->requests);
    }
    return request;
}

struct ersatz_request *instance_take_back(struct instance *instance)
{
    struct ersatz_request *request = pop_what_is_pushed(instance);

    if (request != NULL)
        return request;
    request = leave_line(instance);
    if (request != NULL) {
        atomic_fetch_add(&instance->counts->in_flight, 1);
        request->has_slot = true;
    }
    return request;
}
