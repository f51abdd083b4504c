/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines on standard error about errors that may otherwise go unnoticed. A program that loads the module by
 * its configuration mostly goes on without it when the module or one of its commands is refused: in silence,
 * on plain OpenSSL, with exit status 0. A program that has used the module once looks at its own error queue,
 * so nothing is said any more. Any thread.
 */
#ifndef ERSATZ_DRIVER_REFUSAL_H
#define ERSATZ_DRIVER_REFUSAL_H

#include <stdbool.h>

/* The module was not loaded or not started: say the newest error on the calling thread's queue, the
 * reason. */
void refusal_say(void);

/* A command was refused: say the newest error. Once for the process, and only before refusal_end(). */
void refusal_say_command(void);

/* The module is in use now. */
void refusal_end(void);
bool refusal_is_over(void);

#endif
