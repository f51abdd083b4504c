/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that would only wait for its RSA operation lends the card its core. */
#ifndef ERSATZ_SIM_DEVICE_LEND_H
#define ERSATZ_SIM_DEVICE_LEND_H

#include <stdbool.h>

struct ersatz_device;
struct ersatz_request;
struct instance;

/* Compute the request on the calling thread, as a worker would, and complete it. False: leave it to the
 * workers. */
bool lend(struct ersatz_request *request, struct instance *instance);

/* How many calls of lend() the calling thread is in: more than none in a signal handler that interrupted
 * it. */
unsigned lend_interrupted(void);

/* Wait until at most `left` calls of lend() are running. The device is stopping, and none will be added. */
void lend_stop(struct ersatz_device *device, unsigned left);

#endif
