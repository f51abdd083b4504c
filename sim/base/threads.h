/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the card: started, named by number, and why one could not be had. */
#ifndef ERSATZ_SIM_BASE_THREADS_H
#define ERSATZ_SIM_BASE_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ersatz/device.h"

/* A thread with every signal blocked: signals are the application's. False: errno says why not. */
bool thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

/* The kernel's number of the calling thread. Asked for each time: a fibre may be on another thread than
 * before. */
pid_t thread_self(void);

/* After thread_start() has failed, and errno says why. what: which thread, in words. Returns
 * ERSATZ_NO_THREADS. */
enum ersatz_result threads_explain(struct ersatz_error *error, const char *what);

#endif
