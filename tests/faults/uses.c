/* SPDX-License-Identifier: Apache-2.0 */
/* See uses.h. */
#include "uses.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdatomic.h>
#include <string.h>

#include "child.h"
#include "stress/question.h"
#include "support/card.h"

#define TEXT_MAX 6000
#define DIGEST 32
#define SIGNATURE 512

static struct question questions[USES_QUESTIONS];
static unsigned char digest[DIGEST], signature[SIGNATURE];
static size_t signature_len;

static const char *records_directory;

bool uses_may_be_confined;

/* --------------------------------------------------------------------------------------------- operations */

/* Every mode of AES and every kind of RSA operation is among the questions. */
static void make_questions(void)
{
    struct random random = {.state = 11};
    unsigned count = 0;

    for (enum mode mode = 0; mode < MODES; mode++) {
        do {
            if (questions[count].in != NULL)
                question_clear(&questions[count]);
            question_make_aes(&questions[count], &random, TEXT_MAX);
        } while (questions[count].aes.mode != mode || questions[count].in_len < 100);
        count++;
    }
    while (count < USES_QUESTIONS) {
        question_make_rsa(&questions[count], &random);
        if (questions[count].rsa.work == (enum rsa_work)(count % RSA_WORKS))
            count++;
        else
            question_clear(&questions[count]);
    }
}

static void sign_by_libcrypto(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys_source(4), NULL);

    signature_len = sizeof(signature);
    CHECK(ctx != NULL && EVP_PKEY_sign_init(ctx) > 0 &&
          EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 &&
          EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
          EVP_PKEY_sign(ctx, signature, &signature_len, digest, DIGEST) > 0);
    EVP_PKEY_CTX_free(ctx);
}

void uses_prepare(const char *records)
{
    records_directory = records;
    make_questions();
    sign_by_libcrypto();
}

struct task {
    struct attempt attempt;
    struct job job;
    unsigned char *out;
};

static void attempt(struct attempt *attempt)
{
    if (attempt->question->is_rsa)
        attempt_rsa(attempt);
    else
        attempt_aes(attempt);
    /* Whoever was refused what should have been done is told why. */
    if (attempt->refused && !answer_is_right(attempt))
        CHECK(ERR_peek_error() != 0);
}

static int attempt_in_job(void *arg)
{
    struct task *task = *(struct task **)arg;

    attempt(&task->attempt);
    return 1;
}

/* False: the key or the cipher was refused. */
static bool prepare(struct task *task, unsigned i, struct card *card)
{
    const struct question *question = &questions[i];
    bool is_ready = true;

    *task = (struct task){.attempt = {.question = question, .engine = card_engine(card), .in = question->in}};
    task->attempt.random.state = i;
    task->attempt.out = task->out = malloc(question_room(question));
    CHECK(task->out != NULL);
    ERR_clear_error();
    if (!question->is_rsa)
        task->attempt.aes.ctx = EVP_CIPHER_CTX_new();
    if (card_is_provider()) {
        EVP_PKEY *key = question->is_rsa ? keys_of_card(question->rsa.key, card) : NULL;

        is_ready = attempt_take(&task->attempt, card, key);
        EVP_PKEY_free(key);
    } else if (question->is_rsa) {
        task->attempt.rsa = keys_try(question->rsa.key, card_engine(card));
        is_ready = task->attempt.rsa != NULL;
    }
    CHECK(is_ready || ERR_peek_error() != 0);
    return is_ready;
}

static void clear(struct task *task)
{
    EVP_CIPHER_CTX_free(task->attempt.aes.ctx);
    RSA_free(task->attempt.rsa);
    attempt_give_back(&task->attempt);
    free(task->out);
}

/* Right; or, where something may fail, refused. */
static void judge(const struct task *task, bool strict)
{
    if (answer_is_right(&task->attempt))
        return;
    CHECK(!strict);
    CHECK(task->attempt.refused); /* not a wrong answer */
}

/* ----------------------------------------------------------------------------------------- ways to use it */

static void in_jobs(struct card *card, bool strict)
{
    static struct task tasks[USES_QUESTIONS];
    bool ready[USES_QUESTIONS];

    for (unsigned i = 0; i < USES_QUESTIONS; i++) {
        ready[i] = prepare(&tasks[i], i, card);
        CHECK(ready[i] || !strict);
        if (!ready[i])
            continue;
        job_init(&tasks[i].job, i % 2 == 0 ? BY_FD : BY_CALLBACK, attempt_in_job, &tasks[i]);
        job_run(&tasks[i].job);
    }
    for (unsigned i = 0; i < USES_QUESTIONS; i++) {
        if (ready[i]) {
            job_finish(&tasks[i].job);
            judge(&tasks[i], strict);
            job_free(&tasks[i].job);
        }
        clear(&tasks[i]);
    }
    ERR_clear_error();
}

static void by_polling(struct card *card, bool strict)
{
    for (unsigned i = 0; i < USES_QUESTIONS; i += 3) {
        struct task task;

        if (prepare(&task, i, card)) {
            job_init(&task.job, BY_CALLBACK, attempt_in_job, &task);
            job_run(&task.job);
            while (task.job.status == ASYNC_PAUSE) {
                int told = atomic_load(&task.job.callbacks), status;

                card_ask(card, "POLL", &status);
                if (atomic_load(&task.job.callbacks) != told ||
                    ASYNC_WAIT_CTX_get_status(task.job.context) != ASYNC_STATUS_OK)
                    job_run(&task.job);
            }
            judge(&task, strict);
            job_free(&task.job);
        } else {
            CHECK(!strict);
        }
        clear(&task);
    }
    ERR_clear_error();
}

static void alone(struct card *card, bool strict)
{
    for (unsigned i = 0; i < USES_QUESTIONS; i++) {
        struct task task;

        if (prepare(&task, i, card)) {
            attempt(&task.attempt);
            judge(&task, strict);
        } else {
            CHECK(!strict);
        }
        clear(&task);
    }
    ERR_clear_error();
}

/* A key that libcrypto has made. Its engine is named for it; or the provider, which gets the numbers. */
static void by_name(struct card *card, bool strict)
{
    EVP_PKEY *key = EVP_PKEY_dup(keys_source(4)); /* a key keeps the copies that providers have of it */
    EVP_PKEY_CTX *ctx = card_is_provider()
                            ? EVP_PKEY_CTX_new_from_pkey(card_context(card), key, card_properties(card))
                            : EVP_PKEY_CTX_new(key, card_engine(card));
    unsigned char out[SIGNATURE];
    size_t len = sizeof(out);
    bool done = ctx != NULL && EVP_PKEY_sign_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 &&
                EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
                EVP_PKEY_sign(ctx, out, &len, digest, DIGEST) > 0;
    EVP_PKEY_CTX *copy;

    CHECK(done || (!strict && ERR_peek_error() != 0));
    CHECK(!done || (len == signature_len && memcmp(out, signature, len) == 0));
    CHECK(!strict || !card_is_provider() ||
          strcmp(OSSL_PROVIDER_get0_name(EVP_PKEY_CTX_get0_provider(ctx)), "ersatz") == 0);
    copy = ctx == NULL ? NULL : EVP_PKEY_CTX_dup(ctx);
    CHECK(copy != NULL || !strict);
    EVP_PKEY_CTX_free(copy);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void give_commands(struct card *card)
{
    char *statistics = card_statistics(card);
    int in_flight;

    if (statistics == NULL)
        CHECK(ERR_peek_error() != 0);
    free(statistics);
    if (!card_ask(card, "GET_NUM_REQUESTS_IN_FLIGHT", &in_flight))
        CHECK(ERR_peek_error() != 0);
    if (!card_try_command(card, "HEARTBEAT_POLL", NULL))
        CHECK(ERR_peek_error() != 0);
    ERR_clear_error();
}

static void set_hold(struct card *card, const char *value, bool strict)
{
    CHECK(card_try_command(card, "HOLD", value) ||
          ((!strict || uses_may_be_confined) && ERR_peek_error() != 0));
}

/* A wait context that goes away while the card has its work. */
static void abandon(struct card *card, bool strict)
{
    static struct task task;

    set_hold(card, "compute", strict);
    CHECK(prepare(&task, 0, card));
    job_init(&task.job, BY_FD, attempt_in_job, &task);
    job_run(&task.job);
    job_free(&task.job);
    clear(&task); /* under a job that is never resumed */
    set_hold(card, "none", strict);
    ERR_clear_error();
}

/* A child takes over a wait context that its parent has used. */
__attribute__((unused)) static void fork_with_context(struct card *card, bool strict)
{
    struct task task;
    pid_t pid;

    CHECK(prepare(&task, 0, card));
    job_init(&task.job, BY_FD, attempt_in_job, &task);
    job_run(&task.job);
    job_finish(&task.job);
    clear(&task);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        ASYNC_WAIT_CTX *context = task.job.context;

        test_begin(USES_SECONDS);
        CHECK(prepare(&task, 0, card));
        task.job = (struct job){.told_by = BY_FD, .work = attempt_in_job, .arg = &task, .context = context};
        job_run(&task.job);
        job_finish(&task.job);
        judge(&task, strict);
        _exit(0);
    }
    child_exits_with(pid, 0);
    job_free(&task.job);
    ERR_clear_error();
}

/* False: it was refused, and said why. */
static bool load(const char *commands, bool strict, struct card **card)
{
    ERR_clear_error();
    *card = card_try(commands);
    if (*card != NULL)
        return true;
    if (strict)
        ERR_print_errors_fp(stderr);
    CHECK(!strict);
    CHECK(ERR_peek_error() != 0);
    ERR_clear_error();
    return false;
}

void uses_run(bool fallback, bool all_done, bool strict)
{
    char commands[5120];
    struct card *card;

    snprintf(commands, sizeof(commands),
        "WORKERS:2;INSTANCES:1;RING_DEPTH:4;SYNC_OFFLOAD:1;STATS_FILE:/dev/null;%s%s",
        fallback ? "ENABLE_SW_FALLBACK;" : "", ALL_SIZES);
    if (load(commands, strict, &card)) {
        in_jobs(card, strict || all_done);
        alone(card, strict || all_done);
        by_name(card, strict);
        give_commands(card);
        abandon(card, strict);
#if !defined(__SANITIZE_ADDRESS__) /* whose allocator a worker may have locked at the fork */
        fork_with_context(card, strict);
#endif
        card_unload(card);
    }
    if (load("WORKERS:1;INSTANCES:1;RING_DEPTH:2;ENABLE_EXTERNAL_POLLING;" ALL_SIZES, strict, &card)) {
        by_polling(card, strict);
        alone(card, strict); /* AES: on the calling core */
        card_unload(card);
    }
    if (load("WORKERS:1;INSTANCES:2;SET_EPOLL_TIMEOUT:1;KERNELS:portable;" ALL_SIZES, strict, &card)) {
        in_jobs(card, strict);
        card_unload(card);
    }
    snprintf(commands, sizeof(commands),
        "PROFILE:qat-4xxx;FAULTS:late=20%%:100us,reorder=10%%:100us,spurious=10%%:50us;CHECK:1;TRACE:/dev/"
        "null;RECORD:%s;%s",
        records_directory, ALL_SIZES);
    if (load(commands, strict, &card)) {
        in_jobs(card, strict);
        abandon(card, strict);
        card_unload(card);
    }
}
