/* SPDX-License-Identifier: Apache-2.0 */
/* Names for callers that the program under test could not name itself: static functions, and lines. */
#ifndef ERSATZ_RUN_SYMBOLS_H
#define ERSATZ_RUN_SYMBOLS_H

#include "run.h"

/* Look up all callers in the records with addr2line(1) or llvm-symbolizer(1), and write what is found behind
 * them. Where there is neither, or nothing is found in time, they stay as they are. */
void symbols_add(const struct records *records);

#endif
