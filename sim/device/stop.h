/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping and freeing a device: the part that the first worker runs. See stop.c. */
#ifndef ERSATZ_SIM_DEVICE_STOP_H
#define ERSATZ_SIM_DEVICE_STOP_H

#include <stdbool.h>

struct ersatz_device;
struct poster;

/* The device takes no more requests from now on. Called by the first worker when it sees `leaving`. */
void stop_begin(struct ersatz_device *device);

/* End all other threads, complete all requests, and close the worker's poster. Called by the first worker, as
 * the last thing it does: the device may be gone afterwards. */
void stop_end(struct ersatz_device *device, struct poster *poster);

#endif
