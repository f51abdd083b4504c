/* SPDX-License-Identifier: Apache-2.0 */
/* A round, from the questions to the counts. */
#include "round.h"

#include <sched.h>

#include "application.h"
#include "check.h"
#include "counts.h"
#include "hold.h"
#include "support/card.h"
#include "totals.h"
#include "watch.h"

#define AES_QUESTIONS 96
#define RSA_QUESTIONS 32
#define KEYS_MAX 32

/* --------------------------------------------------------------------------------------------- questions */

static void make_questions(const struct plan *plan, struct question *aes, struct question *rsa)
{
    struct random random = random_from(plan->seed, 4000, plan->round);

    for (unsigned i = 0; i < AES_QUESTIONS; i++)
        question_make_aes(&aes[i], &random, plan->value[AXIS_SIZE]);
    for (unsigned i = 0; i < RSA_QUESTIONS; i++)
        question_make_rsa(&rsa[i], &random);
}

/* libcrypto fetches an algorithm when it is first used, and keeps it: use all, so that the rounds need
 * no more. */
static void warm_up(const struct plan *plan)
{
    struct random random = random_from(plan->seed, 6000, 0);

    for (int i = 0; i < 2000; i++) {
        struct question question;

        question_make_aes(&question, &random, 64);
        question_clear(&question);
    }
}

static void clear_questions(struct question *aes, struct question *rsa)
{
    for (unsigned i = 0; i < AES_QUESTIONS; i++)
        question_clear(&aes[i]);
    for (unsigned i = 0; i < RSA_QUESTIONS; i++)
        question_clear(&rsa[i]);
}

/* ------------------------------------------------------------------------------------------------ engine */

static void put_threshold(char *line, size_t size, unsigned bytes)
{
    static const char *const modes[] = {"CBC", "CTR", "GCM", "XTS", "ECB", "CFB", "OFB", "CCM"};
    static const char *const bits[] = {"128", "192", "256"};
    const char *comma = ";SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:";

    for (unsigned m = 0; m < 8; m++) {
        for (unsigned b = 0; b < 3; b++) {
            size_t used = strlen(line);

            if (strcmp(modes[m], "XTS") == 0 && b == 1)
                continue;
            snprintf(line + used, size - used, "%sAES-%s-%s:%u", comma, bits[b], modes[m], bytes);
            comma = ",";
        }
    }
}

static void put_faults(char *line, size_t size, const struct plan *plan)
{
    static const char *const lists[] = {
        [FAULTS_FULL] = "ring_full=10%:100us",
        [FAULTS_LATE] = "late=5%:1ms,reorder=5%:1ms,spurious=5%:200us,burst=4:1ms",
        [FAULTS_FAIL] = "fail=3%",
        [FAULTS_RESET] = "reset=1%:1ms",
        [FAULTS_FAIL_FALLBACK] = "fail=3%",
        [FAULTS_RESET_FALLBACK] = "reset=1%:1ms",
    };
    unsigned faults = plan->value[AXIS_FAULTS];
    size_t used = strlen(line);

    if (faults != FAULTS_NONE)
        snprintf(line + used, size - used, ";FAULTS:%s;SEED:%u%s", lists[faults], plan->round,
            faults >= FAULTS_FAIL_FALLBACK ? ";ENABLE_SW_FALLBACK" : "");
}

/* First: a profile has rings of its own, and the axes change them. */
static const char *profile_command(const struct plan *plan)
{
    static const char *const commands[] = {"", "PROFILE:qat-c62x;", "PROFILE:qat-4xxx;"};

    return commands[plan->value[AXIS_PROFILE]];
}

static struct card *load(const struct plan *plan)
{
    const unsigned *value = plan->value;
    char commands[2048];
    struct card *card;

    snprintf(commands, sizeof(commands), "%sWORKERS:%u;INSTANCES:%u;RING_DEPTH:%u;SYNC_OFFLOAD:%u%s%s",
        profile_command(plan), value[AXIS_WORKERS], value[AXIS_INSTANCES], value[AXIS_DEPTH],
        value[AXIS_SYNC], plan_polls(plan) ? ";ENABLE_EXTERNAL_POLLING" : "",
        value[AXIS_TIMED] ? ";DISABLE_EVENT_DRIVEN_POLLING_MODE;SET_INTERNAL_POLL_INTERVAL:200000" : "");
    put_threshold(commands, sizeof(commands), value[AXIS_THRESHOLD]);
    put_faults(commands, sizeof(commands), plan);
    card = card_load(commands);
    if (value[AXIS_ROUTE])
        card_set_default(card);
    count(&totals.loads, 1);
    return card;
}

/* ------------------------------------------------------------------------------------- the card's counts */

struct card_counts {
    long requests, completed, orphans, retries, early, messages, callbacks;
};

static struct card_counts count_card(struct card *card)
{
    static const char *const names[] = {"rsa_priv", "rsa_pub", "aes_cbc", "aes_ctr", "aes_gcm", "aes_xts",
        "aes_ecb", "aes_cfb", "aes_ofb", "aes_ccm"};
    struct card_counts counts = {
        .completed = card_count(card, "completed"),
        .orphans = card_count(card, "orphans"),
        .retries = card_count(card, "retries"),
        .early = card_count(card, "early_resumes"),
        .messages = card_count(card, "messages"),
        .callbacks = card_count(card, "callbacks"),
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        counts.requests += card_count(card, names[i]);
    return counts;
}

static void expect(bool holds, const char *what, long got, long wanted)
{
    if (holds)
        return;
    count(&totals.miscounts, 1);
    watch_report("%s: %ld and %ld", what, got, wanted);
}

/* Faults that the card was told to have, and had. */
static long count_faults(struct card *card, const struct plan *plan)
{
    static const char *const names[] = {"late", "ring_full", "reorder", "burst", "spurious", "fail", "reset"};
    long total = 0;

    if (plan->value[AXIS_FAULTS] == FAULTS_NONE)
        return 0;
    /* A modelled card has a count of that name, too. */
    for (unsigned i = plan->value[AXIS_PROFILE] != 0; i < sizeof(names) / sizeof(names[0]); i++)
        total += card_has_count(card, names[i]) ? card_count(card, names[i]) : 0;
    return total;
}

/* What must be true of a card whose work is all done. callbacks and abandons are of this round. */
static void check_card(const struct plan *plan, const struct card_counts *now, long callbacks, long abandons)
{
    const unsigned *value = plan->value;
    /* Requests of jobs alone, and none whose job was resumed so often that it looks as if it could not pause:
     * where nobody else polls, such a job takes its request itself, without a callback. */
    bool alone = value[AXIS_BLOCK] == 0 && value[AXIS_OUTSIDE] == 0 && value[AXIS_NESTED] == 0 &&
                 (value[AXIS_EARLY] == 0 || !plan_polls(plan));

    expect(now->requests == now->completed, "requests accepted and completed", now->requests, now->completed);
    expect(now->orphans <= abandons, "orphans and abandoned jobs", now->orphans, abandons);
    expect(now->callbacks == callbacks, "callbacks, as the card and as the application counts them",
        now->callbacks, callbacks);
    if (plan_by_callback(plan) && alone)
        expect(callbacks == now->requests, "callbacks and requests", callbacks, now->requests);
    if (value[AXIS_EARLY] == 0 && value[AXIS_TOLD] != TOLD_BUSY && value[AXIS_BLOCK] == 0 &&
        value[AXIS_FAULTS] != FAULTS_LATE)
        expect(now->early == 0, "jobs were told too early", now->early, 0);
}

/* ----------------------------------------------------------------------------------------------- threads */

static void run_applications(const struct round *round, struct application *applications)
{
    const unsigned *value = round->plan->value;
    unsigned threads = value[AXIS_THREADS];
    struct hold hold;

    if (value[AXIS_HOLD])
        hold_begin(&hold, round->card, round->plan->seed + round->plan->round);
    for (unsigned i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&applications[i].to_join, NULL, application_run, &applications[i]), 0);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(applications[i].to_join, NULL);
    if (value[AXIS_HOLD])
        hold_end(&hold);
}

static struct application *make_applications(const struct round *round)
{
    const unsigned *value = round->plan->value;
    unsigned threads = value[AXIS_THREADS];
    struct application *applications = calloc(threads, sizeof(*applications));

    CHECK(applications != NULL);
    for (unsigned i = 0; i < threads; i++)
        application_init(&applications[i], round, i, (value[AXIS_JOBS] + threads - 1 - i) / threads,
            value[AXIS_OPERATIONS] / threads + 1);
    return applications;
}

/* Until nothing is in flight; with external polling, its callbacks must be fetched. */
static void drain(const struct round *round, const struct card_counts *before)
{
    while (card_number(round->card, "GET_NUM_REQUESTS_IN_FLIGHT") != 0) {
        if (plan_polls(round->plan))
            card_command(round->card, "POLL", NULL);
        usleep(100);
    }
    if (plan_polls(round->plan))
        card_command(round->card, "POLL", NULL);
    /* The last callbacks may still run, on the card's threads. */
    while (round->plan->value[AXIS_TOLD] == TOLD_QUEUE &&
           card_count(round->card, "callbacks") - before->callbacks <
               card_count(round->card, "messages") - before->messages)
        usleep(100);
}

static int polling_fd(struct card *card, int instance)
{
    char command[64];

    snprintf(command, sizeof(command), "GET_EXTERNAL_POLLING_FD:%d", instance);
    return card_number(card, command);
}

static void prepare_polling(struct round *round)
{
    int instances = card_number(round->card, "GET_NUM_CRYPTO_INSTANCES");

    if (!plan_polls(round->plan) || round->plan->value[AXIS_TIMED])
        return;
    for (int i = 0; i < instances; i++)
        round->response_fds[i] = polling_fd(round->card, i);
    round->response_fd_count = (unsigned)instances;
}

static struct card_counts subtract(struct card_counts now, struct card_counts before)
{
    return (struct card_counts){now.requests - before.requests, now.completed - before.completed,
        now.orphans - before.orphans, now.retries - before.retries, now.early - before.early,
        now.messages - before.messages, now.callbacks - before.callbacks};
}

/* With the card loaded. */
static struct application *work(struct round *round)
{
    struct application *applications;
    struct card_counts before = count_card(round->card), now;
    long callbacks = atomic_load(&totals.callbacks), abandons = atomic_load(&totals.abandons), injected;
    RSA *keys[KEYS_MAX] = {NULL};
    EVP_PKEY *pkeys[KEYS_MAX] = {NULL};

    CHECK(keys_count() <= KEYS_MAX);
    for (unsigned i = 0; i < keys_count(); i++) {
        if (card_is_provider())
            pkeys[i] = keys_of_card(i, round->by_name);
        else
            keys[i] = keys_copy(i, round->route);
    }
    round->keys = keys;
    round->pkeys = pkeys;
    prepare_polling(round);
    applications = make_applications(round);
    run_applications(round, applications);
    if (round->plan->value[AXIS_DRAIN])
        drain(round, &before);
    now = subtract(count_card(round->card), before);
    count(&totals.requests, now.requests);
    count(&totals.orphans, now.orphans);
    count(&totals.retries, now.retries);
    injected = count_faults(round->card, round->plan);
    count(&totals.injected, injected);
    if (now.requests > 1000 && (round->plan->value[AXIS_FAULTS] == FAULTS_FAIL ||
                                   round->plan->value[AXIS_FAULTS] == FAULTS_FAIL_FALLBACK))
        expect(injected > 0, "faults and requests", injected, now.requests);
    if (round->plan->value[AXIS_DRAIN])
        check_card(round->plan, &now, atomic_load(&totals.callbacks) - callbacks,
            atomic_load(&totals.abandons) - abandons);
    for (unsigned i = 0; i < keys_count(); i++) {
        RSA_free(keys[i]);
        EVP_PKEY_free(pkeys[i]);
    }
    return applications;
}

/* ------------------------------------------------------------------------------------------------ counts */

/* glibc keeps the stacks of threads that ended, up to 40 MiB of them, and a block of malloc's with each. So
 * one round may end with a few more than it began with, but they do not add up. */
#define STACKS_KEPT 8

static long drift; /* over all rounds, in malloc's blocks */

static void compare(const struct plan *plan, const struct counts *before, const struct counts *after)
{
    /* Nothing tells the engine that a job with a callback was abandoned: its request, with the key or cipher
     * state it uses, and the card's memory are kept for it. */
    bool kept = plan_by_callback(plan) && plan->value[AXIS_ABANDON] > 0;
    bool descriptors = after->descriptors != before->descriptors, threads = after->threads != before->threads;
    bool memory = false;

    if (!kept) {
        drift += (after->all_blocks - after->blocks) - (before->all_blocks - before->blocks);
        memory = after->blocks > before->blocks || after->all_blocks > before->all_blocks + STACKS_KEPT ||
                 drift > 2 * STACKS_KEPT;
    }
    if (!descriptors && !threads && !memory)
        return;
    count(&totals.leaked_descriptors, descriptors);
    count(&totals.leaked_threads, threads);
    count(&totals.leaked_memory, memory);
    watch_report("before and after: descriptors %ld %ld, threads %ld %ld, libcrypto's blocks %ld %ld, all "
                 "blocks %ld %ld",
        before->descriptors, after->descriptors, before->threads, after->threads, before->blocks,
        after->blocks, before->all_blocks, after->all_blocks);
}

static void choose_cores(const struct plan *plan, const cpu_set_t *all)
{
    cpu_set_t one;
    int cpu = 0;

    while (!CPU_ISSET(cpu, all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof(one), plan->value[AXIS_CORES] ? &one : all), 0);
}

/* A thread of its own: what libcrypto keeps for a thread goes with it. */
static void *run(void *arg)
{
    const struct plan *plan = arg;
    struct question aes[AES_QUESTIONS], rsa[RSA_QUESTIONS];
    struct round round = {
        .plan = plan, .aes = aes, .rsa = rsa, .aes_count = AES_QUESTIONS, .rsa_count = RSA_QUESTIONS};
    struct application *applications;
    cpu_set_t all;

    thread_begin();
    CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    make_questions(plan, aes, rsa);
    choose_cores(plan, &all);
    round.card = load(plan);
    round.by_name = plan->value[AXIS_ROUTE] ? NULL : round.card;
    round.route = card_engine(round.by_name);
    applications = work(&round);
    card_unload(round.card);
    for (unsigned i = 0; i < plan->value[AXIS_THREADS]; i++)
        application_destroy(&applications[i]);
    free(applications);
    clear_questions(aes, rsa);
    memory_check();
    pages_forget_spoiled();
    return NULL;
}

static void run_alone(struct plan *plan, long threads)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, run, plan), 0);
    pthread_join(thread, NULL);
    /* Joined, but the kernel may still take a thread apart; one that stays hangs here. */
    while (counts_take().threads > threads)
        usleep(1000);
}

void round_run(const struct plan *plan)
{
    static bool warm;
    struct plan copy = plan_calm(plan->seed);
    struct counts before = counts_take(), after;

    if (!warm) {
        warm_up(&copy);
        run_alone(&copy, before.threads);
        copy.value[AXIS_ROUTE] = 1; /* libcrypto's tables of defaults */
        run_alone(&copy, before.threads);
        before = counts_take();
        warm = true;
    }
    copy = *plan;
    run_alone(&copy, before.threads);
    after = counts_take();
    compare(plan, &before, &after);
    count(&totals.rounds, 1);
}
