/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injected faults as an application sees them: what a job is told and when, what its operation returns, what
 * the error says, and that the calling core takes over where it may.
 */
#include <openssl/err.h>
#include <time.h>

#include "check.h"
#include "child.h"
#include "support/card.h"
#include "support/work.h"

#define MANY 200

static const char *const counted[] = {"ring_full", "late", "reorder", "burst", "spurious", "fail", "corrupt",
    "reset", "gone", "hang", "slow", "boot", "fork", "early", "ready", "inline", "retries", "early_resumes",
    "completed"};

#define COUNTED (sizeof(counted) / sizeof(counted[0]))

static long before[COUNTED]; /* statistics span the cards of a process */

/* A counter, of faults if there is such a one. */
static long read_count(struct card *card, const char *name)
{
    char quoted[32], *text = card_statistics(card), *at;
    long count = 0;

    snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
    at = strstr(text, "\"faults\"");
    CHECK(at != NULL);
    if (strstr(at, quoted) != NULL)
        count = strtol(strstr(at, quoted) + strlen(quoted), NULL, 10);
    else if (strcmp(name, "late") != 0 && strstr(text, quoted) != NULL) /* a profile has that, too */
        count = strtol(strstr(text, quoted) + strlen(quoted), NULL, 10);
    free(text);
    return count;
}

static struct card *load(const char *commands)
{
    struct card *card = card_load(commands);

    for (size_t i = 0; i < COUNTED; i++)
        before[i] = read_count(card, counted[i]);
    return card;
}

/* Since it was loaded. */
static long count_of(struct card *card, const char *name)
{
    for (size_t i = 0; i < COUNTED; i++) {
        if (strcmp(counted[i], name) == 0)
            return read_count(card, name) - before[i];
    }
    FAIL("not among those counted");
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* From its start to its end. */
static int run_to_the_end(struct job *job)
{
    return job_run(job) == ASYNC_PAUSE ? job_finish(job) : job->result;
}

/* In a job of its own. Returns the result. */
static int run_one(struct work *work, enum told_by told_by)
{
    struct job job;
    int result;

    job_init(&job, told_by, work_do, work);
    result = run_to_the_end(&job);
    job_free(&job);
    return result;
}

static void test_commands(void)
{
    struct card *card = load("SEED:7;FAULTS:fail=#1;FAULTS:none;FAULTS:late=1%:2ms, hang=#99,burst=4");

    CHECK(card_refuses(card, "FAULTS", "late=5%:2mx", "FAULTS is wrong at character 10: expected the unit"));
    CHECK(card_refuses(card, "FAULTS", "late=5%:2mx", "\n  late=5%:2mx\n           ^\n"));
    CHECK(card_refuses(card, "FAULTS", "late=5%:2mx", "NAME=WHEN:TIME"));
    CHECK(card_refuses(card, "FAULTS", "fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,\tx=",
        "\n  ...,fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,fail=1%,?x=\n"
        "                                                       ^\n"));
    CHECK(card_refuses(card, "FAULTS", "", "FAULTS is wrong at character 1: expected a fault"));
    CHECK(card_refuses(card, "SEED", "-1", "SEED is -1"));
    CHECK(card_refuses(card, "SEED", "x", "SEED is \"x\"; expected a number"));
    card_command(card, "INIT_ENGINE", NULL);
    CHECK(card_refuses(card, "FAULTS", "none", "FAULTS must come before"));
    CHECK(card_refuses(card, "SEED", "1", "SEED must come before"));
    card_unload(card);
}

/* One job whose only operation fails for a fault; with ENABLE_SW_FALLBACK it does not. */
static void test_failure(const char *faults, enum told_by told_by, bool rsa, const char *says)
{
    char commands[128], name[16];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(faults, "="), faults);
    for (int fallback = 0; fallback < 2; fallback++) {
        struct card *card;
        struct work *work;
        struct job job;

        snprintf(commands, sizeof(commands), "FAULTS:%s%s", faults, fallback ? ";ENABLE_SW_FALLBACK" : "");
        card = load(commands);
        work = rsa ? work_rsa(card, 1) : work_aes(card, 1);
        ERR_clear_error();
        job_init(&job, told_by, work_do, work);
        CHECK_EQ(run_to_the_end(&job), fallback ? 1 : 0);
        CHECK_EQ(error_speaks_of("injected fault of the simulated card"), !fallback);
        if (!fallback && told_by == BY_CALLBACK)
            CHECK_EQ(ASYNC_WAIT_CTX_get_status(job.context), ASYNC_STATUS_ERR);
        ERR_clear_error();
        if (strcmp(name, "fail") != 0) { /* refused, it never paused: and leaves no descriptor behind */
            size_t fds = 1;

            CHECK(ASYNC_WAIT_CTX_get_all_fds(job.context, NULL, &fds));
            CHECK_EQ(fds, 0);
        }
        CHECK_EQ(count_of(card, name), 1);
        CHECK_EQ(count_of(card, "inline"), fallback);
        job_free(&job);
        /* And without a job. */
        if (!fallback && rsa) {
            CHECK_EQ(work_do(&work), strcmp(name, "fail") == 0);
            CHECK_EQ(error_speaks_of(says), strcmp(name, "fail") != 0);
        }
        work_free(work);
        card_unload(card);
    }
}

static void test_spurious(void)
{
    struct card *card = load("FAULTS:spurious=100%:1ms");
    struct work *work = work_aes(card, 1);
    struct job job;

    card_command(card, "HOLD", "compute");
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK(fd_is_readable(job_fd(&job)));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* resumed for nothing: it pauses again */
    CHECK(!fd_is_readable(job_fd(&job)));
    CHECK_EQ(count_of(card, "early_resumes"), 0); /* counted when the operation is over */
    card_command(card, "HOLD", "none");
    CHECK_EQ(job_finish(&job), 1);
    CHECK(!fd_is_readable(job_fd(&job))); /* nothing is left over */
    CHECK_EQ(count_of(card, "spurious"), 1);
    CHECK_EQ(count_of(card, "early_resumes"), 1);
    job_free(&job);
    /* With callbacks there is nothing to wake by: one comes, when it is done. */
    job_init(&job, BY_CALLBACK, work_do, work);
    CHECK_EQ(run_to_the_end(&job), 1);
    CHECK_EQ(job.callbacks, 1);
    CHECK_EQ(count_of(card, "spurious"), 1);
    job_free(&job);
    work_free(work);
    card_unload(card);
}

/* One kind of operation is slow, and no other. */
static void test_slow(enum told_by told_by)
{
    struct card *card = load("FAULTS:slow=rsa_pub:3600s,slow=aes_cbc:30ms,slow=aes_gcm");
    struct work *aes = work_aes(card, 1), *rsa = work_rsa(card, 1);
    uint64_t begin = now_ms();

    for (int i = 0; i < 2; i++) /* each time */
        CHECK_EQ(run_one(aes, told_by), 1);
    CHECK(now_ms() - begin >= 60);
    CHECK_EQ(count_of(card, "slow"), 2);
    CHECK_EQ(run_one(rsa, told_by), 1);
    CHECK_EQ(work_do(&rsa), 1); /* without a job */
    CHECK_EQ(count_of(card, "slow"), 2);
    work_free(aes);
    work_free(rsa);
    card_unload(card);
}

/* The first operation waits until the card is up, and later ones do not. */
static void test_boot(enum told_by told_by)
{
    uint64_t begin = now_ms(), submitted;
    struct card *card = load("FAULTS:boot=400ms");
    struct work *work = work_aes(card, 1);
    struct job job;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    submitted = now_ms();
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    if (submitted - begin < 400) { /* a busy machine may have been slower than the card */
        CHECK_EQ(count_of(card, "boot"), 1);
        CHECK(now_ms() - begin >= 400);
    }
    usleep(400000);
    CHECK_EQ(run_one(work, told_by), 1);
    CHECK(count_of(card, "boot") <= 1);
    work_free(work);
    card_unload(card);
}

/* The wake-up comes only after the job has been resumed early; with a descriptor, for nothing. */
static void test_early(enum told_by told_by)
{
    struct card *card = load("FAULTS:early=100%:3600s");
    struct work *work = work_aes(card, 1);
    struct job job;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    while (count_of(card, "completed") == 0)
        usleep(100);
    usleep(20000); /* until it is held, or else it completes without having been */
    CHECK_EQ(job.callbacks, 0);
    CHECK_EQ(count_of(card, "early"), 0);
    if (told_by == BY_FD)
        CHECK(fd_is_readable(job_fd(&job)));
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* the wake-up that counts comes from now on */
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(count_of(card, "early"), 1);
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    if (told_by == BY_FD)
        CHECK(!fd_is_readable(job_fd(&job)));
    job_free(&job);
    work_free(work);
    card_unload(card);
}

/* The program gets a descriptor that is readable already, with the result there; or its callback has run. */
static void test_ready(enum told_by told_by)
{
    struct card *card = load("FAULTS:ready=100%:3600s");
    struct work *work = work_aes(card, 1);
    struct job job;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job.callbacks, told_by == BY_CALLBACK);
    if (told_by == BY_FD)
        CHECK(fd_is_readable(job_fd(&job)));
    CHECK_EQ(count_of(card, "ready"), 1);
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(count_of(card, "early_resumes"), 0);
    job_free(&job);
    work_free(work);
    card_unload(card);
    /* A callback that the program polls for cannot run while the program waits. */
    card = load("ENABLE_EXTERNAL_POLLING;FAULTS:ready=100%:3600s");
    work = work_aes(card, 1);
    work_in_job(work, BY_CALLBACK, card);
    CHECK_EQ(count_of(card, "ready"), 0);
    work_free(work);
    card_unload(card);
}

/* The completion comes with a fork, of which parent and child know nothing but that it is there. */
static void test_fork(enum told_by told_by)
{
    struct card *card = load("FAULTS:fork=100%:3600s");
    struct work *work = work_aes(card, 1);
    struct job job;

    job_init(&job, told_by, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    usleep(20000);
    CHECK_EQ(job.callbacks, 0);
    CHECK_EQ(count_of(card, "fork"), 0);
    while (count_of(card, "fork") == 0) { /* the first fork may come before the card has computed */
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        child_exits_with(pid, 0);
    }
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(count_of(card, "fork"), 1);
    job_free(&job);
    work_free(work);
    card_unload(card);
}

static void test_ring_full(void)
{
    struct card *card = load("FAULTS:ring_full=#1,ring_full=#2:1ms,ring_full=#3;INSTANCES:1");
    struct work *work = work_aes(card, 1);
    struct job job;

    /* By callback: the application sees EAGAIN, resumes, and is told once. */
    job_init(&job, BY_CALLBACK, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(job.context), ASYNC_STATUS_EAGAIN);
    CHECK_EQ(job.callbacks, 0);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(ASYNC_WAIT_CTX_get_status(job.context), ASYNC_STATUS_OK);
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(job.callbacks, 1);
    job_free(&job);
    /* By descriptor: it comes later, and nobody has to resume. */
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_finish(&job), 1);
    CHECK_EQ(count_of(card, "early_resumes"), 0);
    job_free(&job);
    CHECK_EQ(count_of(card, "ring_full"), 2);
    CHECK_EQ(count_of(card, "retries"), 2);
    work_free(work);
    /* Without a job the thread waits, or gives up after its retries. */
    work = work_rsa(card, 1);
    CHECK_EQ(work_do(&work), 1);
    work_free(work);
    card_unload(card);
    card = load("FAULTS:ring_full=2x;SET_MAX_RETRY_COUNT:0");
    work = work_rsa(card, 1);
    CHECK_EQ(work_do(&work), 0);
    CHECK(error_speaks_of("ring_full on request #1"));
    card_command(card, "SET_MAX_RETRY_COUNT", "1");
    CHECK_EQ(work_do(&work), 1);
    work_free(work);
    card_unload(card);
}

/* One that hangs keeps its job until the card is reset, or the module gone. */
static void test_hang(enum told_by told_by)
{
    struct card *card = load("FAULTS:hang=1x,reset=#2:1ms");
    struct work *hung = work_aes(card, 1), *other = work_aes(card, 2);
    struct job job, second;

    job_init(&job, told_by, work_do, hung);
    job_init(&second, told_by, work_do, other);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    while (count_of(card, "hang") == 0)
        usleep(100);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE); /* however often it is resumed */
    CHECK_EQ(job_run(&second), ASYNC_FINISH);
    CHECK_EQ(second.result, 0);
    CHECK(error_speaks_of("reset on request #2"));
    CHECK_EQ(job_finish(&job), 0);
    CHECK(error_speaks_of("reset on request #2, this is request #1"));
    job_free(&job);
    job_free(&second);
    work_free(hung);
    work_free(other);
    card_unload(card);
}

static void test_heartbeat(void)
{
    struct card *card = load("ENABLE_EXTERNAL_POLLING;FAULTS:gone=#2");
    struct work *work = work_rsa(card, 1);
    int status = 1;

    CHECK_EQ(work_do(&work), 1);
    status = card_number(card, "HEARTBEAT_POLL");
    CHECK_EQ(status, 0);
    CHECK_EQ(work_do(&work), 0);
    CHECK(error_speaks_of("gone on request #2"));
    status = card_number(card, "HEARTBEAT_POLL");
    CHECK_EQ(status, -1);
    work_free(work);
    card_unload(card);
    /* A device that starts anew is a new card. */
    card = load("ENABLE_EXTERNAL_POLLING;FAULTS:gone=#2");
    work = work_rsa(card, 1);
    CHECK_EQ(work_do(&work), 1);
    work_free(work);
    card_unload(card);
}

/* Which of MANY jobs fail, one after the other; told by descriptor and by callback in turn. */
static void list_failed(const char *seed, bool failed[MANY])
{
    char commands[128];
    struct card *card;
    struct work *work;
    long count = 0;

    snprintf(commands, sizeof(commands),
        "FAULTS:fail=5%%,late=10%%:10us,ring_full=10%%,spurious=10%%:1us;SEED:%s", seed);
    card = load(commands);
    work = work_aes(card, 1);
    for (int i = 0; i < MANY; i++) {
        struct job job;

        job_init(&job, i % 2 == 0 ? BY_FD : BY_CALLBACK, work_do, work);
        while (job_run(&job) == ASYNC_PAUSE && i % 2 == 1 && job.callbacks == 0)
            ;
        if (job.status == ASYNC_PAUSE)
            job_finish(&job);
        failed[i] = job.result != 1;
        count += failed[i];
        job_free(&job);
    }
    CHECK_EQ(count_of(card, "fail"), count);
    CHECK(count > 0 && count < MANY / 4);
    work_free(work);
    card_unload(card);
    ERR_clear_error();
}

static void test_the_same_every_time(void)
{
    bool first[MANY], again[MANY], other[MANY];

    list_failed("11", first);
    list_failed("11", again);
    list_failed("12", other);
    CHECK(memcmp(first, again, sizeof(first)) == 0);
    CHECK(memcmp(first, other, sizeof(first)) != 0);
}

/* A wrong result: RSA's is found inside the card, AES-CBC's reaches the application. */
static void test_corrupt(void)
{
    struct card *card = load("FAULTS:corrupt=100%");
    struct work *rsa = work_rsa(card, 1), *aes = work_aes(card, 2);

    CHECK_EQ(run_one(rsa, BY_FD), 1);
    CHECK_EQ(run_one(aes, BY_FD), -1); /* not as expected */
    CHECK_EQ(count_of(card, "corrupt"), 2);
    work_free(rsa);
    work_free(aes);
    card_unload(card);
}

int main(void)
{
    test_begin(120);
    test_commands();
    for (enum told_by told_by = BY_FD; told_by <= BY_CALLBACK; told_by++) {
        for (int rsa = 0; rsa < 2; rsa++) {
            test_failure("fail=#1", told_by, rsa, "");
            test_failure("reset=#1:3600s", told_by, rsa, "reset on request #1, this is request #2");
            test_failure("gone=#1", told_by, rsa, "gone on request #1, this is request #2");
        }
        test_hang(told_by);
        test_slow(told_by);
        test_boot(told_by);
        test_early(told_by);
        test_ready(told_by);
        test_fork(told_by);
    }
    test_spurious();
    test_ring_full();
    test_heartbeat();
    test_the_same_every_time();
    test_corrupt();
    return 0;
}
