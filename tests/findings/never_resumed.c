/* Waits until its job may go on, and then forgets it; or frees the wait context instead of resuming. */
#include "wrong.h"

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked(NULL);
    struct job job;

    start_signing(engine, &job, BY_FD);
    wait_until_readable(&job);
    if (has_argument(argc, argv, "mended")) {
        finish_signing(&job);
    } else if (has_argument(argc, argv, "frees")) {
        engine_wait_for(engine, "wakeups", 1);
        job_free(&job);
    }
    unload_used(engine);
    return 0;
}
