/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that would only wait lends the card its core. */
#ifndef ERSATZ_SIM_DEVICE_LEND_H
#define ERSATZ_SIM_DEVICE_LEND_H

#include <stdbool.h>

struct ersatz_device;
struct ersatz_request;
struct instance;

/* Do the request here and now, as a worker would, and step it to SIGNALLED. False: it is for the workers. */
bool lend(struct ersatz_request *request, struct instance *instance);

/* How many operations of its own the calling thread is in the middle of, as a handler that interrupted it. */
unsigned lend_interrupted(void);

/* Wait until no more than `but` threads are at it; the device is stopping, and there will be no more. */
void lend_stop(struct ersatz_device *device, unsigned but);

#endif
