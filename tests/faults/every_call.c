/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each place in the module that calls what may fail, made to fail in turn: allocations, system calls,
 * io_uring, libcrypto. Once, ten times, for good; with every error that the call may give. A process of its
 * own for each: it uses the card in every way it knows, and each operation must give the right answer or an
 * error that says something. Nothing may hang, crash or leak, and when nothing fails any more the card works
 * as ever.
 *
 *   every_call [-e N] [PART/PARTS [FILE]]
 *
 * One of so many parts of the places; totals as JSON to the file. -e: every Nth only of the ways in which a
 * function may fail, counted through all places that call it: the first of them, so no function is left out.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "calls.h"
#include "child.h"
#include "proc.h"
#include "scratch.h"
#include "stress/question.h"
#include "support/card.h"

#define QUESTIONS 20
#define OPERATIONS (2 * (5 * QUESTIONS + 10)) /* of a trial, about: see use_the_card() */
#define TEXT_MAX 6000
#define TRIAL_SECONDS 30
#define DIGEST 32
#define SIGNATURE 512

static struct question questions[QUESTIONS];
static unsigned char digest[DIGEST], signature[SIGNATURE];
static size_t signature_len;

/* What a trial leaves behind, told to the parent. */
struct left {
    long descriptors, threads, blocks;
    bool is_told;
};
static struct left *left;

/* --------------------------------------------------------------------------------------------- operations */

/* Every mode of AES and every kind of RSA operation is among them. */
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
    while (count < QUESTIONS) {
        question_make_rsa(&questions[count], &random);
        if (questions[count].rsa.work == (enum rsa_work)(count % RSA_WORKS))
            count++;
        else
            question_clear(&questions[count]);
    }
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
    static struct task tasks[QUESTIONS];
    bool ready[QUESTIONS];

    for (unsigned i = 0; i < QUESTIONS; i++) {
        ready[i] = prepare(&tasks[i], i, card);
        CHECK(ready[i] || !strict);
        if (!ready[i])
            continue;
        job_init(&tasks[i].job, i % 2 == 0 ? BY_FD : BY_CALLBACK, attempt_in_job, &tasks[i]);
        job_run(&tasks[i].job);
    }
    for (unsigned i = 0; i < QUESTIONS; i++) {
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
    for (unsigned i = 0; i < QUESTIONS; i += 3) {
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
    for (unsigned i = 0; i < QUESTIONS; i++) {
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

/* A process that was ever taken for one in a sandbox stays that: the calling core computes. */
static bool may_be_confined;

static void set_hold(struct card *card, const char *value, bool strict)
{
    CHECK(card_try_command(card, "HOLD", value) || ((!strict || may_be_confined) && ERR_peek_error() != 0));
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

        test_begin(TRIAL_SECONDS);
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

/* The calling core can do the work whatever the card lacks. */
static bool is_of_the_card(const struct place *place)
{
    return place == NULL || strncmp(place->function, "io_uring", 8) == 0 ||
           strcmp(place->function, "eventfd") == 0 || strcmp(place->function, "pthread_create") == 0;
}

/* strict: nothing may be refused. all_done: nothing that the calling core can do. */
static void use_the_card(bool fallback, bool all_done, bool strict)
{
    char commands[sizeof(scratch_directory) + 1024];
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
        scratch_directory, ALL_SIZES);
    if (load(commands, strict, &card)) {
        in_jobs(card, strict);
        abandon(card, strict);
        card_unload(card);
    }
}

/* ------------------------------------------------------------------------------------------------- trials */

struct trial {
    const struct place *place; /* NULL: nothing fails */
    int error;
    long times;
    bool fallback;
};

/* In a process of its own. */
static void run_trial(const struct trial *trial)
{
    test_begin(TRIAL_SECONDS);
    may_be_confined =
        trial->place != NULL && strcmp(trial->place->function, "open") == 0 && trial->error == EACCES;
    calls_fail(trial->place, trial->error, trial->times);
    use_the_card(trial->fallback, trial->fallback && is_of_the_card(trial->place), trial->place == NULL);
    calls_fail(NULL, 0, 0);
    use_the_card(trial->fallback, true, true);
    left->descriptors = count_descriptors();
    left->blocks = calls_blocks();
    while (count_threads() >
           3) /* this one, and . and ..: the kernel takes the others apart, or the alarm comes */
        usleep(200);
    left->is_told = true;
}

/* A descriptor that fstat(2) does not show to be the card's is left alone: it may be somebody else's by
 * now. */
static bool may_leave_descriptors(const struct place *place)
{
    return place != NULL && strcmp(place->function, "fstat") == 0;
}

static const char *what_happened(int status, const struct place *place, const struct left *normal)
{
    static char text[200];

    if (WIFSIGNALED(status))
        snprintf(
            text, sizeof(text), "%s", WTERMSIG(status) == SIGALRM ? "it hung" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 || !left->is_told)
        snprintf(text, sizeof(text), "it ended with %d", WEXITSTATUS(status));
    else if (left->descriptors > normal->descriptors && !may_leave_descriptors(place))
        snprintf(
            text, sizeof(text), "descriptors: %ld instead of %ld", left->descriptors, normal->descriptors);
    else if (left->blocks > normal->blocks)
        snprintf(text, sizeof(text), "blocks: %ld instead of %ld", left->blocks, normal->blocks);
    else
        return NULL;
    return text;
}

/* What it says is kept apart, and shown if it fails. */
static bool run(const struct trial *trial, const struct left *normal)
{
    int said = memfd_create("said", 0), status;
    const char *wrong;
    pid_t pid;

    CHECK(said >= 0);
    *left = (struct left){0};
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(said, 2);
        close(said);
        run_trial(trial);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    scratch_clear();
    wrong = what_happened(status, trial->place, normal == NULL ? left : normal);
    if (wrong != NULL) {
        char text[4000];
        ssize_t len = pread(said, text, sizeof(text) - 1, 0);

        text[len > 0 ? len : 0] = '\0';
        if (trial->place != NULL)
            printf("%s at +%#lx, error %d, %ld times%s: ", trial->place->function, trial->place->offset,
                trial->error, trial->times, trial->fallback ? ", with fallback" : "");
        printf("%s\n%s", wrong, text);
        fflush(stdout);
    }
    close(said);
    return wrong == NULL;
}

/* How often a call fails. */
static const long times[] = {1, 10, FOR_GOOD};

static unsigned ways_to_fail(const struct errors *errors)
{
    unsigned count = 0;

    while (count < ERRORS_MAX && errors->error[count] != 0)
        count++;
    return count * (errors->for_good ? 3 : 2);
}

static unsigned earlier_places_of_function(unsigned number)
{
    unsigned count = 0;

    for (unsigned i = 0; i < number; i++)
        count += strcmp(calls_place(i)->function, calls_place(number)->function) == 0;
    return count;
}

/* This place fails in every Nth way of its function's. Returns how many of them went wrong. */
static unsigned fail_place(unsigned number, unsigned every, const struct left *normal, unsigned *tried)
{
    const struct place *place = calls_place(number);
    const struct errors *errors = calls_errors(place->function);
    unsigned ways = ways_to_fail(errors), wrong = 0;
    unsigned counted = ways * earlier_places_of_function(number);

    for (unsigned way = 0; way < ways; way++) {
        unsigned e = way / (errors->for_good ? 3 : 2), t = way % (errors->for_good ? 3 : 2);
        struct trial trial = {place, errors->error[e], times[t], (e + t) % 2 == 1};

        if ((counted + way) % every == 0) {
            wrong += !run(&trial, normal);
            (*tried)++;
        }
    }
    return wrong;
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

static void write_json(const char *path, unsigned trials, unsigned wrong)
{
    FILE *file = fopen(path, "we");
    long failures = 0;

    CHECK(file != NULL);
    for (unsigned i = 0; i < calls_places(); i++)
        failures += calls_place(i)->failures;
    /* A trial is three devices' work, twice. What it left behind is among the wrong ones. */
    fprintf(file,
        "{\"operations\": %u, \"injected\": %ld, \"orphans\": %u, \"errors\": %u, \"descriptors\": 0, "
        "\"threads\": 0, \"memory\": 0}\n",
        trials * OPERATIONS, failures, trials * 2, wrong);
    CHECK_EQ(fclose(file), 0);
}

int main(int argc, char **argv)
{
    unsigned part = 0, parts = 1, every = 1, tried = 0, before, wrong = 0, mine = 0, failed = 0;
    struct trial nothing = {NULL, 0, 0, false};
    struct left normal;

    for (int option; (option = getopt(argc, argv, "e:")) != -1;)
        CHECK(option == 'e' && sscanf(optarg, "%u", &every) == 1 && every > 0);
    if (argc > optind)
        CHECK(sscanf(argv[optind], "%u/%u", &part, &parts) == 2 && part < parts);
    calls_begin(getenv("ERSATZ_MODULE"));
    left = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(left != MAP_FAILED);
    scratch_make(); /* for what outlives a process */
    keys_load();
    make_questions();
    sign_by_libcrypto();
    CHECK(run(&nothing, NULL));
    normal = *left;
    for (unsigned i = 0; i < calls_places(); i++) { /* more are found on the way */
        const struct place *place = calls_place(i);

        if (place->offset % parts != part)
            continue;
        before = tried;
        wrong += fail_place(i, every, &normal, &tried);
        mine += tried > before;
        failed += place->failures > 0;
    }
    printf("%u places, %u of %u made to fail, %u trials, %u wrong\n", calls_places(), failed, mine, tried,
        wrong);
    if (argc > optind + 1)
        write_json(argv[optind + 1], tried, wrong);
    scratch_leave();
    CHECK(mine > 0 && failed * 10 >= mine * 8); /* the rest are reached only when others fail */
    return wrong != 0;
}
