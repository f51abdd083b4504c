/* SPDX-License-Identifier: Apache-2.0 */
/* See by_hand.h. */
#include "by_hand.h"

#include "callback.h"
#include "complete.h"
#include "device.h"
#include "ersatz/assertion.h"
#include "poster.h"
#include "waker.h"

/* Where the device has stopped, see to it that the callback runs or can be polled. */
static void park(struct ersatz_request *request)
{
    struct instance *instance = request->instance; /* once parked, the request may be gone at any time */

    complete_park(request);
    /* Sequentially consistent: see reaper_leave(). */
    if (!atomic_load(&instance->unattended))
        return;
    if (device_polled_externally(instance->device))
        poster_mark_apart(instance->device);
    else
        callback_run_parked_apart(instance);
}

void complete_by_hand(struct ersatz_request *request)
{
    complete_give_slots(&request, 1, false);
    complete_answer(request);
    if (request->notify == NOTIFY_CALLBACK) {
        park(request);
        return;
    }
    if (complete_begin(request))
        waker_signal(request->fd, request->fd_serial);
    complete_end(request);
}

void complete_uncomputed(struct ersatz_request *request, enum ersatz_result result)
{
    request = complete_result(request, result);
    if (request != NULL)
        complete_by_hand(request);
}

void complete_cancel_all(struct ersatz_device *device)
{
    ASSERT(atomic_load(&device->stopping));
    for (unsigned i = 0; i < device->instances_ready; i++) {
        struct ersatz_request *request;

        while ((request = instance_take_back(&device->instances[i])) != NULL)
            complete_uncomputed(request, ERSATZ_STOPPED);
    }
}
