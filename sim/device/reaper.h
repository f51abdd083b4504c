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

/* Free the slots of the completions on the response ring, by parking them. Their callbacks run in the next
 * reaper_take(). Returns how many there were. */
unsigned reaper_park(struct instance *instance);

/* For a thread of the device that waits for a slot in a callback: reaper_park() for its own instance. The
 * callbacks run when the current one has returned. */
void reaper_park_own(void);

/* Take the completions without running their callbacks: the device is freed, and nobody polls any more. */
void reaper_drop(struct instance *instance);

#endif
