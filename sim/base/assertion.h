/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions: what must be true if the code around them is right, whatever an application does. A build with
 * -Db_ndebug=false ends the process where one is false; scripts/test, scripts/fuzz and scripts/soak build so.
 * Any other build leaves them out, and does not evaluate the condition.
 */
#ifndef ERSATZ_SIM_BASE_ASSERTION_H
#define ERSATZ_SIM_BASE_ASSERTION_H

#include <assert.h>

#ifdef NDEBUG
#define ASSERT(condition) ((void)sizeof(!(condition))) /* variables that it mentions still count as used */
#else
#define ASSERT(condition) assert(condition)
#endif

#endif
