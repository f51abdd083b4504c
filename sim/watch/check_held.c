/* SPDX-License-Identifier: Apache-2.0 */
/* For how long the card holds a thread in a call, in which the thread cannot resume its other jobs. */
#include "base/threads.h"
#include "check_state.h"

/* since_ns: since when the card holds the entry's thread from now on; 0: it does not. */
static void add_up(struct check_entry *entry, uint64_t now_ns, uint64_t since_ns)
{
    if (entry->held_since_ns != 0)
        entry->held_ns += now_ns - entry->held_since_ns;
    entry->held_since_ns = since_ns;
}

uint64_t entry_take_held(struct check_entry *entry)
{
    uint64_t now_ns = entry->held_since_ns == 0 ? 0 : clock_now(), held_ns;

    add_up(entry, now_ns, now_ns);
    held_ns = entry->held_ns;
    entry->held_ns = 0;
    return held_ns;
}

/* So much of the time for which the card has held the entry's thread counts after all. Looks may have left
 * out a part of it already. */
static void count_own(struct check_entry *entry, uint64_t own_ns)
{
    uint64_t ns = own_ns < entry->held_ns ? own_ns : entry->held_ns;

    entry->held_ns -= ns;
    own_ns -= ns;
    ns = own_ns < entry->left_out_ns ? own_ns : entry->left_out_ns;
    entry->left_out_ns -= ns;
    entry->alone_ns += ns;
}

/* Under the lock. since_ns: when the card begins to hold the calling thread; 0: it does so no longer. */
static void set_held(struct check *check, uint64_t now_ns, uint64_t since_ns, uint64_t own_ns)
{
    pid_t thread = thread_self();

    for (struct check_entry *entry = check->open; entry != NULL; entry = entry->next) {
        if (entry->thread != thread)
            continue;
        add_up(entry, now_ns, since_ns);
        count_own(entry, own_ns);
    }
}

void check_thread_held(struct check *check, const struct watched *request)
{
    struct ersatz_locked locked;
    uint64_t now_ns;

    if (check == NULL)
        return;
    ersatz_lock(&check->lock, &locked);
    now_ns = clock_now();
    if (request != NULL && request->entry != NULL && request->entry->refused)
        entry_note_pause(request->entry, now_ns - request->entry->left_at_ns);
    if (request == NULL || request->entry == NULL || !entry_has_paused(check, request->entry))
        set_held(check, now_ns, now_ns, 0);
    ersatz_unlock(&locked);
}

void check_thread_released(struct check *check, uint64_t own_ns)
{
    struct ersatz_locked locked;

    if (check == NULL)
        return;
    ersatz_lock(&check->lock, &locked);
    set_held(check, clock_now(), 0, own_ns);
    ersatz_unlock(&locked);
}
