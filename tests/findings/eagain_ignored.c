/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for a callback that cannot come: the ring was full, the job was refused, and has to be resumed. */
#include "wrong.h"

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked("INSTANCES:1;RING_DEPTH:1");
    struct job first, second;

    engine_command(engine, "HOLD", "compute");
    start_signing(engine, &first, BY_CALLBACK);
    start_signing(engine, &second, BY_CALLBACK);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(second.context), ASYNC_STATUS_EAGAIN);
    engine_command(engine, "HOLD", "none");
    finish_signing(&first);
    if (!has_argument(argc, argv, "mended"))
        engine_wait_for(engine, "eagain_ignored", 1);
    finish_signing(&second);
    unload_used(engine);
    return 0;
}
