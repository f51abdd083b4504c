/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc/self/task, and other threads' locks without touching them. */
#include "thread_state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/threads.h"

/* The text of /proc/self/task/THREAD/FILE; its length, 0 if there is none. */
static size_t read_file(pid_t thread, const char *file, char *text, size_t size)
{
    char path[64];
    ssize_t got;
    int fd;

    text[0] = '\0';
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)thread, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        got = 0;
    text[got] = '\0';
    return (size_t)got;
}

/* "running", "-1 SP PC" or "NUMBER ARGUMENT ... SP PC": proc_pid_syscall(5). */
void thread_look(pid_t thread, struct thread_state *state)
{
    char text[256];

    *state = (struct thread_state){.call = -1};
    state->seen = read_file(thread, "syscall", text, sizeof(text)) > 0;
    if (sscanf(text, "%ld %" SCNx64 " %" SCNx64 " %" SCNx64, &state->call, &state->arguments[0],
            &state->arguments[1], &state->arguments[2]) < 4)
        state->call = -1;
    state->asleep = state->call >= 0;
}

static const struct {
    long call;
    const char *name;
    bool descriptors;
} calls[] = {
    {SYS_ppoll, "ppoll", true},
    {SYS_pselect6, "pselect", true},
    {SYS_epoll_pwait, "epoll_pwait", true},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, "epoll_pwait2", true},
#endif
#ifdef SYS_poll
    {SYS_poll, "poll", true},
#endif
#ifdef SYS_select
    {SYS_select, "select", true},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", true},
#endif
    {SYS_futex, "futex", false},
    {SYS_read, "read", false},
    {SYS_clock_nanosleep, "clock_nanosleep", false},
};

const char *thread_call_name(const struct thread_state *state, char *text, size_t size)
{
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].call == state->call)
            return calls[i].name;
    }
    snprintf(text, size, "system call %ld", state->call);
    return text;
}

bool thread_waits_for_descriptors(const struct thread_state *state)
{
    for (unsigned i = 0; state->asleep && i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].call == state->call)
            return calls[i].descriptors;
    }
    return false;
}

/* Copy this process' memory, which another thread may unmap at any moment. */
static bool copy_in(uint64_t address, void *to, size_t size)
{
    struct iovec local = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/*
 * The C library's locks, from the word their waiters sleep on (glibc's struct __pthread_mutex_s and
 * struct __pthread_rwlock_arch_t): a mutex' waiters expect 2 in its first word, and the owner is two words
 * further on; waiters for a writer expect 3, in the third or fourth word, and the writer is in the seventh. A
 * mutex with priority inheritance has its owner in the word itself.
 */
#define MUTEX_CONTENDED 2u
#define RWLOCK_WRITTEN 3u

enum lock_look thread_lock_owner(const struct thread_state *state, pid_t *owner)
{
    int operation = (int)state->arguments[1] & FUTEX_CMD_MASK;
    uint32_t words[5];

    if (!state->asleep || state->call != SYS_futex)
        return LOCK_NONE;
    if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET && operation != FUTEX_LOCK_PI)
        return LOCK_NONE;
    if (!copy_in(state->arguments[0], words, sizeof(words)))
        return LOCK_UNREADABLE;
    if (operation == FUTEX_LOCK_PI)
        *owner = (pid_t)(words[0] & FUTEX_TID_MASK);
    else if ((uint32_t)state->arguments[2] == MUTEX_CONTENDED && words[0] == MUTEX_CONTENDED)
        *owner = (pid_t)words[2];
    else if ((uint32_t)state->arguments[2] == RWLOCK_WRITTEN && words[0] == RWLOCK_WRITTEN)
        *owner = (pid_t)(words[3] != 0 ? words[3] : words[4]); /* in between is padding, which is 0 */
    else
        return LOCK_NONE;
    return *owner > 0 ? LOCK_OWNED : LOCK_NONE;
}

struct thread_schedstat thread_schedstat(pid_t thread)
{
    struct thread_schedstat times = {0, 0};
    char text[96];

    read_file(thread, "schedstat", text, sizeof(text));
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &times.ran_ns, &times.waited_ns) != 2)
        times = (struct thread_schedstat){0, 0};
    return times;
}

void thread_name(pid_t thread, char name[16])
{
    char text[64];
    size_t length = read_file(thread, "comm", text, sizeof(text));

    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    snprintf(name, 16, "%.15s", length == 0 ? "?" : text);
}
