/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that would only wait lends the card its core: it does its own RSA operation as a worker would. To
 * hand it to another core and to be woken from there again takes two wake-ups, a quarter of an RSA-2048
 * signature on some machines, and gains nothing while there are workers to spare. With more operations in
 * flight than workers they do, since they compute several at once.
 */
#include "lend.h"

#include <openssl/err.h>
#include <sched.h>

#include "complete.h"
#include "device.h"
#include "ersatz/undisturbed.h"
#include "kernels/compute.h"

/* How often the calling thread is at it: a handler that interrupted it may use the card, too. Volatile, for
 * that handler. Nothing pauses in here, so this is one thread from beginning to end. */
static _Thread_local volatile unsigned lending;

/* Where somebody looks at times or holds requests, the card is to behave as a card. */
static bool may_lend(const struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    return !request_is_inherited(request) && request->group_next == NULL && !device->keeps_times &&
           atomic_load_explicit(&device->hold, memory_order_relaxed) == ERSATZ_HOLD_NONE &&
           atomic_load_explicit(&device_stats(device)->in_flight[ERSATZ_FLIGHT_ALL], memory_order_relaxed) <
               (int)device->config.workers &&
           compute_is_portable(&request->op);
}

static void compute(struct ersatz_request *request)
{
    struct ersatz_stats *stats = device_stats(request->device);
    enum ersatz_result result;

    ersatz_count(&stats->requests[ersatz_op_name(&request->op)], 1);
    ERR_set_mark();
    result = compute_alone(&request->op, stats);
    ERR_pop_to_mark(); /* the result says it */
    ersatz_count(&stats->batches, 1);
    ersatz_count(&stats->completed, 1);
    ersatz_count(&stats->failed, result != ERSATZ_OK);
    complete_by_hand(complete_result(request, result));
}

static bool compute_in_slot(struct ersatz_request *request, struct instance *instance)
{
    if (atomic_load(&request->device->stopping) || !instance_enter(instance))
        return false;
    request->notify = NOTIFY_WAIT;
    request->instance = instance;
    request->has_slot = true;
    request_reference(request); /* the device's */
    device_flight_began(request);
    compute(request);
    return true;
}

static bool come_in(struct ersatz_request *request, struct instance *instance)
{
    struct ersatz_device *device = request->device;
    bool done;

    /* Sequentially consistent: we come in, then look whether the device is stopping; lend_stop() comes after
     * that was said, and looks whether somebody is in. */
    lending++;
    atomic_fetch_add(&device->lenders, 1);
    done = compute_in_slot(request, instance);
    atomic_fetch_sub(&device->lenders, 1);
    lending--;
    return done;
}

bool lend(struct ersatz_request *request, struct instance *instance)
{
    struct ersatz_undisturbed before;
    bool done;

    if (!may_lend(request))
        return false;
    /* A public operation is over sooner than what else a thread does with signals blocked would take. */
    if (request->op.kind != ERSATZ_RSA_PRIVATE)
        return come_in(request, instance);
    ersatz_undisturbed_begin(&before);
    done = come_in(request, instance);
    ersatz_undisturbed_end(&before);
    return done;
}

unsigned lend_interrupted(void)
{
    return lending;
}

void lend_stop(struct ersatz_device *device, unsigned but)
{
    while (atomic_load(&device->lenders) > but)
        sched_yield(); /* one operation each */
}
