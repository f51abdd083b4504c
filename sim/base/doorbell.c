/* SPDX-License-Identifier: Apache-2.0 */
/* See doorbell.h. */
#include "doorbell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* The word. Only a thread that goes to sleep sets ASLEEP, so ringing costs no system call while it is
 * awake. */
#define QUIET 0u
#define RUNG 1u
#define ASLEEP 2u

void doorbell_init(struct doorbell *bell)
{
    atomic_init(&bell->word, QUIET);
}

void doorbell_sleep(struct doorbell *bell, uint64_t until)
{
    struct timespec time = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
    uint32_t word = QUIET;

    if (atomic_compare_exchange_strong(&bell->word, &word, ASLEEP))
        /* With a bit set the time is absolute. Where this is interrupted, the caller sleeps again. */
        syscall(SYS_futex, &bell->word, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP,
            until == DOORBELL_NEVER ? NULL : &time, NULL, FUTEX_BITSET_MATCH_ANY);
    /* Sequentially consistent, as the exchange in doorbell_ring(): either this thread sees what the ringing
     * thread wrote before, or the ring is still to come, and ends the next sleep. */
    atomic_exchange(&bell->word, QUIET);
}

void doorbell_ring(struct doorbell *bell)
{
    int err = errno;

    if (atomic_exchange(&bell->word, RUNG) == ASLEEP)
        syscall(SYS_futex, &bell->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = err;
}
