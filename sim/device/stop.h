/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping a device, and giving it up: what runs on the card's own side. See stop.c. */
#ifndef ERSATZ_SIM_DEVICE_STOP_H
#define ERSATZ_SIM_DEVICE_STOP_H

#include <stdbool.h>

struct ersatz_device;
struct poster;

/* By the first worker, when it sees that the device is to stop: from now on it takes no more requests. */
void stop_begins(struct ersatz_device *device);

/* By the first worker, as the last thing it does: everything else ends, and its poster. The device may be
 * gone afterwards. */
void stop_ends(struct ersatz_device *device, struct poster *poster);

#endif
