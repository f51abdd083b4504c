/* Resumes its job in a loop, instead of waiting for the descriptor (or, with `callback`, for the callback).
 */
#include "wrong.h"

int main(int argc, char **argv)
{
    enum told_by told_by = has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD;
    ENGINE *engine = load_checked(NULL);
    struct job job;

    engine_command(engine, "HOLD", "compute");
    start_signing(engine, &job, told_by);
    for (int i = 0; i < 300 && !has_argument(argc, argv, "mended"); i++)
        CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (!has_argument(argc, argv, "mended"))
        CHECK_EQ(engine_count(engine, "early_resumptions"), 300);
    engine_command(engine, "HOLD", "none");
    finish_signing(&job);
    unload_used(engine);
    return 0;
}
