/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels this machine has, and which are in use. */
#ifndef ERSATZ_SIM_KERNELS_SELECTION_H
#define ERSATZ_SIM_KERNELS_SELECTION_H

#include "ersatz/device.h"

extern _Atomic unsigned kernels_now; /* 0: not determined yet */

/* Whether operations that begin now may use this kernel. */
static inline bool kernel_in_use(enum ersatz_kernel kernel)
{
    unsigned set = atomic_load_explicit(&kernels_now, memory_order_acquire);

    return ((set != 0 ? set : ersatz_kernels_in_use()) & 1u << kernel) != 0;
}

/* The same, but false as long as the available kernels have not been determined. */
static inline bool kernel_was_found(enum ersatz_kernel kernel)
{
    return (atomic_load_explicit(&kernels_now, memory_order_acquire) & 1u << kernel) != 0;
}

static inline bool kernel_is_available(enum ersatz_kernel kernel)
{
    return (ersatz_kernels_available() & 1u << kernel) != 0;
}

/* Whether KERNELS names this kernel: then it computes everything that it supports, and not only what it
 * computes faster than the others. */
bool kernel_is_forced(enum ersatz_kernel kernel);

#endif
