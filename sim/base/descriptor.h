/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that the card keeps, in a process where they may be closed, and their numbers given to others,
 * by a program that knows nothing of them (closefrom(3), as daemons do). Before the card writes to a number
 * it stored, or closes it, it asks here whether that is still its own.
 */
#ifndef ERSATZ_SIM_BASE_DESCRIPTOR_H
#define ERSATZ_SIM_BASE_DESCRIPTOR_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define DESCRIPTOR_FIRST 3 /* those below are the program's standard streams, even where it closed them */

/* The same open file at a number that is not a standard stream's, where the program would write to it. Takes
 * the descriptor, and -1, too. -1: errno says why. */
static inline int descriptor_above_standard_streams(int fd)
{
    int moved;

    if (fd < 0 || fd >= DESCRIPTOR_FIRST)
        return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
    close(fd);
    return moved;
}

/* For files with an inode of their own, as an io_uring has. */
struct descriptor_identity {
    dev_t device;
    ino_t inode;
};

bool descriptor_identify(int fd, struct descriptor_identity *identity);
bool descriptor_is(int fd, const struct descriptor_identity *identity);

/*
 * All eventfds have one inode. The card's are told from others by flags that no one else has any use for, and
 * from each other by who was the last to be given the number.
 */

/* A non-blocking eventfd above the standard streams. -1: errno says why. *serial: of this one; never 0. */
int descriptor_eventfd(uint32_t *serial);

/* Put a new one behind the number of an old one, which is this process' own. False: errno says why. */
bool descriptor_renew_eventfd(int fd, uint32_t *serial);

bool descriptor_is_eventfd(int fd, uint32_t serial);

#endif
