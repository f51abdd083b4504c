/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of the card, in a process whose program does not know them, and may close them (closefrom(3),
 * as daemons do), so that their numbers become other files. Before the card writes to a descriptor, or closes
 * it, it asks here whether the number is still its own; but not before a poster signals a request, whose
 * descriptor was looked at when it was submitted (docs/architecture.md says why).
 */
#ifndef ERSATZ_SIM_BASE_DESCRIPTOR_H
#define ERSATZ_SIM_BASE_DESCRIPTOR_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define DESCRIPTOR_FIRST                                                                                     \
    3 /* the program takes the numbers below for its standard streams, even if it closed them */

/* Move an open file to a number that is not a standard stream's. Returns the new descriptor and closes the
 * old one; -1: errno says why. fd may be -1. */
static inline int descriptor_above_standard_streams(int fd)
{
    int moved;

    if (fd < 0 || fd >= DESCRIPTOR_FIRST)
        return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
    close(fd);
    return moved;
}

/* Of a file that has an inode of its own, as an io_uring has. */
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

/* Replace an eventfd by a new one under the same number. False: errno says why. */
bool descriptor_renew_eventfd(int fd, uint32_t *serial);

bool descriptor_is_eventfd(int fd, uint32_t serial);

#endif
