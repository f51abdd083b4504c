/* Numbers of descriptors. */
#ifndef ERSATZ_SIM_DESCRIPTOR_H
#define ERSATZ_SIM_DESCRIPTOR_H

#include <fcntl.h>
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

#endif
