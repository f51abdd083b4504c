/* Forbids io_uring to this process, as a container's profile does. */
#ifndef ERSATZ_TESTS_SECCOMP_H
#define ERSATZ_TESTS_SECCOMP_H

/* io_uring_setup(2) fails with this error from now on, for good. Ends the process if that cannot be had. */
void forbid_io_uring(int error);

#endif
