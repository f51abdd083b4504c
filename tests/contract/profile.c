/* SPDX-License-Identifier: Apache-2.0 */
/* PROFILE: what a command sets wins whichever came first; a modelled card keeps its times and leaves what it
 * has not to the calling core; a wrong or late one is refused. */
#include "check.h"
#include "scratch.h"
#include "support/card.h"
#include "support/work.h"

#include <fcntl.h>
#include <time.h>

#define PROFILE_FILE "./slow.profile"

static long instances_of(const char *commands)
{
    struct card *card = card_load(commands);
    int count = card_number(card, "GET_NUM_CRYPTO_INSTANCES");

    card_unload(card);
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
    struct card *card = card_load(commands);
    struct job jobs[3];
    struct work *works[3];
    long before = card_count(card, "retries"); /* counters go on from one load to the next */

    card_command(card, "HOLD", "compute");
    for (int i = 0; i < 3; i++) {
        works[i] = work_rsa(card, (unsigned char)i);
        job_init(&jobs[i], BY_FD, work_do, works[i]);
        CHECK_EQ(job_run(&jobs[i]), ASYNC_PAUSE);
    }
    CHECK_EQ(card_count(card, "retries") - before, !has_room_for_three);
    card_command(card, "HOLD", "none");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(job_finish(&jobs[i]), 1);
        job_free(&jobs[i]);
        work_free(works[i]);
    }
    card_unload(card);
}

static void check_refusals(void)
{
    struct card *card = card_load(NULL);

    CHECK(card_refuses(card, "PROFILE", "qat", "unknown profile \"qat\"; built in are none, qat-c62x"));
    CHECK(card_refuses(card, "PROFILE", "", "unknown profile \"\""));
    CHECK(card_refuses(card, "PROFILE", "/no/such/file", "cannot be opened"));
    card_command(card, "INIT_ENGINE", NULL);
    CHECK(card_refuses(card, "PROFILE", "qat-c62x", "PROFILE must come before"));
    card_unload(card);
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
    struct card *card = card_load("PROFILE:usb-token");
    long here = card_count(card, "inline"), signs = card_count(card, "rsa_priv"),
         told = card_count(card, "told");
    unsigned char text[256];
    EVP_PKEY *key;

    run(work_aes(card, 1), BY_FD);
    CHECK_EQ(card_count(card, "aes_cbc"), 0); /* none of this test before */
    CHECK_EQ(card_count(card, "inline") - here, 1);
    run(work_rsa(card, 2), BY_FD);
    CHECK_EQ(card_count(card, "rsa_priv") - signs, 1);
    CHECK_EQ(card_count(card, "told") - told, 1);
    key = test_key(card);
    memset(text, 0, sizeof(text));
    CHECK_EQ(key_encrypt(card, key, RSA_NO_PADDING, text, sizeof(text), text), sizeof(text));
    EVP_PKEY_free(key);
    CHECK_EQ(card_count(card, "rsa_pub"), 0);
    card_unload(card);
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
    static const char text[] =
        "name = slow\nlatency = 3ms\njitter = exponential 100us\nrsa_private 2048 = 2ms\n";
    int fd = open(PROFILE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct card *card;
    struct work *aes, *rsa;
    int64_t begin;
    long told;

    CHECK(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
    close(fd);
    card = card_load("PROFILE:" PROFILE_FILE);
    CHECK_EQ(unlink(PROFILE_FILE), 0); /* it was read */
    told = card_count(card, "told");
    aes = work_aes(card, 1);
    rsa = work_rsa(card, 1);
    begin = now();
    run(aes, told_by);
    CHECK(now() - begin >= 3000000);
    begin = now();
    run(rsa, told_by);
    CHECK(now() - begin >= 5000000);
    CHECK_EQ(card_count(card, "told") - told, 2);
    CHECK(card_count(card, "reached_ns") >= card_count(card, "asked_ns"));
    card_unload(card);
}

/* The profile that the environment names is in force: what the runs of other tests under it rely on. */
static void check_environment(void)
{
    struct card *card = card_load(NULL);

    run(work_aes(card, 1), BY_FD);
    CHECK_EQ(card_count(card, "told"), 1);
    CHECK(card_count(card, "asked_ns") >= 200000);
    card_unload(card);
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
    scratch_enter();
    check_times(BY_FD);
    check_times(BY_CALLBACK);
    scratch_leave();
    return 0;
}
