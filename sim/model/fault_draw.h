/* SPDX-License-Identifier: Apache-2.0 */
/* The random numbers of faults. */
#ifndef ERSATZ_SIM_MODEL_FAULT_DRAW_H
#define ERSATZ_SIM_MODEL_FAULT_DRAW_H

#include "ersatz/stats.h"

/* which: what a fault does to a request; the smaller ones are the rules' own. */
#define FAULT_DRAW_WHERE 255u

/* 64 bits that follow from the arguments alone: for the request of that number, and that fault. */
uint64_t fault_draw(uint64_t seed, uint64_t number, enum ersatz_fault fault, unsigned which);

#endif
