/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios. */
#include "scenario.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "check.h"
#include "child.h"
#include "counts.h"
#include "memory.h"
#include "question.h"
#include "random.h"
#include "scenario_tls.h"
#include "support/card.h"

#define ALARM_SECONDS 60 /* a process that does not get on is a failure */
#define TASKS_MAX 48
#define RELOADS 1000

const char *const scenario_names[] = {"fork", "end", "copies", "reload", "tls", "contexts", NULL};

/* ------------------------------------------------------------------------------------------------- tasks */

/* A job with its question, and memory to answer it in. */
struct task {
    struct question question;
    struct attempt attempt;
    struct pages pages;
    struct job job;
};

struct tasks {
    struct random *random;
    struct task list[TASKS_MAX];
    unsigned count;
};

/* 1 right, 0 refused, -1 wrong. */
static int answer(void *arg)
{
    struct task *task = *(struct task **)arg;

    if (task->question.is_rsa)
        attempt_rsa(&task->attempt);
    else
        attempt_aes(&task->attempt);
    if (answer_is_right(&task->attempt))
        return 1;
    return task->attempt.refused ? 0 : -1;
}

/* Before an engine is loaded. */
static void make_questions(struct tasks *tasks, struct random *random)
{
    tasks->random = random;
    tasks->count = 1 + (unsigned)random_below(random, TASKS_MAX);
    for (unsigned i = 0; i < tasks->count; i++) {
        if (random_percent(random, 30))
            question_make_rsa(&tasks->list[i].question, random);
        else
            question_make_aes(&tasks->list[i].question, random, 16384);
    }
}

static void prepare(struct tasks *tasks, unsigned i, struct card *card, enum told_by told_by)
{
    struct task *task = &tasks->list[i];
    const struct question *question = &task->question;

    task->pages = pages_new(question->in_len, question_room(question));
    memcpy(task->pages.in, question->in, question->in_len);
    task->attempt = (struct attempt){
        .question = question, .engine = card_engine(card), .in = task->pages.in, .out = task->pages.out};
    task->attempt.random = *tasks->random;
    if (card_is_provider()) {
        EVP_PKEY *key = question->is_rsa ? keys_of_card(question->rsa.key, card) : NULL;

        CHECK(attempt_take(&task->attempt, card, key));
        EVP_PKEY_free(key);
    } else if (question->is_rsa) {
        task->attempt.rsa = keys_copy(question->rsa.key, card_engine(card));
    }
    if (!question->is_rsa)
        task->attempt.aes.ctx = EVP_CIPHER_CTX_new();
    job_init(&task->job, told_by, answer, task);
}

static void finish(struct task *task)
{
    CHECK_EQ(job_finish(&task->job), 1);
}

static void clear(struct task *task)
{
    job_free(&task->job);
    EVP_CIPHER_CTX_free(task->attempt.aes.ctx);
    RSA_free(task->attempt.rsa);
    attempt_give_back(&task->attempt);
    pages_free(&task->pages);
}

static void start_all(struct tasks *tasks, struct card *card)
{
    for (unsigned i = 0; i < tasks->count; i++) {
        prepare(tasks, i, card, random_percent(tasks->random, 50) ? BY_FD : BY_CALLBACK);
        job_run(&tasks->list[i].job);
    }
}

static void finish_all(struct tasks *tasks)
{
    for (unsigned i = 0; i < tasks->count; i++) {
        finish(&tasks->list[i]);
        clear(&tasks->list[i]);
    }
}

static struct card *load_any(struct random *random)
{
    static const unsigned depths[] = {1, 2, 16, 512};
    char commands[1024];

    snprintf(commands, sizeof(commands), "WORKERS:%u;INSTANCES:%u;RING_DEPTH:%u;%s",
        1 + (unsigned)random_below(random, 4), 1 + (unsigned)random_below(random, 3),
        depths[random_below(random, 4)], ALL_SIZES);
    return card_load(commands);
}

static const char *any_place(struct random *random)
{
    static const char *const places[] = {"compute", "signal", "none"};

    return places[random_below(random, 3)];
}

static void let_some_go(struct random *random, struct card *card)
{
    char number[16];

    snprintf(number, sizeof(number), "%u", 1 + (unsigned)random_below(random, TASKS_MAX));
    if (random_percent(random, 50))
        card_command(card, "RELEASE", number);
}

/* -------------------------------------------------------------------------------------------------- fork */

/* What was in flight in the parent, or waited for room there, is not in the child: such a job ends, with
 * an error. */
static void end_inherited(struct tasks *tasks)
{
    for (unsigned i = 0; i < tasks->count; i++) {
        struct task *task = &tasks->list[i];

        if (task->job.status == ASYNC_PAUSE) {
            CHECK_EQ(job_run(&task->job), ASYNC_FINISH);
            CHECK(task->attempt.refused);
        }
        ERR_clear_error();
        clear(task);
    }
}

static void fork_in_flight(struct tasks *tasks, struct card *card, unsigned depth);

static int child(struct tasks *tasks, struct card *card, unsigned depth)
{
    test_begin(ALARM_SECONDS); /* alarms are not inherited */
    end_inherited(tasks);
    CHECK_EQ(card_count(card, "completed"), 0);
    fork_in_flight(tasks, card, depth);
    return SCENARIO_DONE;
}

/* Fork with work in flight, then finish the work; the child does the same, while depth lasts. */
static void fork_in_flight(struct tasks *tasks, struct card *card, unsigned depth)
{
    pid_t pid;

    card_command(card, "HOLD", any_place(tasks->random));
    start_all(tasks, card);
    let_some_go(tasks->random, card);
    for (unsigned times = 0; depth > 0 && times < depth; times++) {
        pid = fork();
        if (pid == 0)
            exit(child(tasks, card, depth - 1));
        child_exits_with(pid, SCENARIO_DONE);
    }
    card_command(card, "HOLD", "none");
    finish_all(tasks);
}

static int run_fork(struct tasks *tasks, struct random *random)
{
    struct card *card = load_any(random);

    fork_in_flight(tasks, card, 2);
    card_unload(card);
    return SCENARIO_DONE;
}

/* --------------------------------------------------------------------------------------------------- end */

/* Nothing of the card is left, though the jobs are paused still. */
static void expect_nothing_left(struct counts before)
{
    while (counts_take().threads != before.threads)
        usleep(1000); /* the kernel takes threads apart; one that stays ends by the alarm */
    CHECK(counts_take().descriptors <= before.descriptors + TASKS_MAX); /* of the wait contexts */
}

static void drop_all(struct tasks *tasks)
{
    for (unsigned i = 0; i < tasks->count; i++)
        clear(&tasks->list[i]);
}

static int run_end(struct tasks *tasks, struct random *random)
{
    struct counts before = counts_take();
    void *handle = dlopen(getenv("ERSATZ_MODULE"), RTLD_NOW | RTLD_LOCAL);
    struct card *card = load_any(random);

    CHECK(handle != NULL);
    card_command(card, "HOLD", any_place(random));
    start_all(tasks, card);
    let_some_go(random, card);
    switch (random_below(random, 6)) {
    case 0:
        exit(SCENARIO_DONE);
    case 1:
        OPENSSL_cleanup();
        exit(SCENARIO_DONE);
    case 2:
        card_finish(card);
        break;
    case 3:
        CHECK_EQ(dlclose(handle), 0);
        drop_all(tasks);
        card_unload(card);
        expect_nothing_left(before);
        break;
    case 4:
        drop_all(tasks);
        card_unload(card);
        CHECK_EQ(dlclose(handle), 0);
        expect_nothing_left(before);
        break;
    default:
        drop_all(tasks);
    }
    return SCENARIO_DONE;
}

/* ------------------------------------------------------------------------------------------------ copies */

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    struct stat stat;

    CHECK(in >= 0 && out >= 0 && fstat(in, &stat) == 0);
    while (stat.st_size > 0) {
        ssize_t sent = sendfile(out, in, NULL, (size_t)stat.st_size);

        CHECK(sent > 0);
        stat.st_size -= sent;
    }
    close(in);
    close(out);
}

/* The same module under another name: another card. */
static struct card *load_copy(struct random *random)
{
    char *original = strdup(getenv("ERSATZ_MODULE")), folder[64], path[128];
    struct card *card;

    /* A provider's name is the file's. With a slash it is not looked for among the system's libraries. */
    snprintf(folder, sizeof(folder), "./stress-copy-%d", (int)getpid());
    snprintf(path, sizeof(path), "%s/ersatz.so", folder);
    CHECK_EQ(mkdir(folder, 0700), 0);
    copy_file(original, path);
    setenv("ERSATZ_MODULE", path, 1);
    card = load_any(random);
    setenv("ERSATZ_MODULE", original, 1);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
    free(original);
    return card;
}

static int run_copies(struct tasks *tasks, struct random *random)
{
    static struct tasks others;
    struct card *first, *second;

    make_questions(&others, random);
    first = load_any(random);
    second = load_copy(random);
    card_command(first, "HOLD", any_place(random));
    card_command(second, "HOLD", any_place(random));
    start_all(tasks, first);
    start_all(&others, second);
    CHECK(card_count(first, "completed") <= (long)tasks->count);
    card_command(first, "HOLD", "none");
    finish_all(tasks); /* whatever the other card does */
    card_unload(first);
    card_command(second, "HOLD", "none");
    finish_all(&others);
    card_unload(second);
    return SCENARIO_DONE;
}

/* ------------------------------------------------------------------------------------------------ reload */

static int run_reload(struct tasks *tasks, struct random *random)
{
    struct counts before = {0}, after;
    const long threads = counts_take().threads;

    for (unsigned i = 0; i < RELOADS; i++) {
        struct card *card = load_any(random);
        struct task *task = &tasks->list[0];

        test_begin(ALARM_SECONDS); /* for each, not for all */
        prepare(tasks, 0, card, i % 2 == 0 ? BY_FD : BY_CALLBACK);
        job_run(&task->job);
        finish(task);
        clear(task);
        ERR_clear_error(); /* of one that was to be refused: the same memory serves for the next */
        card_unload(card);
        if (i == 10)
            before = counts_take();
    }
    while ((after = counts_take()).threads != threads)
        usleep(1000); /* joined, but the kernel still takes them apart */
    CHECK_EQ(after.descriptors, before.descriptors);
    CHECK_EQ(after.blocks, before.blocks);
    CHECK(after.all_blocks <= before.all_blocks + 10);
    return SCENARIO_DONE;
}

/* --------------------------------------------------------------------------------------------------- tls */

/* The engine is not seen to stop: what an abandoned handshake had on its stack refers to it for ever, and so
 * does libcrypto's generator, whose cipher it was. */
static int run_tls(struct tasks *tasks, struct random *random)
{
    struct card *card = load_any(random);

    (void)tasks;
    card_set_default(card);
    tls_talk(random);
    CHECK(card_count(card, "rsa_priv") > 0);
    card_wait_in_flight(card, 0);
    memory_check();
    card_unload(card);
    return SCENARIO_DONE;
}

/* ---------------------------------------------------------------------------------------------- contexts */

/* A thread that lives in a library context of its own. */
struct tenant {
    OSSL_LIB_CTX *context;
    struct card *card;
    struct random random;
    struct tasks tasks;
    pthread_t thread;
};

#define TENANTS 3

/* A key of the context, which gets the default engine's method; and the context's random numbers. */
static int sign_with_own_key(void *arg)
{
    OSSL_LIB_CTX *context = *(OSSL_LIB_CTX **)arg;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(context, NULL, "RSA", (size_t)1024);
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    unsigned char text[100], signature[128];
    size_t len = sizeof(signature);

    CHECK(key != NULL && RAND_bytes_ex(context, text, sizeof(text), 0) == 1);
    CHECK(EVP_DigestSignInit_ex(sign, NULL, "SHA256", context, NULL, key, NULL) == 1 &&
          EVP_DigestSign(sign, signature, &len, text, sizeof(text)) == 1);
    CHECK(EVP_DigestVerifyInit_ex(verify, NULL, "SHA256", context, NULL, key, NULL) == 1 &&
          EVP_DigestVerify(verify, signature, len, text, sizeof(text)) == 1);
    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(key);
    return 1;
}

static void *live(void *arg)
{
    struct tenant *tenant = arg;
    OSSL_LIB_CTX *before = OSSL_LIB_CTX_set0_default(tenant->context);
    struct job job;

    thread_begin();
    start_all(&tenant->tasks, tenant->card);
    job_init(&job, BY_FD, sign_with_own_key, tenant->context);
    job_run(&job);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    finish_all(&tenant->tasks);
    OSSL_LIB_CTX_set0_default(before);
    ASYNC_cleanup_thread();
    OPENSSL_thread_stop_ex(tenant->context);
    return NULL;
}

/* The configuration of a context that names the engine too, with settings of its own. libcrypto has one list
 * of engines for all contexts: it may refuse; then it says so, and the card that runs is none the worse. */
static void configure(OSSL_LIB_CTX *context, unsigned workers)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "stress-context-%d.cnf", (int)getpid());
    file = fopen(path, "we");
    CHECK(file != NULL);
    fprintf(file,
        "openssl_conf = init\n[init]\nengines = engines\n[engines]\nersatz = card\n[card]\nengine_id = "
        "ersatz\n"
        "dynamic_path = %s\nWORKERS = %u\ndefault_algorithms = ALL\ninit = 1\n",
        getenv("ERSATZ_MODULE"), workers);
    CHECK_EQ(fclose(file), 0);
    ERR_clear_error();
    if (!OSSL_LIB_CTX_load_config(context, path))
        CHECK(ERR_peek_error() != 0);
    ERR_clear_error();
    CHECK_EQ(unlink(path), 0);
}

/* Several library contexts on one card: each with its own configuration, keys, generator and end. */
static int run_contexts(struct tasks *tasks, struct random *random)
{
    static struct tenant tenants[TENANTS];
    struct card *card;

    for (unsigned i = 0; i < TENANTS; i++) {
        tenants[i].random = random_from(random_next(random), 1, i);
        make_questions(&tenants[i].tasks, &tenants[i].random);
    }
    card = load_any(random);
    card_set_default(card);
    for (unsigned i = 0; i < TENANTS; i++) {
        tenants[i].card = card;
        tenants[i].context = OSSL_LIB_CTX_new();
        CHECK(tenants[i].context != NULL);
        configure(tenants[i].context, i + 1);
        CHECK_EQ(pthread_create(&tenants[i].thread, NULL, live, &tenants[i]), 0);
    }
    start_all(tasks, card);
    for (unsigned i = 0; i < TENANTS; i++) {
        pthread_join(tenants[i].thread, NULL);
        OSSL_LIB_CTX_free(tenants[i].context); /* the others go on */
    }
    finish_all(tasks);
    CHECK(card_count(card, "rsa_priv") >= TENANTS);
    return SCENARIO_DONE;
}

int scenario_run(unsigned scenario, uint64_t seed, unsigned round)
{
    static int (*const runs[])(struct tasks *, struct random *) = {
        run_fork, run_end, run_copies, run_reload, run_tls, run_contexts};
    static struct tasks tasks;
    struct random random = random_from(seed, 7000 + scenario, round);

    test_begin(ALARM_SECONDS);
    counts_begin();
    make_questions(&tasks, &random);
    return runs[scenario](&tasks, &random);
}
