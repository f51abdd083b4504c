/* SPDX-License-Identifier: Apache-2.0 */
/* One round: an engine loaded, worked on as the plan says, unloaded, and everything counted before and
 * after. */
#ifndef ERSATZ_STRESS_ROUND_H
#define ERSATZ_STRESS_ROUND_H

#include "plan.h"

void round_run(const struct plan *plan);

#endif
