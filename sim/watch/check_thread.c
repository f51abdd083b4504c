/* SPDX-License-Identifier: Apache-2.0 */
/* Watches that a job stays on its thread: SSL_get_error(3) asks for that, and libcrypto relies on it. */
#include <stdio.h>

#include "base/threads.h"
#include "check_state.h"

void check_resumed(struct check *check, const struct watched *request)
{
    pid_t thread = thread_self();
    char name[16];
    struct check_report report;
    struct check_entry *entry;
    bool moved;
    struct ersatz_locked locked;

    /* A callback that resumes a job on the card's thread has a finding of its own. */
    if (check_reentry(check, "resumed a job"))
        return;
    ersatz_lock(&check->lock, &locked);
    entry = request->entry;
    moved = entry != NULL && !entry->moved && entry->thread != thread;
    if (moved) {
        entry->moved = true;
        report_fill(&report, entry, ERSATZ_FOUND_WRONG_THREAD);
    }
    ersatz_unlock(&locked);
    if (!moved)
        return;
    thread_name(thread, name);
    snprintf(report.note, sizeof(report.note), "resumed by thread %d (%s)", (int)thread, name);
    finding_report(check, &report, 0);
}
