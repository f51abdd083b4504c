/* SPDX-License-Identifier: Apache-2.0 */
/* Finds names for callers that the program under test does not export, and source lines. */
#ifndef ERSATZ_RUN_SYMBOLS_H
#define ERSATZ_RUN_SYMBOLS_H

#include "run.h"

/* Looks up all callers in the records with addr2line(1) or llvm-symbolizer(1), and appends the results.
 * Without these programs, or after the time limit, the callers stay as they are. */
void symbols_add(const struct records *records);

#endif
