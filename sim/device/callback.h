/* SPDX-License-Identifier: Apache-2.0 */
/* Runs callbacks, and knows on which threads they run. */
#ifndef ERSATZ_SIM_DEVICE_CALLBACK_H
#define ERSATZ_SIM_DEVICE_CALLBACK_H

#include "instance.h"

#define CALLBACKS_AT_ONCE 32u /* how many requests a thread takes before it runs their callbacks */

/*
 * What a thread that runs callbacks knows about itself. A callback may submit and wait for a slot; the slots
 * may belong to completions that this very thread has not taken yet.
 */
struct delivery {
    struct instance *instance; /* whose callback this thread of the device is running; or NULL */
    bool parked;               /* completions were parked meanwhile */
};

/* The calling thread's. */
struct delivery *own_delivery(void);

/* Run the callback of a request that is COMPLETE and has given its slot back, and end the request. */
void callback_deliver(struct ersatz_request *request);

/* Take parked requests, at most CALLBACKS_AT_ONCE. Returns how many. Under the reap lock. */
unsigned callback_take_parked(struct instance *instance, struct ersatz_request **taken);

/* Run the callbacks that were parked after reaper_leave(), on a thread that is started for that. */
void callback_run_parked_apart(struct instance *instance);

/* The instance whose callback the calling thread is running, as a thread of the device; NULL: none. */
struct instance *callback_instance(const struct ersatz_device *device);

/* Whether the calling thread is running a callback as a thread of the device. */
bool callback_runs_here(const struct ersatz_device *device);

/* Whether the calling thread is running a callback as a thread of a device that has been asked to stop. */
bool callback_of_leaving_device(void);

#endif
