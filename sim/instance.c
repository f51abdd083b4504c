/* Ring pairs: slots, the line in front of them, messages to the response ring. */
#include "instance.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "device.h"
#include "kernel_order.h"
#include "model.h"
#include "uring.h"

enum ersatz_result instance_init(
    struct instance *instance, struct ersatz_device *device, unsigned depth, struct ersatz_error *error)
{
    enum ersatz_result result;

    instance->device = device;
    instance->depth = depth;
    atomic_init(&instance->in_flight, 0);
    atomic_init(&instance->line_length, 0);
    atomic_init(&instance->shut, 0);
    atomic_init(&instance->reaper_runs, false);
    instance->line_first = NULL;
    instance->line_end = &instance->line_first;
    instance->parked_first = NULL;
    instance->parked_end = &instance->parked_first;
    instance->marked = false;
    if (!ring_init(&instance->requests, depth)) {
        error->result = ERSATZ_NO_MEMORY;
        snprintf(error->text, sizeof(error->text), "no memory for a request ring of depth %u", depth);
        return ERSATZ_NO_MEMORY;
    }
    result = uring_init_response(&instance->responses, depth, error);
    if (result != ERSATZ_OK) {
        ring_destroy(&instance->requests);
        return result;
    }
    pthread_mutex_init(&instance->line_lock, NULL);
    pthread_mutex_init(&instance->reap_lock, NULL);
    return ERSATZ_OK;
}

void instance_close(struct instance *instance)
{
    io_uring_queue_exit(&instance->responses);
}

void instance_destroy(struct instance *instance)
{
    ring_destroy(&instance->requests);
    pthread_mutex_destroy(&instance->line_lock);
    pthread_mutex_destroy(&instance->reap_lock);
}

static bool take_slot(struct instance *instance)
{
    unsigned taken = atomic_load(&instance->in_flight);

    while (taken < instance->depth) {
        if (atomic_compare_exchange_weak(&instance->in_flight, &taken, taken + 1))
            return true;
    }
    return false;
}

/* Put a request that has a slot into the ring. There is room: the ring is as long as there are slots. */
static void push(struct instance *instance, struct ersatz_request *request)
{
    if (instance->device->model != NULL)
        model_accept(request); /* before a worker can have it */
    while (!ring_push(&instance->requests, request))
        sched_yield(); /* a worker is between taking an item and freeing its place */
    device_ring_doorbell(instance->device);
}

static struct ersatz_request *leave_line(struct instance *instance)
{
    struct ersatz_request *request;

    pthread_mutex_lock(&instance->line_lock);
    request = instance->line_first;
    if (request != NULL) {
        instance->line_first = request->next;
        if (instance->line_first == NULL)
            instance->line_end = &instance->line_first;
        atomic_fetch_sub(&instance->line_length, 1);
    }
    pthread_mutex_unlock(&instance->line_lock);
    return request;
}

/* Let those in line have the slots there are. */
static void admit(struct instance *instance)
{
    while (
        atomic_load(&instance->line_length) > 0 && atomic_load(&instance->shut) == 0 && take_slot(instance)) {
        struct ersatz_request *request = leave_line(instance);

        if (request == NULL)
            atomic_fetch_sub(&instance->in_flight, 1); /* another thread was faster; look once more */
        else
            push(instance, request);
    }
}

bool instance_enter(struct instance *instance)
{
    return atomic_load(&instance->line_length) == 0 && take_slot(instance);
}

bool instance_enqueue(struct instance *instance, struct ersatz_request *request, bool wait_in_line)
{
    if (instance_enter(instance)) {
        push(instance, request);
        return true;
    }
    if (wait_in_line)
        instance_line_up(instance, request);
    else
        ersatz_count(&device_stats(instance->device)->retries, 1);
    return wait_in_line;
}

void instance_line_up(struct instance *instance, struct ersatz_request *request)
{
    ersatz_count(&device_stats(instance->device)->retries, 1);
    request->next = NULL;
    pthread_mutex_lock(&instance->line_lock);
    *instance->line_end = request;
    instance->line_end = &request->next;
    atomic_fetch_add(&instance->line_length, 1);
    pthread_mutex_unlock(&instance->line_lock);
    /*
     * A slot may have come free between the first look and joining the line. Either the one who freed it sees
     * us (it lowers in_flight, then reads line_length), or we see the slot (we raised line_length, now read
     * in_flight): sequential consistency forbids that both miss.
     */
    admit(instance);
}

void instance_shut(struct instance *instance)
{
    atomic_fetch_add(&instance->shut, 1);
}

void instance_open(struct instance *instance)
{
    /* Then look at the line. Whoever found it shut meanwhile has joined the line before, or given a slot
     * back. */
    atomic_fetch_sub(&instance->shut, 1);
    admit(instance);
}

void instance_give_slots(struct instance *instance, unsigned count)
{
    atomic_fetch_sub(&instance->in_flight, count);
    admit(instance);
}

void instance_give_slot(struct instance *instance)
{
    instance_give_slots(instance, 1);
}

struct ersatz_request *instance_take_back(struct instance *instance)
{
    struct ersatz_request *request = ring_pop(&instance->requests);

    if (request != NULL)
        atomic_fetch_sub(&instance->in_flight, 1);
    else
        request = leave_line(instance);
    return request;
}

bool instance_send(struct instance *instance, struct ersatz_request *request)
{
    struct io_uring_sqe *sqe;
    int submitted = 0;

    pthread_mutex_lock(&instance->reap_lock);
    sqe = io_uring_get_sqe(&instance->responses);
    if (sqe != NULL) {
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data(sqe, request);
        kernel_order_give(request);
        while ((submitted = io_uring_submit(&instance->responses)) == -EINTR || submitted == -EAGAIN ||
               submitted == -EBUSY)
            sched_yield();
        if (submitted != 1) { /* take it back: it must not go out with the next one */
            struct io_uring_sq *sq = &instance->responses.sq;

            *sq->ktail = sq->sqe_head = --sq->sqe_tail;
        }
    }
    pthread_mutex_unlock(&instance->reap_lock);
    return submitted == 1;
}
