/* SPDX-License-Identifier: Apache-2.0 */
/* See descriptor.h. */
#include "descriptor.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* O_APPEND has no effect on an eventfd, and no other program sets it on one. A regular file that was opened
 * for appending has O_LARGEFILE as well. */
#define EVENTFD_STATUS (O_RDWR | O_NONBLOCK | O_APPEND)

/* By number: the serial of the eventfd that got the number last. Relaxed: the thread that made an eventfd
 * knows its serial, and passes both on together. Numbers beyond have their flags only. */
#define NUMBERS 65536
static _Atomic uint32_t newest[NUMBERS];
static _Atomic uint32_t last_serial;

static int close_and_fail(int fd)
{
    int err = errno;

    close(fd);
    errno = err;
    return -1;
}

bool descriptor_identify(int fd, struct descriptor_identity *identity)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return false;
    *identity = (struct descriptor_identity){.device = status.st_dev, .inode = status.st_ino};
    return true;
}

bool descriptor_is(int fd, const struct descriptor_identity *identity)
{
    struct descriptor_identity now;

    return descriptor_identify(fd, &now) && now.device == identity->device && now.inode == identity->inode;
}

static uint32_t note(int fd)
{
    uint32_t serial;

    do
        serial = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    while (serial == 0);
    if (fd < NUMBERS)
        atomic_store_explicit(&newest[fd], serial, memory_order_relaxed);
    return serial;
}

/* Non-blocking: io_uring then writes to it inside io_uring_enter; a blocking one goes through a kernel
 * thread. */
static int make(void)
{
    int fd = descriptor_above_standard_streams(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND) != 0)
        return close_and_fail(fd);
    return fd;
}

int descriptor_eventfd(uint32_t *serial)
{
    int fd = make();

    if (fd >= 0)
        *serial = note(fd);
    return fd;
}

bool descriptor_renew_eventfd(int fd, uint32_t *serial)
{
    int made = make();

    if (made < 0)
        return false;
    if (dup3(made, fd, O_CLOEXEC) < 0) {
        close_and_fail(made);
        return false;
    }
    close(made);
    *serial = note(fd);
    return true;
}

bool descriptor_is_eventfd(int fd, uint32_t serial)
{
    if (fd < NUMBERS && atomic_load_explicit(&newest[fd], memory_order_relaxed) != serial)
        return false;
    return fcntl(fd, F_GETFL) == EVENTFD_STATUS;
}
