/* SPDX-License-Identifier: Apache-2.0 */
/* Does something else for long, while its job could go on. */
#include "wrong.h"

int main(int argc, char **argv)
{
    struct card *card = load_checked(NULL);
    struct job job;

    start_signing(card, &job, BY_FD);
    if (!has_argument(argc, argv, "mended"))
        card_wait_for(card, "never_resumed", 1); /* so it looks up to now */
    finish_signing(&job);
    unload_used(card);
    return 0;
}
