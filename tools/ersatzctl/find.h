/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the control socket of a process. */
#ifndef ERSATZCTL_FIND_H
#define ERSATZCTL_FIND_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The path of the socket, as this process can use it. The rule: the process has a thread named
 * ERSATZ_CONTROL_THREAD; among its descriptors is one socket that listens, whose name /proc/PID/net/unix has,
 * and one directory, which the socket is in. The program may have changed its working directory and its root
 * directory since. Exits if there is none.
 */
void find_socket(const char *pid, char *path, size_t size);

#endif
