/* SPDX-License-Identifier: Apache-2.0 */
/* Starts threads of the card, and explains why one could not be started. */
#ifndef ERSATZ_SIM_BASE_THREADS_H
#define ERSATZ_SIM_BASE_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "ersatz/result.h"

/* Start a thread with every signal blocked, since signals are for the application's threads. False: errno
 * says why. */
bool thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

/*
 * Ask Linux to run the calling thread in long slices, and so less often, or in usual ones again. It gets its
 * share of the core in any case. In long slices it does not interrupt other threads as soon as it has work,
 * but when it runs, others wait longer for the core. Linux ignores this before 6.12.
 */
void thread_ask_for_slices(bool long_ones);

/* Yield the core. Returns whether another thread ran on it. */
bool thread_let_others_run(void);

/* How long to wait for what may never come: so many seconds, one after the other. While the whole process is
 * stopped (SIGSTOP, a frozen container), time passes and no thread gets on; that takes one of them
 * at most. */
#define THREAD_PATIENCE 5u

/* One second from now, of CLOCK_MONOTONIC. */
struct timespec thread_patience_second(void);

/* Join the thread. False: it has not ended within THREAD_PATIENCE, and is not joined. */
bool thread_join_patiently(pthread_t thread);

/* The signals that report a crash. */
#define CRASH_SIGNALS 5u
extern const int crash_signals[CRASH_SIGNALS];

/* Threads that are started from now on run the process's handlers of signals that report a crash. Others
 * block all signals: a crash in a callback then ends the process without a handler. */
void threads_handle_crashes(void);

/* The thread number (gettid(2)) of the calling thread. Not cached: a job may go on in another thread. */
pid_t thread_self(void);

/* After thread_start() has failed: *error says why, from errno. thread: which one ("worker thread 3").
 * Returns ERSATZ_NO_THREADS. */
enum ersatz_result threads_explain(struct ersatz_error *error, const char *thread);

#endif
