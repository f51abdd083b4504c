/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions: conditions that hold if the code around them is right, whatever an application does. In a build
 * with -Dassertions=true, a false one ends the process; scripts/test, scripts/fuzz and scripts/soak build so.
 * Other builds leave the assertions out, and do not evaluate their conditions.
 */
#ifndef ERSATZ_ASSERTION_H
#define ERSATZ_ASSERTION_H

#ifdef ERSATZ_ASSERTIONS
#undef NDEBUG
#include <assert.h>
#define ASSERT(condition) assert(condition)
#else
#define ASSERT(condition) ((void)sizeof(!(condition))) /* the variables in it still count as used */
#endif

#endif
