/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stretch of code that its thread must not leave before its end: what it holds, a lock or a place in a
 * count, would be held for ever. A handler of the application's that jumps out (siglongjmp(3)), calls exit(3)
 * or uses the engine runs when the stretch has ended; a cancellation (pthread_cancel(3)) waits as long.
 *
 * Two system calls, so not for what is done with every short operation.
 */
#ifndef ERSATZ_UNDISTURBED_H
#define ERSATZ_UNDISTURBED_H

#include <signal.h>

struct ersatz_undisturbed {
    sigset_t signals; /* that were blocked before */
    int cancel_state;
};

/* Both on the same thread, in pairs; pairs may be nested. Signals that tell of a crash, and a profiler's, are
 * not blocked: a handler of such a one that does not return leaves the stretch all the same. */
void ersatz_undisturbed_begin(struct ersatz_undisturbed *before);
void ersatz_undisturbed_end(const struct ersatz_undisturbed *before);

#endif
