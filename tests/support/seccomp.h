/* SPDX-License-Identifier: Apache-2.0 */
/* Forbids system calls to this process, as a container's profile or a sandbox does. */
#ifndef ERSATZ_TESTS_SECCOMP_H
#define ERSATZ_TESTS_SECCOMP_H

/* io_uring_setup(2) fails with this error from now on, for good. Ends the process if that cannot be had. */
void forbid_io_uring(int error);

/* As the sandbox of OpenSSH's child that is not logged in yet: no file is opened or looked at any more, and a
 * system call that the sandbox does not expect ends the process: sigpending(2) say, or those that start
 * threads and rings. */
void enter_sandbox(void);

#endif
