/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper: takes completions off a response ring and runs their callbacks. */
#ifndef ERSATZ_SIM_DEVICE_REAPER_H
#define ERSATZ_SIM_DEVICE_REAPER_H

#include "instance.h"

/* Start the instance's reaper thread if it does not run yet. False: it could not be started. */
bool reaper_start(struct instance *instance);

/* Run the callbacks of all completions, then end the thread. Waits for a callback that is running. */
void reaper_stop(struct instance *instance);

/* Take the completions that are there now, and run their callbacks. Returns how many there were. */
unsigned reaper_take(struct instance *instance);

/* The device has stopped, and its reapers have ended: no thread of the device looks at the instance after
 * this. Without external polling, runs the callbacks that are left, as the reaper would. */
void reaper_leave(struct instance *instance);

/* Run the callbacks that were parked after reaper_leave(), on a thread that is started for that. */
void reaper_take_over(struct instance *instance);

/* Free the slots of the completions on the response ring, by parking them. Their callbacks run in the next
 * reaper_take(). */
void reaper_park(struct instance *instance);

/* Whether the calling thread is running a callback as a thread of the device. */
bool reaper_in_callback(const struct ersatz_device *device);

/* The instance whose callback the calling thread is running, as a thread of the device; NULL: none. */
struct instance *reaper_of_callback(const struct ersatz_device *device);

/* Whether the calling thread is running a callback as a thread of a device that has been asked to stop. */
bool reaper_of_leaving_device(void);

/* For a thread of the device that waits for a slot in a callback: reaper_park() for its own instance. The
 * callbacks run when the current one has returned. */
void reaper_park_own(void);

/* Take the completions without running their callbacks: the device is freed, and nobody polls any more. */
void reaper_drop(struct instance *instance);

#endif
