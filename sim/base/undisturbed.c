/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks signals and cancellation for a while. */
#include "ersatz/undisturbed.h"

#include <pthread.h>

void ersatz_undisturbed_begin(struct ersatz_undisturbed *before)
{
    static const int let_through[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t blocked;

    sigfillset(&blocked);
    for (unsigned i = 0; i < sizeof(let_through) / sizeof(let_through[0]); i++)
        sigdelset(&blocked, let_through[i]);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before->cancel_state);
    pthread_sigmask(SIG_BLOCK, &blocked, &before->signals);
}

void ersatz_undisturbed_end(const struct ersatz_undisturbed *before)
{
    pthread_sigmask(SIG_SETMASK, &before->signals, NULL);
    pthread_setcancelstate(before->cancel_state, NULL);
}
