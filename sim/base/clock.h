/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that everything in the device goes by. */
#ifndef ERSATZ_SIM_BASE_CLOCK_H
#define ERSATZ_SIM_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Nanoseconds of CLOCK_MONOTONIC. Any thread. */
uint64_t clock_now(void);

#endif
