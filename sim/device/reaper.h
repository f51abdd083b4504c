/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper: takes completions off a response ring and runs their callbacks. */
#ifndef ERSATZ_SIM_DEVICE_REAPER_H
#define ERSATZ_SIM_DEVICE_REAPER_H

#include "instance.h"

/* Start the instance's reaper thread if it does not run yet. False: it could not be started. */
bool reaper_start(struct instance *instance);

/* Run what is left on the response ring, then end the thread. Waits for the callback that it may be in. */
void reaper_stop(struct instance *instance);

/* Take what is on the response ring now. Returns how many completions there were. */
unsigned reaper_take(struct instance *instance);

/* The device has stopped, and its reapers have ended: no thread of the device looks at the instance after
 * this. Without external polling, runs the callbacks that are left, as the reaper would. */
void reaper_leave(struct instance *instance);

/* Run the callbacks that were parked after reaper_leave(), on a thread that is started for that. */
void reaper_take_over(struct instance *instance);

/* Make room on the response ring: what is there gives its slots back now, and its callbacks run in the next
 * reaper_take(). */
void reaper_park(struct instance *instance);

/* Whether the calling thread is a reaper of the device, and so in a callback. */
bool reaper_runs_a_callback(const struct ersatz_device *device);

/* The instance of the device in one of whose callbacks the calling thread is; NULL: it is in none. */
struct instance *reaper_of_callback(const struct ersatz_device *device);

/* Whether the calling thread is in a callback on a thread of a device that is to stop. */
bool reaper_of_leaving_device(void);

/* For such a thread that waits for a slot: make room on its own response ring. Its callbacks run when the one
 * under way has returned. */
void reaper_park_own(void);

/* Take what is on the response ring without running callbacks: the device is going, nobody polls any more. */
void reaper_drop(struct instance *instance);

#endif
