/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of the check of the application: before a device starts, and after it has stopped. All under
 * the card's lock. */
#ifndef ERSATZ_DRIVER_CHECK_H
#define ERSATZ_DRIVER_CHECK_H

#include "ersatz/device.h"

/* A device is about to be opened that checks the application by these limits and writes to findings. What
 * earlier devices of the process found there stays. */
void findings_begin(struct ersatz_findings *findings, const struct ersatz_check_limits *limits);

/* Write what was found to standard error, if it is more than the last time. */
void findings_say(const struct ersatz_findings *findings);

/* A pause that returns in fewer nanoseconds, reading the clock included, did not pause. 0 inside a job, where
 * it cannot be measured. */
uint32_t findings_measure_pause(void);

#endif
