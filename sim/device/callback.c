/* SPDX-License-Identifier: Apache-2.0 */
/* See callback.h. */
#include "callback.h"

#include "base/stats.h"
#include "base/threads.h"
#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "watch/check.h"

static _Thread_local struct delivery delivery;

/* Not inlined: a callback may resume a job, and its fibre may continue on another thread. */
__attribute__((noinline)) struct delivery *own_delivery(void)
{
    return &delivery;
}

static void run_callback(struct ersatz_request *request)
{
    struct check *check = request->device->check;
    struct check_callback callback;

    if (check == NULL) {
        request->callback(request->callback_arg);
    } else if (!callback_runs_here(request->device)) {
        struct ersatz_running_callback *running = check_polled_callback_begins(check, &request->watched);

        request->callback(request->callback_arg);
        check_polled_callback_ends(running);
    } else {
        check_callback_begins(check, &callback, &request->watched);
        request->callback(request->callback_arg);
        check_callback_ends(check, &callback);
    }
}

void callback_deliver(struct ersatz_request *request)
{
    /* Acquire: pairs with the step to COMPLETE. The C language does not know the io_uring in between. */
    (void)request_state(request);
    ASSERT(request->notify == NOTIFY_CALLBACK);
    if (complete_begin(request)) {
        stats_count(device_stats(request->device), ERSATZ_COUNTER_CALLBACKS, 1);
        run_callback(request);
    }
    complete_end(request);
}

unsigned callback_take_parked(struct instance *instance, struct ersatz_request **taken)
{
    unsigned count = 0;

    for (; instance->parked_first != NULL && count < CALLBACKS_AT_ONCE; count++) {
        taken[count] = instance->parked_first;
        instance->parked_first = taken[count]->next;
    }
    if (instance->parked_first == NULL)
        instance->parked_end = &instance->parked_first;
    return count;
}

/* Not from the ring, which may be closed by now. */
static void *run_parked(void *arg)
{
    struct instance *instance = arg;
    struct ersatz_request *taken[CALLBACKS_AT_ONCE];
    unsigned count;
    struct ersatz_locked locked;

    own_delivery()->instance = instance;
    do {
        ersatz_lock(&instance->reap_lock, &locked);
        count = callback_take_parked(instance, taken);
        ersatz_unlock(&locked);
        complete_give_slots(taken, count, true);
        for (unsigned i = 0; i < count; i++)
            callback_deliver(taken[i]);
    } while (count > 0);
    own_delivery()->instance = NULL;
    device_release(instance->device);
    return NULL;
}

void callback_run_parked_apart(struct instance *instance)
{
    pthread_t thread;

    device_reference(instance->device); /* the thread's */
    if (thread_start(&thread, run_parked, instance))
        pthread_detach(thread);
    else
        run_parked(instance); /* better than never */
}

struct instance *callback_instance(const struct ersatz_device *device)
{
    struct instance *instance = own_delivery()->instance;

    return instance != NULL && instance->device == device ? instance : NULL;
}

bool callback_runs_here(const struct ersatz_device *device)
{
    return callback_instance(device) != NULL;
}

bool callback_of_leaving_device(void)
{
    const struct instance *instance = own_delivery()->instance;

    return instance != NULL && atomic_load(&instance->device->leaving);
}

bool ersatz_thread_is_the_cards(void)
{
    return own_delivery()->instance != NULL;
}
