/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread of this process is doing, as the kernel tells: whether it sleeps and in which system call,
 * how long it waited for a core, and who owns the lock it waits for. For the check of the application, which
 * must not take a thread that gets no processor for one that is idle.
 */
#ifndef ERSATZ_SIM_WATCH_THREAD_STATE_H
#define ERSATZ_SIM_WATCH_THREAD_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct thread_state {
    bool seen;   /* the kernel said something */
    bool asleep; /* in a system call, and neither running nor waiting for a core */
    long call;   /* which one */
    uint64_t arguments[3];
};

void thread_look(pid_t thread, struct thread_state *state);

/* "poll", or a number; for people. */
const char *thread_call_name(const struct thread_state *state, char *text, size_t size);

/* Whether it sleeps until a descriptor is ready. */
bool thread_waits_for_descriptors(const struct thread_state *state);

enum lock_look { LOCK_NONE, LOCK_OWNED, LOCK_UNREADABLE };

/* Whether it waits for a lock of the C library's (a mutex, or a read-write lock that is locked for writing),
 * and whose. */
enum lock_look thread_lock_owner(const struct thread_state *state, pid_t *owner);

/* Nanoseconds it has had a core, and has waited for one. Both 0 where the kernel does not tell. */
struct thread_times {
    uint64_t ran_ns;
    uint64_t waited_ns;
};

struct thread_times thread_times(pid_t thread);

/* At most 15 characters, always terminated; "?" for a thread that is gone. */
void thread_name(pid_t thread, char name[16]);

#endif
