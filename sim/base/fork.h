/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a process from its parent. */
#ifndef ERSATZ_SIM_BASE_FORK_H
#define ERSATZ_SIM_BASE_FORK_H

#include <stdatomic.h>

/* Written in a child that has one thread; relaxed, since no other memory is published with it. */
extern _Atomic unsigned process_forks;

/* A number, never 0, that every fork changes in the child. An object that carries an older one was made in an
 * ancestor, whose other threads may have been using it. Any thread; async-signal-safe. */
static inline unsigned process_generation(void)
{
    return atomic_load_explicit(&process_forks, memory_order_relaxed);
}

#endif
