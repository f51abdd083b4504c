/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp filters of a few instructions. */
#include "support/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "check.h"

static void apply(struct sock_filter *code, unsigned short len)
{
    struct sock_fprog program = {.len = len, .filter = code};

    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

void forbid_io_uring(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    apply(code, sizeof(code) / sizeof(code[0]));
}

#define FAILS(call)                                                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),                                                       \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EACCES & SECCOMP_RET_DATA))
#define KILLS(call)                                                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

void enter_sandbox(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        FAILS(SYS_openat),
        FAILS(SYS_newfstatat),
        FAILS(SYS_fstat),
#ifdef SYS_open
        FAILS(SYS_open),
        FAILS(SYS_stat),
#endif
        KILLS(SYS_clone),
        KILLS(SYS_clone3),
        KILLS(SYS_eventfd2),
        KILLS(SYS_io_uring_setup),
        KILLS(SYS_prlimit64),
        KILLS(SYS_sched_getaffinity),
        KILLS(SYS_rt_sigpending),
        KILLS(SYS_rt_sigtimedwait),
        KILLS(SYS_rt_sigaction),
        KILLS(SYS_fcntl),
        KILLS(SYS_renameat),
        KILLS(SYS_unlinkat),
        KILLS(SYS_statfs),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    apply(code, sizeof(code) / sizeof(code[0]));
}
