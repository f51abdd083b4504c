/* SPDX-License-Identifier: Apache-2.0 */
/* The test answers for Linux how many cores there are. It is linked with --wrap=sched_getaffinity. */
#ifndef ERSATZ_TESTS_MADE_UP_CORES_H
#define ERSATZ_TESTS_MADE_UP_CORES_H

#include <errno.h>
#include <sched.h>

#include "check.h"

static unsigned cores, kernel_cpus; /* that the process may run on, and that Linux has a bit for */

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    CHECK_EQ(pid, 0);
    if (size * 8 < kernel_cpus) {
        errno = EINVAL;
        return -1;
    }
    CPU_ZERO_S(size, set);
    for (unsigned i = 0; i < cores; i++)
        CPU_SET_S(i, size, set);
    return 0;
}

#endif
