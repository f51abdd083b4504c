/* Frees the wait context while the card works for its job. */
#include "wrong.h"

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked(NULL);
    struct job job;

    engine_command(engine, "HOLD", "compute");
    start_signing(engine, &job, BY_FD);
    if (!has_argument(argc, argv, "mended"))
        job_free(&job);
    engine_command(engine, "HOLD", "none");
    if (has_argument(argc, argv, "mended"))
        finish_signing(&job);
    engine_wait_for(engine, "completed", 1);
    unload_used(engine);
    return 0;
}
