/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves the stack of a crash in the record: see struct ersatz_crash in ersatz/record.h. */
#ifndef ERSATZ_CRASH_H
#define ERSATZ_CRASH_H

#include "ersatz/record.h"

#define ERSATZ_CRASH_SOCKET "crashes"

/* Handles the signals of a crash for which the process has the default action at this moment. The handler
 * writes the stack to the record, whose address stays the same, and lets the signal end the process. If
 * somebody listens at the socket ERSATZ_CRASH_SOCKET in the directory (NULL: there is none), it connects to
 * it before, and waits until the listener has looked at the threads and closed the connection. A child of a
 * fork keeps the handler; a program that installs its own replaces it. */
void ersatz_crash_watch(struct ersatz_record *record, const char *directory);

/* Gives the signals that we still handle their default action again. */
void ersatz_crash_unwatch(void);

#endif
