/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands: what is wrong is refused with an error that names it; what is right has its effect. */
#include "check.h"
#include "scratch.h"
#include "support/engine.h"
#include "support/work.h"

static void refuse_settings(ENGINE *engine)
{
    CHECK(engine_refuses(engine, "WORKERS", "0", "WORKERS is 0; it must be from 1 to 64"));
    CHECK(engine_refuses(engine, "WORKERS", "65", "from 1 to 64"));
    CHECK(engine_refuses(engine, "INSTANCES", "-1", "INSTANCES is -1"));
    CHECK(engine_refuses(engine, "RING_DEPTH", "3", "power of two"));
    CHECK(engine_refuses(engine, "RING_DEPTH", "0", "power of two"));
    CHECK(engine_refuses(engine, "RING_DEPTH", "65536", "power of two"));
    CHECK(engine_refuses(engine, "SET_MAX_RETRY_COUNT", "-2", "from -1 to 100000"));
    CHECK(engine_refuses(engine, "SYNC_OFFLOAD", "2", "from 0 to 1"));
    CHECK(engine_refuses(engine, "STATS_FILE", "", "path of a file"));
    CHECK(engine_refuses(engine, "SET_INTERNAL_POLL_INTERVAL", "0", "from 1 to 10000000"));
    CHECK(engine_refuses(engine, "SET_EPOLL_TIMEOUT", "10001", "from 1 to 10000"));
    CHECK(engine_refuses(engine, "POLL", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(engine_refuses(engine, "ENABLE_HEURISTIC_POLLING", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(engine_refuses(engine, "GET_NUM_OP_RETRIES", NULL, "address"));
    CHECK(engine_refuses(engine, "NO_SUCH_COMMAND", NULL, "unknown command \"NO_SUCH_COMMAND\""));
    CHECK(engine_refuses(engine, "WORKERS", "many", "WORKERS is \"many\"; expected a number"));
    CHECK(engine_refuses(engine, "HOLD", "everything", "expected none, compute or signal"));
    CHECK(engine_refuses(engine, "RELEASE", "0", "RELEASE is 0"));
    CHECK(engine_refuses(engine, "KERNELS", "", "KERNELS has \"\" in it; expected auto, or a list of"));
    CHECK(engine_refuses(engine, "KERNELS", "portable,", "has \"\" in it"));
    CHECK(engine_refuses(engine, "KERNELS", "portable,fast", "has \"fast\" in it"));
    CHECK(engine_refuses(engine, "KERNELS", "port", "has \"port\" in it"));
    CHECK(engine_refuses(engine, "KERNELS", "auto,portable", "has \"auto\" in it"));
    engine_command(engine, "KERNELS", "portable");
    engine_command(engine, "KERNELS", "auto");
    CHECK(engine_refuses(engine, "SET_INSTANCE_FOR_THREAD", "-1", "SET_INSTANCE_FOR_THREAD is -1"));
}

static void refuse_thresholds(ENGINE *engine)
{
    static const char *const wrong[] = {"", "AES-128-CBC", "AES-128-CBC:", "AES-128-CBC:x", "AES-128-CBC:-",
        "AES-128-CBC:1x", "AES-512-CBC:1", "AES-192-XTS:1", "AES-128-CBC:1,", "AES-128-CBC:1,,AES-256-CBC:2",
        "id-aes128-GC:1"};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(engine_refuses(
            engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", wrong[i], "is not understood"));
}

static void obey_thresholds(ENGINE *engine)
{
    struct work *work = work_aes(engine, 1);
    struct job job;

    job_init(&job, BY_FD, work_do, work);
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "aes-128-cbc:4096,AES-256-GCM:0");
    CHECK_EQ(job_run(&job), ASYNC_FINISH); /* one byte too small: done on the spot */
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "AES-128-CBC:4095");
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(engine_count(engine, "aes_cbc"), 1);
    /* Below and above the range: as in QAT_Engine, its ends. */
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "AES-128-CBC:99999999999999999999");
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD",
        "AES-128-CBC:17000,AES-128-CBC:-312,ChaCha20-Poly1305:1024,SHA3-256:0,SM4-CBC:64,id-aes128-CCM:+5");
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
}

static void too_late(ENGINE *engine)
{
    CHECK(engine_refuses(engine, "ENABLE_EXTERNAL_POLLING", NULL, "must come before"));
    CHECK(engine_refuses(engine, "DISABLE_EVENT_DRIVEN_POLLING_MODE", NULL, "must come before"));
}

/* A server that reads its configuration again gives all commands again: what is in force already is no
 * mistake, and another value is one. */
static void repeat(void)
{
    static const struct {
        const char *name, *value, *other;
    } settings[] = {{"WORKERS", "3", "2"}, {"INSTANCES", "2", "3"}, {"RING_DEPTH", "64", "32"},
        {"PROFILE", "qat-c62x", "none"}, {"ENABLE_EXTERNAL_POLLING", NULL, NULL},
        {"ENABLE_HEURISTIC_POLLING", NULL, NULL}, {"DISABLE_EVENT_DRIVEN_POLLING_MODE", NULL, NULL},
        {"FAULTS", "late=1%:1ms", "late=2%:1ms"}, {"FAULTS", "late=1%:1ms", "none"}, {"SEED", "7", "8"},
        {"CHECK", "1", "0"}, {"CHECK_LIMITS", "early=20", "early=21"}, {"RECORD", ".", ".."},
        {"TRACE", "contract-commands.trace", "other.trace"}, {"TRACE", "record", NULL},
        {"KERNELS", "portable", NULL}, {"STATS_FILE", "contract-commands.json", NULL}};
    ENGINE *engine = engine_load(NULL);
    char path[64];

    for (int running = 0; running < 2; running++) {
        for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
            engine_command(engine, settings[i].name, settings[i].value);
            if (running && settings[i].other != NULL)
                CHECK(engine_refuses(engine, settings[i].name, settings[i].other, "must come before"));
        }
        engine_command(engine, "INIT_ENGINE", NULL);
    }
    CHECK(engine_refuses(engine, "ENABLE_EVENT_DRIVEN_POLLING_MODE", NULL, "must come before"));
    engine_unload(engine);
    snprintf(path, sizeof(path), "%d.record", (int)getpid());
    CHECK_EQ(unlink(path) | unlink("contract-commands.trace") | unlink("contract-commands.json"), 0);
}

/* The same of what no command has set. */
static void repeat_defaults(void)
{
    ENGINE *engine = engine_load(NULL);
    char instances[16];
    int count;

    engine_command(engine, "INIT_ENGINE", NULL);
    CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &count, NULL, 0));
    snprintf(instances, sizeof(instances), "%d", count);
    engine_command(engine, "INSTANCES", instances);
    engine_command(engine, "RING_DEPTH", "512");
    engine_command(engine, "PROFILE", "none");
    engine_command(engine, "FAULTS", "none");
    engine_command(engine, "CHECK", "0");
    engine_command(engine, "ENABLE_EVENT_DRIVEN_POLLING_MODE", NULL);
    CHECK(engine_refuses(engine, "RING_DEPTH", "256", "must come before"));
    CHECK(engine_refuses(engine, "TRACE", "contract-commands.trace", "must come before"));
    CHECK(engine_refuses(engine, "RECORD", "/dev/shm", "must come before"));
    engine_unload(engine);
}

static void answers(ENGINE *engine)
{
    int instances = 0, *in_flight = NULL;
    struct work *work = work_rsa(engine, 1);
    struct job job;

    CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &instances, NULL, 0));
    CHECK_EQ(instances, 3);
    CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_REQUESTS_IN_FLIGHT", 1, &in_flight, NULL, 0));
    CHECK_EQ(*in_flight, 0);
    for (long kind = 0; kind < 7; kind++) { /* those that the asynchronous fork of nginx adds up */
        int *each = NULL;

        CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_REQUESTS_IN_FLIGHT", kind, &each, NULL, 0));
        CHECK(each != NULL && *each == 0);
    }
    CHECK(!ENGINE_ctrl_cmd(engine, "GET_NUM_REQUESTS_IN_FLIGHT", 7, &in_flight, NULL, 0));
    CHECK(error_speaks_of("from 0 to 6"));
    engine_command(engine, "SET_INSTANCE_FOR_THREAD", "64"); /* of three: the second */
    engine_command(engine, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(*in_flight, 1); /* the address is that of the live counter */
    engine_command(engine, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(*in_flight, 0);
    job_free(&job);
    work_free(work);
}

/* From the environment: the engine does not load with a mistake in it, and says which. */
static void environment(void)
{
    static const struct {
        const char *text, *error;
    } wrong[] = {{"WORKERS:99", "WORKERS is 99"}, {"WORKERS", "WORKERS takes a value"},
        {"POLL:1", "POLL takes no value"}, {"NONSENSE", "unknown command \"NONSENSE\""},
        {"WORKERS:2x", "expected a number"}};
    ENGINE *engine;

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv("ERSATZ_CTRL", wrong[i].text, 1);
        ERR_clear_error();
        CHECK(engine_try(NULL) == NULL);
        CHECK(error_speaks_of(wrong[i].error));
    }
    setenv("ERSATZ_CTRL", "INSTANCES:3;ENABLE_SW_FALLBACK;", 1);
    engine = engine_load(NULL);
    answers(engine);
    engine_unload(engine);
    unsetenv("ERSATZ_CTRL");
}

int main(void)
{
    ENGINE *engine;

    test_begin(30);
    scratch_enter();
    environment();
    engine = engine_load(NULL);
    refuse_settings(engine);
    refuse_thresholds(engine);
    obey_thresholds(engine);
    too_late(engine);
    engine_unload(engine);
    repeat();
    repeat_defaults();
    scratch_leave();
    return 0;
}
