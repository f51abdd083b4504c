/* Starts a second job with the wait context of one that is not finished. */
#include "wrong.h"

int main(int argc, char **argv)
{
    ENGINE *engine = load_checked(NULL);
    struct job first, second;
    ASYNC_WAIT_CTX *own;

    engine_command(engine, "HOLD", "compute");
    start_signing(engine, &first, BY_FD);
    job_init(&second, BY_FD, work_do, work_rsa(engine, 2));
    own = second.context;
    if (!has_argument(argc, argv, "mended"))
        second.context = first.context;
    CHECK_EQ(job_run(&second), ASYNC_PAUSE);
    engine_command(engine, "HOLD", "none");
    CHECK_EQ(job_finish(&second), 1);
    if (has_argument(argc, argv, "mended"))
        finish_signing(&first);
    work_free(second.arg);
    second.context = own;
    job_free(&second);
    engine_wait_for(engine, "completed", 2);
    unload_used(engine);
    return 0;
}
