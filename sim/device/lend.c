/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that would only wait lends the card its core: it computes its own RSA operation as a worker would.
 * Handing it to another core takes two wake-ups, on some machines a quarter of the time of an RSA-2048
 * signature, and gains nothing while fewer operations are in flight than there are workers. With more, the
 * workers compute several at once.
 */
#include "lend.h"

#include <openssl/err.h>
#include <sched.h>

#include "base/stats.h"
#include "by_hand.h"
#include "complete.h"
#include "device.h"
#include "ersatz/undisturbed.h"
#include "kernels/compute.h"

/* How many calls of lend() this thread is in: a signal handler that interrupts one may use the card, too.
 * Volatile because of that handler. No job pauses in lend(), so the thread does not change meanwhile. */
static _Thread_local volatile unsigned lending;

/* While requests are held, or their times recorded, the operation goes to a worker. */
static bool may_lend(const struct ersatz_request *request)
{
    struct ersatz_device *device = request->device;

    return !request_is_inherited(request) && request->group_next == NULL && !device->keeps_times &&
           atomic_load_explicit(&device->hold, memory_order_relaxed) == ERSATZ_HOLD_NONE &&
           compute_is_portable(&request->op) &&
           device_flights(device, ERSATZ_FLIGHT_ALL, device->config.workers) < device->config.workers;
}

static void compute(struct ersatz_request *request)
{
    struct ersatz_stats *stats = device_stats(request->device);
    enum ersatz_result result;

    stats_count_request(stats, ersatz_op_name(&request->op));
    ERR_set_mark();
    result = compute_alone(&request->op, stats);
    ERR_pop_to_mark(); /* the result reports the error */
    stats_count(stats, ERSATZ_COUNTER_BATCHES, 1);
    stats_count(stats, ERSATZ_COUNTER_COMPLETED, 1);
    stats_count(stats, ERSATZ_COUNTER_FAILED, result != ERSATZ_OK);
    complete_by_hand(complete_result(request, result));
}

static bool compute_in_slot(struct ersatz_request *request, struct instance *instance)
{
    if (atomic_load(&request->device->stopping) || !instance_take_slot(instance))
        return false;
    request->notify = NOTIFY_WAIT;
    request->instance = instance;
    request->has_slot = true;
    request_reference(request); /* the device's */
    device_flight_began(request);
    compute(request);
    return true;
}

static bool compute_counted(struct ersatz_request *request, struct instance *instance)
{
    bool done;

    /* Sequentially consistent: this thread raises the count, then looks whether the device is stopping; the
     * first worker sets `stopping`, then looks at the count in lend_stop(). */
    lending++;
    atomic_fetch_add(&instance->counts->lenders, 1);
    done = compute_in_slot(request, instance);
    atomic_fetch_sub(&instance->counts->lenders, 1);
    lending--;
    return done;
}

bool lend(struct ersatz_request *request, struct instance *instance)
{
    struct ersatz_undisturbed before;
    bool done;

    if (!may_lend(request))
        return false;
    /* Blocking signals takes longer than a public operation, and is not worth it for one. */
    if (request->op.kind != ERSATZ_RSA_PRIVATE)
        return compute_counted(request, instance);
    ersatz_undisturbed_begin(&before);
    done = compute_counted(request, instance);
    ersatz_undisturbed_end(&before);
    return done;
}

unsigned lend_interrupted(void)
{
    return lending;
}

static unsigned lenders(struct ersatz_device *device)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < device->instances_ready; i++)
        sum += atomic_load(&device->instances[i].counts->lenders);
    return sum;
}

void lend_stop(struct ersatz_device *device, unsigned left)
{
    /* The counts are read one after the other; a thread that raises one meanwhile finds that the device is
     * stopping, and lowers it again. */
    while (lenders(device) > left)
        sched_yield(); /* one operation each */
}
