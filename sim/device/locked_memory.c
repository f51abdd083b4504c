/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See locked_memory.h. Linux does not say how much locked memory the processes of a user have. But when a
 * ring is given a region of memory, Linux first counts that memory, and refuses with ENOMEM what exceeds the
 * limit; then looks for it, and refuses with EFAULT an address where there is none. So a region that does not
 * exist tells whether there would be room for it, and takes none.
 */
#include "locked_memory.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A worker's ring takes two pages, of 4 to 64 KiB; a response ring of the usual depth six of 4 KiB. This many
 * processes have room for their rings in the half of the limit that the others leave: each for workers' rings
 * in a half of its part. */
#define RING_PAGES 2u
#define PROCESSES 64u

/* From linux/io_uring.h, since Linux 6.13. */
#define REGISTER_MEM_REGION 34u
#define REGION_OF_THE_CALLER 1u

struct region {
    uint64_t address, size;
    uint32_t flags, id;
    uint64_t mmap_offset, reserved[4];
};

struct registration {
    uint64_t region, flags, reserved[2];
};

/* An address where no process has memory. */
#define NOWHERE UINT64_C(0xff80000000000000)

unsigned locked_memory_rings_within(uint64_t limit, uint64_t page)
{
    uint64_t rings = limit / 4 / PROCESSES / (RING_PAGES * page);

    return rings < 1 ? 1 : rings < UINT_MAX ? (unsigned)rings : UINT_MAX;
}

unsigned locked_memory_rings(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT_MAX;
    return locked_memory_rings_within(limit.rlim_cur, (uint64_t)sysconf(_SC_PAGESIZE));
}

/* The error of Linux's answer to a region of that size. */
static int try_region(const struct io_uring *ring, uint64_t size)
{
    struct region region = {.address = NOWHERE, .size = size, .flags = REGION_OF_THE_CALLER};
    struct registration registration = {.region = (uintptr_t)&region};

    return syscall(SYS_io_uring_register, ring->ring_fd, REGISTER_MEM_REGION, &registration, 1) < 0 ? errno
                                                                                                    : 0;
}

#define TRIES 4 /* another process may be trying, too */

bool locked_memory_is_plenty(const struct io_uring *ring)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit;
    int error;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return true;
    error = try_region(ring, (limit.rlim_cur / page + 1) * page);
    if (error != ENOMEM) /* EINVAL: Linux is older than 6.13. EFAULT: nothing counts for this process. */
        return error == EINVAL || error == EFAULT;
    for (int i = 0; i < TRIES; i++) {
        if (try_region(ring, limit.rlim_cur / 2 / page * page) == EFAULT)
            return true;
        sched_yield();
    }
    return false;
}
