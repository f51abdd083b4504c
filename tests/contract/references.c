/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds the ENGINE, and what becomes of the card when one lets go while others work. */
#include <dirent.h>
#include <openssl/err.h>
#include <pthread.h>

#include "check.h"
#include "support/engine.h"
#include "support/work.h"

#define THREADS 4
#define ROUNDS 150

/* The application has no functional reference of its own: each key has, so the device is stopped by whoever
 * frees the last key, at a moment when another thread may just have made one. */
static void *sign_with_own_key(void *arg)
{
    struct work *model = arg;

    for (int i = 0; i < ROUNDS; i++) {
        unsigned char out[512];
        RSA *rsa = engine_rsa(model->engine);

        if (RSA_private_encrypt(32, model->input, out, rsa, RSA_PKCS1_PADDING) != model->size) {
            ERR_print_errors_fp(stderr);
            FAIL("an operation failed because another thread let go of the engine");
        }
        CHECK_EQ(memcmp(out, model->expected, (size_t)model->size), 0);
        RSA_free(rsa);
        usleep((unsigned)(i * 5 % 8) * 400); /* now and then nobody has a key */
    }
    return NULL;
}

static void last_reference_races(void)
{
    ENGINE *engine = engine_load("WORKERS:1;INSTANCES:1");
    struct work *work = work_rsa(engine, 1);
    pthread_t threads[THREADS];

    RSA_free(work->rsa);
    work->rsa = NULL;
    CHECK(ENGINE_finish(engine));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, sign_with_own_key, work), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(engine_count(engine, "rsa_priv"), THREADS * ROUNDS);
    work_free(work);
    CHECK(ENGINE_free(engine));
}

/* The module under another name is another card: both work side by side, and one ends alone. */
static void two_modules(void)
{
    const char *module = getenv("ERSATZ_MODULE");
    char copy[] = "/tmp/ersatz-copy-XXXXXX", command[4096];
    ENGINE *first = engine_load(NULL), *second;
    struct work *work, *other;
    struct job job;
    int fd = mkstemp(copy);

    CHECK(fd >= 0);
    close(fd);
    snprintf(command, sizeof(command), "cp '%s' '%s'", module, copy);
    CHECK_EQ(system(command), 0);
    setenv("ERSATZ_MODULE", copy, 1);
    second = engine_load(NULL);
    CHECK_EQ(unlink(copy), 0);
    setenv("ERSATZ_MODULE", module, 1);
    work = work_rsa(first, 1);
    other = work_rsa(second, 2);
    engine_command(first, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(work_do(&other), 1); /* the hold is the first one's */
    CHECK_EQ(engine_count(second, "rsa_priv"), 1);
    work_free(other);
    engine_unload(second);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    engine_command(first, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    engine_unload(first);
}

/* The same module a second time. libcrypto itself refuses that from 3.0.3 on; where it does not, both share
 * the card. Either way the first is none the worse. */
static void same_module(void)
{
    ENGINE *first, *second;
    struct work *work;
    struct job job;

    setenv("ERSATZ_CTRL", "WORKERS:1", 1); /* cannot be set once more: the card runs */
    first = engine_load(NULL);
    work = work_rsa(first, 1);
    engine_command(first, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    second = engine_try(NULL);
    unsetenv("ERSATZ_CTRL");
    if (second == NULL)
        CHECK(error_speaks_of("init failed") || error_speaks_of("conflicting engine id"));
    else
        engine_unload(second);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    engine_command(first, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    engine_unload(first);
}

/* Settings go with the last ENGINE: the next one starts from the defaults. */
static void defaults(void)
{
    ENGINE *engine = engine_load("ENABLE_EXTERNAL_POLLING;SYNC_OFFLOAD:1;INSTANCES:5;"
                                 "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:AES-128-CBC:16384");
    struct work *work;
    struct job job;
    int instances;

    engine_unload(engine);
    engine = engine_load(NULL);
    CHECK(engine_refuses(engine, "POLL", NULL, "needs ENABLE_EXTERNAL_POLLING"));
    CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &instances, NULL, 0));
    CHECK(instances != 5);
    work = work_aes(engine, 1);
    CHECK_EQ(work_do(&work), 1);
    CHECK_EQ(engine_count(engine, "aes_cbc"), 0); /* SYNC_OFFLOAD is off again */
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* and the threshold is 2,048 */
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    engine_unload(engine);
}

/* A load that fails, after a command that has started the device, leaves no thread behind. */
static void failed_load(void)
{
    int tasks; /* this thread, and . and .. */

    setenv("ERSATZ_CTRL", "INIT_ENGINE;NONSENSE", 1);
    CHECK(engine_try(NULL) == NULL);
    CHECK(error_speaks_of("NONSENSE"));
    unsetenv("ERSATZ_CTRL");
    do {
        DIR *directory = opendir("/proc/self/task");

        CHECK(directory != NULL);
        for (tasks = 0; readdir(directory) != NULL; tasks++)
            ;
        closedir(directory);
        usleep(1000); /* joined, but the kernel still takes it apart; one that stays hangs the test */
    } while (tasks != 3);
    engine_unload(engine_load("WORKERS:1"));
}

int main(void)
{
    test_begin(100);
    last_reference_races();
    two_modules();
    same_module();
    defaults();
    failed_load();
    return 0;
}
