/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the application, as the engine sets it up, and what it says at the end. Under the card's lock.
 */
#ifndef ERSATZ_DRIVER_CHECK_H
#define ERSATZ_DRIVER_CHECK_H

#include "ersatz/device.h"

struct findings_settings {
    bool check;
    struct ersatz_check_limits limits;
    uint32_t pause_ns; /* see struct ersatz_config; 0: not measured */
    uint64_t said;     /* how many findings were told of already */
};

void findings_reset(struct findings_settings *settings);

/* A device is about to be opened: let it write to findings, if the application is to be checked. What earlier
 * devices of the process found there stays. */
void findings_begin(
    struct findings_settings *settings, struct ersatz_findings *findings, struct ersatz_config *config);

/* What was found, if it is more than was said before, on standard error. */
void findings_say(struct findings_settings *settings, const struct ersatz_findings *findings);

#endif
