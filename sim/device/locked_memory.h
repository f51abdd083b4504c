/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit on locked memory. Since Linux 6.14 the memory of rings counts against RLIMIT_MEMLOCK, for all
 * processes of a user together, unless they have CAP_IPC_LOCK. A process makes a few rings in any case, and
 * more only while half of the limit is free. So many processes leave each other room, and a few have as many
 * rings as they can use.
 */
#ifndef ERSATZ_SIM_DEVICE_LOCKED_MEMORY_H
#define ERSATZ_SIM_DEVICE_LOCKED_MEMORY_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* How many workers' rings a process makes in any case: at least 1. */
unsigned locked_memory_rings(void);

/* The same for a limit and pages of so many bytes. */
unsigned locked_memory_rings_within(uint64_t limit, uint64_t page);

/* Whether half of the limit is free, or rings do not count. ring: any, that may still be used by its
 * descriptor. For a microsecond that half counts as used: rings that are made at that moment may
 * be refused. */
bool locked_memory_is_plenty(const struct io_uring *ring);

#endif
