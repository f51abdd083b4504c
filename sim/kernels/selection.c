/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels this machine has, and which are in use. */
#include "selection.h"

#include <pthread.h>
#include <stdatomic.h>

#include "imb.h"
#include "rsa_ifma.h"
#include "x86.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned available; /* constant once pthread_once has filled it */
static _Atomic unsigned chosen = ERSATZ_KERNELS_ALL;
/* Chosen and available; 0: not determined yet. It orders nothing else: each operation uses the kernel that
 * its state was made for. */
_Atomic unsigned kernels_now;

static void find_available(void)
{
    available = 1u << ERSATZ_KERNEL_PORTABLE;
    if (x86_is_available())
        available |= 1u << ERSATZ_KERNEL_X86;
    if (imb_is_available())
        available |= 1u << ERSATZ_KERNEL_IPSEC_MB;
    if (rsa_ifma_is_available())
        available |= 1u << ERSATZ_KERNEL_IFMA;
}

unsigned ersatz_kernels_available(void)
{
    pthread_once(&once, find_available);
    return available;
}

void ersatz_kernels_choose(unsigned set)
{
    atomic_store_explicit(&chosen, set, memory_order_relaxed);
    atomic_store_explicit(&kernels_now, (set & ersatz_kernels_available()) | 1u << ERSATZ_KERNEL_PORTABLE,
        memory_order_release);
}

unsigned ersatz_kernels_in_use(void)
{
    unsigned set = atomic_load_explicit(&kernels_now, memory_order_acquire), nothing = 0;

    if (set == 0) { /* the first call; a choice made meanwhile holds */
        set = ersatz_kernels_available();
        if (!atomic_compare_exchange_strong_explicit(
                &kernels_now, &nothing, set, memory_order_acq_rel, memory_order_acquire))
            set = nothing;
    }
    return set;
}

bool kernel_is_forced(enum ersatz_kernel kernel)
{
    unsigned set = atomic_load_explicit(&chosen, memory_order_relaxed);

    return set != ERSATZ_KERNELS_ALL && (set & 1u << kernel) != 0;
}
