/* SPDX-License-Identifier: Apache-2.0 */
/* Waits until its job may go on, and then forgets it; or frees the wait context instead of resuming, which
 * had a descriptor or (`frees callback`) a callback. */
#include "wrong.h"

int main(int argc, char **argv)
{
    enum told_by told_by = has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD;
    struct card *card = load_checked(NULL);
    struct job job;

    start_signing(card, &job, told_by);
    if (told_by == BY_FD)
        wait_until_readable(&job);
    else
        wait_to_be_called(&job);
    if (has_argument(argc, argv, "mended")) {
        finish_signing(&job);
    } else if (has_argument(argc, argv, "frees")) {
        if (told_by == BY_FD)
            card_wait_for(card, "wakeups", 1);
        job_free(&job);
    }
    unload_used(card);
    return 0;
}
