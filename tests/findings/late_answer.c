/* SPDX-License-Identifier: Apache-2.0 */
/* Does something else for long, while its job could go on. */
#include "wrong.h"

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked(NULL);
    struct job job;

    start_signing(engine, &job, BY_FD);
    if (!has_argument(argc, argv, "mended"))
        engine_wait_for(engine, "never_resumed", 1); /* so it looks up to now */
    finish_signing(&job);
    unload_used(engine);
    return 0;
}
