/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for a callback that cannot come: the ring was full, the job was refused, and has to be resumed. */
#include "wrong.h"

int main(int argc, char **argv)
{
    struct card *card = load_checked("INSTANCES:1;RING_DEPTH:1");
    struct job first, second;

    card_command(card, "HOLD", "compute");
    start_signing(card, &first, BY_CALLBACK);
    start_signing(card, &second, BY_CALLBACK);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(second.context), ASYNC_STATUS_EAGAIN);
    card_command(card, "HOLD", "none");
    finish_signing(&first);
    if (!has_argument(argc, argv, "mended"))
        card_wait_for(card, "eagain_ignored", 1);
    finish_signing(&second);
    unload_used(card);
    return 0;
}
