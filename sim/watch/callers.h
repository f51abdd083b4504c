/* SPDX-License-Identifier: Apache-2.0 */
/* Call stacks: return addresses, which are cheap to take, and their names, for the few that are reported. */
#ifndef ERSATZ_SIM_WATCH_CALLERS_H
#define ERSATZ_SIM_WATCH_CALLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLERS_MAX 24u

struct callers {
    unsigned count;
    void *at[CALLERS_MAX];
};

/* Load the unwinder now: the first call would take memory and the loader's lock. */
void callers_prepare(void);

/* Take the caller's stack. In a job it reaches back to where the job begins, which has its own stack. */
void callers_take(struct callers *callers);

/* One function in place of a stack. */
void callers_be(struct callers *callers, uintptr_t function);

/* Whether the calling thread is on its own stack. If not, it is in a job, and the function that resumed the
 * job cannot be found from here. */
bool callers_on_stack_of_thread(void);

/* Write a line for each caller that is not in this module: "module+offset symbol+offset", the offsets of the
 * call. Takes the loader's lock: the caller must hold no lock that a thread with the loader's lock may wait
 * for. */
void callers_name(const struct callers *callers, char *text, size_t size);

#endif
