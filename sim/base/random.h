/* SPDX-License-Identifier: Apache-2.0 */
/* Chance, for faults: the same every time. */
#ifndef ERSATZ_SIM_BASE_RANDOM_H
#define ERSATZ_SIM_BASE_RANDOM_H

#include "ersatz/stats.h"

#define FAULT_DRAW_WHERE 255u /* which: for what a fault does, after the rules' own */

/* 64 bits that follow from the arguments alone. */
uint64_t fault_draw(uint64_t seed, uint64_t number, enum ersatz_fault fault, unsigned which);

#endif
