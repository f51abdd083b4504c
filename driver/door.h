/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's doors: each ENGINE, and each library context's provider. However many are open, they share one
 * card and its settings: the first door sets up what all need, and the last one that closes stops the card.
 */
#ifndef ERSATZ_DRIVER_DOOR_H
#define ERSATZ_DRIVER_DOOR_H

#include <stdbool.h>

/*
 * Open a door. The first one sets every command's default, and after `configure` runs the commands in
 * ERSATZ_CTRL, which so have the last word. configure (NULL: none) runs under a lock: it may run commands,
 * but open and close no door. False, with an error raised: the door is not open.
 */
bool door_open(bool (*configure)(void *arg), void *arg);

/* Close a door that is open. */
void door_close(void);

/* Whether the device can be had, or the calling core is to compute instead. False: an error is raised. */
bool door_has_card(void);

/* Raise the error of an application whose libcrypto is not the one that this module uses. */
void door_refuse_libcrypto(void);

#endif
