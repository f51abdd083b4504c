/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds the ENGINE, and what becomes of the card when one lets go while others work. */
#include <openssl/engine.h>
#include <openssl/err.h>
#include <pthread.h>

#include "check.h"
#include "scratch.h"
#include "support/card.h"
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
        EVP_PKEY *key = test_key(model->card);

        if (key_sign(model->card, key, RSA_PKCS1_PADDING, model->input, 32, out) != model->size) {
            ERR_print_errors_fp(stderr);
            FAIL("an operation failed because another thread let go of the engine");
        }
        CHECK_EQ(memcmp(out, model->expected, (size_t)model->size), 0);
        EVP_PKEY_free(key);
        usleep((unsigned)(i * 5 % 8) * 400); /* now and then nobody has a key */
    }
    return NULL;
}

static void last_reference_races(void)
{
    struct card *card = card_load("WORKERS:1;INSTANCES:1");
    struct work *work = work_rsa(card, 1);
    pthread_t threads[THREADS];

    work_set_key(work, NULL);
    card_finish(card);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, sign_with_own_key, work), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(card_count(card, "rsa_priv"), THREADS * ROUNDS);
    work_free(work);
    card_init(card);
    card_unload(card);
}

/* The module under another name is another card: both work side by side, and one ends alone. */
static void two_modules(void)
{
    const char *module = getenv("ERSATZ_MODULE");
    char copy[sizeof(scratch_directory) + 16], command[2 * sizeof(copy)];
    struct card *first = card_load(NULL), *second;
    struct work *work, *other;
    struct job job;

    scratch_make();
    snprintf(copy, sizeof(copy), "%s/ersatz.so", scratch_directory);
    snprintf(command, sizeof(command), "cp '%s' '%s'", module, copy);
    CHECK_EQ(system(command), 0);
    setenv("ERSATZ_MODULE", copy, 1);
    second = card_load(NULL);
    scratch_leave();
    setenv("ERSATZ_MODULE", module, 1);
    work = work_rsa(first, 1);
    other = work_rsa(second, 2);
    card_command(first, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(work_do(&other), 1); /* the hold is the first one's */
    CHECK_EQ(card_count(second, "rsa_priv"), 1);
    work_free(other);
    card_unload(second);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_command(first, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    card_unload(first);
}

/* The same module a second time. libcrypto itself refuses that from 3.0.3 on; where it does not, both share
 * the card. Either way the first is none the worse. */
static void same_module(void)
{
    struct card *first, *second;
    struct work *work;
    struct job job;

    setenv("ERSATZ_CTRL", "WORKERS:1", 1); /* cannot be set once more: the card runs */
    first = card_load(NULL);
    work = work_rsa(first, 1);
    card_command(first, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    second = card_try(NULL);
    unsetenv("ERSATZ_CTRL");
    if (second == NULL)
        CHECK(error_speaks_of("init failed") || error_speaks_of("conflicting engine id"));
    else
        card_unload(second);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    card_command(first, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
    card_unload(first);
}

/* A program that has the id of Intel's engine built in finds the module by a link of that name. */
static void other_names(void)
{
    static const char *const names[] = {"qatengine", "qat", "another"};
    char link[sizeof(scratch_directory) + 16];

    scratch_make();
    setenv("OPENSSL_ENGINES", scratch_directory, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ENGINE *engine, *again;

        snprintf(link, sizeof(link), "%s/%s.so", scratch_directory, names[i]);
        CHECK_EQ(symlink(getenv("ERSATZ_MODULE"), link), 0);
        engine = ENGINE_by_id(names[i]);
        if (strcmp(names[i], "another") == 0) {
            CHECK(engine == NULL && error_speaks_of("qatengine"));
            continue;
        }
        CHECK(engine != NULL && strcmp(ENGINE_get_id(engine), names[i]) == 0);
        CHECK_EQ(ENGINE_ctrl_cmd_string(engine, "ENABLE_EXTERNAL_POLLING", NULL, 0), 1);
        CHECK_EQ(ENGINE_init(engine), 1);
        again = ENGINE_by_id(names[i]);
        CHECK(again == engine);
        CHECK_EQ(ENGINE_ctrl_cmd_string(again, "POLL", NULL, 0), 1);
        CHECK(ENGINE_free(again) && ENGINE_remove(engine) && ENGINE_finish(engine) && ENGINE_free(engine));
    }
    unsetenv("OPENSSL_ENGINES");
    scratch_leave();
}

int main(void)
{
    test_begin(100);
    other_names();
    last_reference_races();
    two_modules();
    same_module();
    return 0;
}
