/* SPDX-License-Identifier: Apache-2.0 */
/* Control commands: what is wrong is refused with an error that names it; what is right has its effect. */
#include "check.h"
#include "scratch.h"
#include "support/card.h"
#include "support/work.h"

static void refuse_settings(struct card *card)
{
    CHECK(card_refuses(card, "WORKERS", "0", "WORKERS is 0; it must be from 1 to 1024"));
    CHECK(card_refuses(card, "WORKERS", "1025", "from 1 to 1024"));
    CHECK(card_refuses(card, "INSTANCES", "-1", "INSTANCES is -1"));
    CHECK(card_refuses(card, "RING_DEPTH", "3", "power of two"));
    CHECK(card_refuses(card, "RING_DEPTH", "0", "power of two"));
    CHECK(card_refuses(card, "RING_DEPTH", "65536", "power of two"));
    CHECK(card_refuses(card, "SET_MAX_RETRY_COUNT", "-2", "from -1 to 100000"));
    CHECK(card_refuses(card, "SYNC_OFFLOAD", "2", "from 0 to 1"));
    CHECK(card_refuses(card, "STATS_FILE", "", "path of a file"));
    CHECK(card_refuses(card, "SET_INTERNAL_POLL_INTERVAL", "0", "from 1 to 10000000"));
    CHECK(card_refuses(card, "SET_EPOLL_TIMEOUT", "10001", "from 1 to 10000"));
    CHECK(card_refuses(card, "POLL", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(card_refuses(card, "ENABLE_HEURISTIC_POLLING", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    if (card_is_provider()) {
        CHECK(card_refuses(card, "SEED", NULL, "SEED takes a value"));
        CHECK(card_refuses(card, "INIT_ENGINE", "1", "INIT_ENGINE takes no value"));
    } else {
        CHECK(card_refuses(card, "GET_NUM_OP_RETRIES", NULL, "address"));
        CHECK(card_refuses(card, "SEED", NULL, "command takes input"));
        CHECK(card_refuses(card, "INIT_ENGINE", "1", "command takes no input"));
    }
    CHECK(card_refuses(card, "NO_SUCH_COMMAND", NULL, "unknown command \"NO_SUCH_COMMAND\""));
    CHECK(card_refuses(card, "WORKERS", "many", "WORKERS is \"many\"; expected a number"));
    CHECK(card_refuses(card, "HOLD", "everything", "expected none, compute or signal"));
    CHECK(card_refuses(card, "RELEASE", "0", "RELEASE is 0"));
    CHECK(card_refuses(card, "KERNELS", "", "KERNELS has \"\" in it; expected auto, or a list of"));
    CHECK(card_refuses(card, "KERNELS", "portable,", "has \"\" in it"));
    CHECK(card_refuses(card, "KERNELS", "portable,fast", "has \"fast\" in it"));
    CHECK(card_refuses(card, "KERNELS", "port", "has \"port\" in it"));
    CHECK(card_refuses(card, "KERNELS", "auto,portable", "has \"auto\" in it"));
    card_command(card, "KERNELS", "portable");
    card_command(card, "KERNELS", "auto");
    CHECK(card_refuses(card, "SET_INSTANCE_FOR_THREAD", "-1", "SET_INSTANCE_FOR_THREAD is -1"));
}

static void refuse_thresholds(struct card *card)
{
    static const char *const wrong[] = {"", "AES-128-CBC", "AES-128-CBC:", "AES-128-CBC:x", "AES-128-CBC:-",
        "AES-128-CBC:1x", "AES-512-CBC:1", "AES-192-XTS:1", "AES-128-CBC:1,", "AES-128-CBC:1,,AES-256-CBC:2",
        "id-aes128-GC:1"};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(card_refuses(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", wrong[i], "is not understood"));
}

static void obey_thresholds(struct card *card)
{
    struct work *work = work_aes(card, 1);
    struct job job;

    job_init(&job, BY_FD, work_do, work);
    card_command(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "aes-128-cbc:4096,AES-256-GCM:0");
    CHECK_EQ(job_run(&job), ASYNC_FINISH); /* one byte too small: done on the spot */
    card_command(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "AES-128-CBC:4095");
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(card_count(card, "aes_cbc"), 1);
    /* Below and above the range: as in QAT_Engine, its ends. */
    card_command(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", "AES-128-CBC:99999999999999999999");
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    card_command(card, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD",
        "AES-128-CBC:17000,AES-128-CBC:-312,ChaCha20-Poly1305:1024,SHA3-256:0,SM4-CBC:64,id-aes128-CCM:+5");
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
}

static void too_late(struct card *card)
{
    CHECK(card_refuses(card, "ENABLE_EXTERNAL_POLLING", NULL, "must come before"));
    CHECK(card_refuses(card, "DISABLE_EVENT_DRIVEN_POLLING_MODE", NULL, "must come before"));
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
    struct card *card = card_load(NULL);
    char path[64];

    for (int running = 0; running < 2; running++) {
        for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
            card_command(card, settings[i].name, settings[i].value);
            if (running && settings[i].other != NULL)
                CHECK(card_refuses(card, settings[i].name, settings[i].other, "must come before"));
        }
        card_command(card, "INIT_ENGINE", NULL);
    }
    CHECK(card_refuses(card, "ENABLE_EVENT_DRIVEN_POLLING_MODE", NULL, "must come before"));
    card_unload(card);
    snprintf(path, sizeof(path), "%d.record", (int)getpid());
    CHECK_EQ(unlink(path) | unlink("contract-commands.trace") | unlink("contract-commands.json"), 0);
}

/* The same of what no command has set. */
static void repeat_defaults(void)
{
    struct card *card = card_load(NULL);
    char instances[16];

    card_command(card, "INIT_ENGINE", NULL);
    snprintf(instances, sizeof(instances), "%d", card_number(card, "GET_NUM_CRYPTO_INSTANCES"));
    card_command(card, "INSTANCES", instances);
    card_command(card, "RING_DEPTH", "512");
    card_command(card, "PROFILE", "none");
    card_command(card, "FAULTS", "none");
    card_command(card, "CHECK", "0");
    card_command(card, "ENABLE_EVENT_DRIVEN_POLLING_MODE", NULL);
    CHECK(card_refuses(card, "RING_DEPTH", "256", "must come before"));
    CHECK(card_refuses(card, "TRACE", "contract-commands.trace", "must come before"));
    CHECK(card_refuses(card, "RECORD", "/dev/shm", "must come before"));
    card_unload(card);
}

static void answers(struct card *card)
{
    int number;
    struct work *work = work_rsa(card, 1);
    struct job job;

    CHECK_EQ(card_number(card, "GET_NUM_CRYPTO_INSTANCES"), 3);
    for (int kind = 0; kind < 7; kind++) { /* those that the asynchronous fork of nginx adds up */
        char command[64];

        snprintf(command, sizeof(command), "GET_NUM_REQUESTS_IN_FLIGHT:%d", kind);
        CHECK_EQ(card_number(card, command), 0);
    }
    CHECK(!card_ask(card, "GET_NUM_REQUESTS_IN_FLIGHT:7", &number));
    CHECK(error_speaks_of("from 0 to 6"));
    card_command(card, "SET_INSTANCE_FOR_THREAD", "64"); /* of three: the second */
    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(card_number(card, "GET_NUM_REQUESTS_IN_FLIGHT:1"), 1);
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(card_number(card, "GET_NUM_REQUESTS_IN_FLIGHT:1"), 0);
    job_free(&job);
    work_free(work);
}

/* From the environment: the module does not load with a mistake in it, and says which. */
static void environment(void)
{
    static const struct {
        const char *text, *error;
    } wrong[] = {{"WORKERS:9999", "WORKERS is 99"}, {"WORKERS", "WORKERS takes a value"},
        {"POLL:1", "POLL takes no value"}, {"NONSENSE", "unknown command \"NONSENSE\""},
        {"WORKERS:2x", "expected a number"}};
    struct card *card;

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv("ERSATZ_CTRL", wrong[i].text, 1);
        ERR_clear_error();
        CHECK(card_try(NULL) == NULL);
        CHECK(error_speaks_of(wrong[i].error));
    }
    setenv("ERSATZ_CTRL", "INSTANCES:3;ENABLE_SW_FALLBACK;", 1);
    card = card_load(NULL);
    answers(card);
    card_unload(card);
    unsetenv("ERSATZ_CTRL");
}

int main(void)
{
    struct card *card;

    test_begin(100);
    scratch_enter();
    environment();
    card = card_load(NULL);
    refuse_settings(card);
    refuse_thresholds(card);
    obey_thresholds(card);
    too_late(card);
    card_unload(card);
    repeat();
    repeat_defaults();
    scratch_leave();
    return 0;
}
