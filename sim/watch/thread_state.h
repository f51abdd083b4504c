/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread of this process does, according to Linux: whether it sleeps and in which system call, how
 * long it waited for a core, and who owns the lock that it waits for. For the check of the application, which
 * must not take a thread that gets no core for one that is idle.
 */
#ifndef ERSATZ_SIM_WATCH_THREAD_STATE_H
#define ERSATZ_SIM_WATCH_THREAD_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct thread_state {
    bool seen;   /* Linux said what it does */
    bool asleep; /* in a system call, and neither running nor waiting for a core */
    long call;   /* which one */
    uint64_t arguments[3];
};

void thread_look(pid_t thread, struct thread_state *state);

/* The name of the system call ("poll"), or its number; for people. */
const char *thread_call_name(const struct thread_state *state, char *text, size_t size);

/* Whether it sleeps until a descriptor is ready. */
bool thread_waits_for_descriptors(const struct thread_state *state);

enum lock_look { LOCK_NONE, LOCK_OWNED, LOCK_UNREADABLE };

/* Whether it waits for a lock of the C library (a mutex, or a read-write lock that is locked for writing),
 * and which thread owns that. */
enum lock_look thread_lock_owner(const struct thread_state *state, pid_t *owner);

/* /proc/self/task/TID/schedstat: for how long a thread had a core, and waited for one. Both 0 where Linux
 * does not say. */
struct thread_schedstat {
    uint64_t ran_ns;
    uint64_t waited_ns;
};

struct thread_schedstat thread_schedstat(pid_t thread);

/* At most 15 characters and a zero; "?" for a thread that is gone. */
void thread_name(pid_t thread, char name[16]);

#endif
