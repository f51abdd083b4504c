/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of the card: which commands come by it, and the device that they are for. The socket
 * exists while the device runs. Its thread starts no device, stops none, runs no code of the application, and
 * does not take the card's lock, whose holder may wait for it.
 */
#ifndef ERSATZ_DRIVER_STEERING_H
#define ERSATZ_DRIVER_STEERING_H

#include <stdbool.h>

#include "ersatz/control_socket.h"
#include "ersatz/device.h"
#include "ersatz/record.h"

/* What runs the commands that come by the socket. Before a device starts. */
void steering_set_run(ersatz_control_run *run);

/* The device has started: make the socket. Complains on standard error if that fails. */
void steering_begin(struct ersatz_device *device, const char *path, struct ersatz_record *record);

/* The device is about to stop; no command uses it when this returns. */
void steering_end(void);

/* In the child of a fork. */
void steering_forget(void);

/* For a command that came by the socket: run use(device, arg). False: the device has stopped. */
bool steering_use(void (*use)(struct ersatz_device *device, void *arg), void *arg);

/* The record of the device. */
struct ersatz_record *steering_record(void);

#endif
