/* SPDX-License-Identifier: Apache-2.0 */
/* The callbacks that run, in the findings: for a reader after the process has died in one. */
#ifndef ERSATZ_SIM_WATCH_RUNNING_H
#define ERSATZ_SIM_WATCH_RUNNING_H

#include "ersatz/findings.h"

/* Note the name of a callback function, once for each. Takes the loader's lock: not for a thread of the
 * device, since a thread that has the loader's lock may wait for that one. */
void running_name(struct ersatz_findings *findings, uintptr_t function);

/* A callback begins: copy its description into the findings. NULL: too many run, and this one is left out. */
struct ersatz_running_callback *running_begins(
    struct ersatz_findings *findings, const struct ersatz_running_callback *as);

/* It has returned. NULL is allowed. */
void running_ends(struct ersatz_running_callback *running);

#endif
