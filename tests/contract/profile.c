/* SPDX-License-Identifier: Apache-2.0 */
/* PROFILE: what a command sets wins whichever came first; a modelled card keeps its times and leaves what it
 * has not to the calling core; a wrong or late one is refused. */
#include "check.h"
#include "support/engine.h"
#include "support/work.h"

#include <fcntl.h>
#include <time.h>

static long instances_of(const char *commands)
{
    ENGINE *engine = engine_load(commands);
    int count = 0;

    CHECK(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &count, NULL, 0));
    engine_unload(engine);
    return count;
}

static void check_order(void)
{
    long usual = instances_of(NULL);

    CHECK_EQ(instances_of("PROFILE:qat-c62x"), 3);
    CHECK_EQ(instances_of("PROFILE:qat-c62x;INSTANCES:5"), 5);
    CHECK_EQ(instances_of("INSTANCES:5;PROFILE:qat-c62x"), 5);
    CHECK_EQ(instances_of("PROFILE:qat-c62x;PROFILE:usb-token"), 1);
    CHECK_EQ(instances_of("PROFILE:qat-c62x;PROFILE:none"), usual);
    CHECK_EQ(instances_of(NULL), usual); /* nothing stays from one load to the next */
}

/* The same with the depth of a ring, by what the card does: the third of three is refused or not. */
static void check_depth(const char *commands, bool has_room_for_three)
{
    ENGINE *engine = engine_load(commands);
    struct job jobs[3];
    struct work *works[3];
    long before = engine_count(engine, "retries"); /* counters go on from one load to the next */

    engine_command(engine, "HOLD", "compute");
    for (int i = 0; i < 3; i++) {
        works[i] = work_rsa(engine, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    CHECK_EQ(engine_count(engine, "retries") - before, !has_room_for_three);
    engine_command(engine, "HOLD", "none");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    engine_unload(engine);
}

static void check_refusals(void)
{
    ENGINE *engine = engine_load(NULL);

    CHECK(engine_refuses(engine, "PROFILE", "qat", "unknown profile \"qat\"; built in are none, qat-c62x"));
    CHECK(engine_refuses(engine, "PROFILE", "", "unknown profile \"\""));
    CHECK(engine_refuses(engine, "PROFILE", "/no/such/file", "cannot be opened"));
    engine_command(engine, "INIT_ENGINE", NULL);
    CHECK(engine_refuses(engine, "PROFILE", "qat-c62x", "PROFILE must come before"));
    engine_unload(engine);
}

static void run(struct work *work, enum told_by told_by)
{
    struct job job;

    job_init(&job, told_by, work_do, work);
    job_run(&job);
    if (job.status == ASYNC_PAUSE)
        job_finish(&job);
    CHECK_EQ(job.status, ASYNC_FINISH);
    CHECK_EQ(job.result, 1);
    job_free(&job);
    work_free(work);
}

/* A token for keys has no AES and no public RSA. */
static void check_software(void)
{
    ENGINE *engine = engine_load("PROFILE:usb-token");
    long here = engine_count(engine, "inline"), signs = engine_count(engine, "rsa_priv"),
         told = engine_count(engine, "told");
    unsigned char text[256];
    RSA *rsa;

    run(work_aes(engine, 1), BY_FD);
    CHECK_EQ(engine_count(engine, "aes_cbc"), 0); /* none of this test before */
    CHECK_EQ(engine_count(engine, "inline") - here, 1);
    run(work_rsa(engine, 2), BY_FD);
    CHECK_EQ(engine_count(engine, "rsa_priv") - signs, 1);
    CHECK_EQ(engine_count(engine, "told") - told, 1);
    rsa = engine_rsa(engine);
    memset(text, 0, sizeof(text));
    CHECK_EQ(RSA_public_encrypt(sizeof(text), text, text, rsa, RSA_NO_PADDING), (int)sizeof(text));
    RSA_free(rsa);
    CHECK_EQ(engine_count(engine, "rsa_pub"), 0);
    engine_unload(engine);
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* No operation is done before its time, however its job is told. */
static void check_times(enum told_by told_by)
{
    char path[] = "/tmp/ersatz-profile-XXXXXX", command[64];
    static const char text[] =
        "name = slow\nlatency = 3ms\njitter = exponential 100us\nrsa_private 2048 = 2ms\n";
    int fd = mkstemp(path);
    ENGINE *engine;
    struct work *aes, *rsa;
    int64_t begin;
    long told;

    CHECK(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
    close(fd);
    snprintf(command, sizeof(command), "PROFILE:%s", path);
    engine = engine_load(command);
    unlink(path); /* it was read */
    told = engine_count(engine, "told");
    aes = work_aes(engine, 1);
    rsa = work_rsa(engine, 1);
    begin = now();
    run(aes, told_by);
    CHECK(now() - begin >= 3000000);
    begin = now();
    run(rsa, told_by);
    CHECK(now() - begin >= 5000000);
    CHECK_EQ(engine_count(engine, "told") - told, 2);
    CHECK(engine_count(engine, "reached_ns") >= engine_count(engine, "asked_ns"));
    engine_unload(engine);
}

/* The profile that the environment names is in force: what the runs of other tests under it rely on. */
static void check_environment(void)
{
    ENGINE *engine = engine_load(NULL);

    run(work_aes(engine, 1), BY_FD);
    CHECK_EQ(engine_count(engine, "told"), 1);
    CHECK(engine_count(engine, "asked_ns") >= 200000);
    engine_unload(engine);
}

int main(int argc, char **argv)
{
    test_begin(60);
    if (argc > 1 && strcmp(argv[1], "environment") == 0) {
        check_environment();
        return 0;
    }
    check_order();
    check_depth("WORKERS:1;INSTANCES:1;RING_DEPTH:2;PROFILE:qat-c62x", false);
    check_depth("PROFILE:qat-c62x;RING_DEPTH:2;INSTANCES:1", false);
    check_depth("RING_DEPTH:4;PROFILE:qat-c62x;INSTANCES:1", true);
    check_refusals();
    check_software();
    check_times(BY_FD);
    check_times(BY_CALLBACK);
    return 0;
}
