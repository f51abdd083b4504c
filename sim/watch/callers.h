/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls: return addresses, cheap to take, and their names, for those few that somebody will read. */
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

/* What is needed later is loaded now: the first time takes memory and the loader's lock. */
void callers_prepare(void);

/* The callers of whoever asks. Of a job, up to where it begins: it has a stack of its own. */
void callers_take(struct callers *callers);

/* Instead of a stack: this function. */
void callers_be(struct callers *callers, uintptr_t function);

/* Whether the calling thread stands on its own stack: else it is in a job, and whoever resumed that cannot be
 * seen from here. */
bool callers_on_stack_of_thread(void);

/* A line each, "module+offset symbol+offset", the offsets those of the calls, without those of this module.
 * Takes the loader's lock: the caller must hold none that somebody may want who has it. */
void callers_name(const struct callers *callers, char *text, size_t size);

#endif
