/* SPDX-License-Identifier: Apache-2.0 */
/* Which callbacks run, for whoever reads the findings when the process is no more. */
#ifndef ERSATZ_SIM_WATCH_RUNNING_H
#define ERSATZ_SIM_WATCH_RUNNING_H

#include "ersatz/findings.h"

/* Note what the callback is called, once for each function. Takes the loader's lock: not on a thread of the
 * device, for which somebody may be waiting who has it. */
void running_name(struct ersatz_findings *findings, uintptr_t function);

/* It begins, as described. NULL: too many run; it is not seen. */
struct ersatz_running_callback *running_begins(
    struct ersatz_findings *findings, const struct ersatz_running_callback *as);

/* It has returned. NULL is allowed. */
void running_ends(struct ersatz_running_callback *running);

#endif
