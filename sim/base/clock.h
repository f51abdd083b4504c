/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks that the device goes by. */
#ifndef ERSATZ_SIM_BASE_CLOCK_H
#define ERSATZ_SIM_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Nanoseconds of CLOCK_MONOTONIC. Any thread. */
uint64_t clock_now(void);

/* Nanoseconds of processor time that the calling thread has used. */
uint64_t clock_thread_cpu(void);

#endif
