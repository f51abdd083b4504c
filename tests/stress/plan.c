/* SPDX-License-Identifier: Apache-2.0 */
/* The axes, and how a round's values on them are drawn. */
#include "plan.h"

#include <string.h>

#include "random.h"

static const char *const told_words[] = {"level", "edge", "poll", "busy", "queue", "external", "spot", NULL};
static const char *const cores_words[] = {"all", "one", NULL};
static const char *const route_words[] = {"explicit", "default", NULL};
static const char *const polling_words[] = {"event", "timed", NULL};
static const char *const faults_words[] = {
    "none", "full", "late", "fail", "reset", "fail_fallback", "reset_fallback", NULL};
static const char *const profile_words[] = {"none", "qat-c62x", "qat-4xxx", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};

#define VALUES(...) .count = sizeof((unsigned[]){__VA_ARGS__}) / sizeof(unsigned), .values = {__VA_ARGS__}

const struct axis axes[AXES] = {
    [AXIS_TOLD] = {"told",
        "level, edge: epoll on eventfds; poll: poll(2); busy: resumes until done; queue: callbacks that post "
        "to a queue; external: the same in POLL; spot: callbacks in POLL that resume at once",
        told_words, TOLD_LEVEL, TOLD_SPOT, VALUES(0, 1, 2, 3, 4, 5, 6)},
    [AXIS_THREADS] = {"threads", "of the application", NULL, 2, 64, VALUES(1, 1, 2, 3, 4, 8, 16, 64)},
    [AXIS_JOBS] = {"jobs", "in flight at once, all threads together", NULL, 64, 4096,
        VALUES(1, 2, 8, 32, 64, 64, 256, 256, 1024, 4096)},
    [AXIS_OPERATIONS] = {"operations", "in the round", NULL, 1500, 1000000, VALUES(500, 1500, 3000)},
    [AXIS_WORKERS] = {"workers", "of the card", NULL, 2, 64, VALUES(1, 2, 2, 3, 4, 8, 16)},
    [AXIS_INSTANCES] = {"instances", "of the card", NULL, 1, 64, VALUES(1, 1, 2, 3, 8)},
    [AXIS_DEPTH] = {"depth", "of a ring, a power of two", NULL, 512, 32768,
        VALUES(1, 2, 4, 16, 64, 512, 512, 4096)},
    [AXIS_CORES] = {"cores", "the process may run on", cores_words, 0, 1, VALUES(0, 0, 1)},
    [AXIS_THRESHOLD] = {"threshold", "bytes from which AES goes to the card", NULL, 0, 65536,
        VALUES(0, 0, 0, 256, 2048)},
    [AXIS_ROUTE] = {"route", "to the card: named for each operation, or the default for all", route_words, 0,
        1, VALUES(0, 0, 1)},
    [AXIS_TIMED] = {"polling", "of the card's own threads", polling_words, 0, 1, VALUES(0, 0, 1)},
    [AXIS_SYNC] = {"sync", "AES outside jobs goes to the card too", no_yes, 0, 1, VALUES(0, 1)},
    [AXIS_EARLY] = {"early", "percent: resumes that nobody asked for", NULL, 0, 100, VALUES(0, 0, 5, 30, 90)},
    [AXIS_ABANDON] = {"abandon",
        "percent: jobs never resumed, whose wait context, key, state and buffers are taken away", NULL, 0,
        100, VALUES(0, 0, 1, 10, 40)},
    [AXIS_REUSE] = {"reuse", "percent: of these, wait contexts that serve for the next job at once", NULL, 0,
        100, VALUES(0, 30, 100)},
    [AXIS_BLOCK] = {"block", "percent: operations under ASYNC_block_pause", NULL, 0, 100,
        VALUES(0, 0, 5, 25)},
    [AXIS_NESTED] = {"nested", "percent: callbacks that use AES and RSA themselves", NULL, 0, 100,
        VALUES(0, 0, 20)},
    [AXIS_OUTSIDE] = {"outside", "percent: operations outside a job", NULL, 0, 100, VALUES(0, 0, 10)},
    [AXIS_RSA] = {"rsa", "percent: operations that are RSA", NULL, 15, 100, VALUES(0, 5, 15, 15, 40)},
    [AXIS_SIZE] = {"size", "bytes of text at the most", NULL, 16384, 65536, VALUES(64, 4096, 16384, 65536)},
    [AXIS_HOLD] = {"hold", "requests are held and let go at random", no_yes, 0, 1, VALUES(0, 0, 0, 1)},
    [AXIS_DRAIN] = {"drain", "what was abandoned is waited for before the card is unloaded", no_yes, 1, 1,
        VALUES(0, 1)},
    [AXIS_FAULTS] = {"faults",
        "of the card itself: rings full; completions late, out of order, in bursts, and wake-ups for "
        "nothing; operations that fail; "
        "a card that is reset. fallback: the calling core computes then",
        faults_words, FAULTS_NONE, FAULTS_RESET_FALLBACK, VALUES(0, 0, 0, 0, 1, 2, 3, 4, 5, 6)},
    [AXIS_PROFILE] = {"profile", "the card that is modelled: completions come when they would from it",
        profile_words, 0, 2, VALUES(0, 0, 0, 1, 2)},
};

/* What does not go together, or would take all day. */
static void temper(struct plan *plan)
{
    unsigned *value = plan->value;

    if (value[AXIS_JOBS] < value[AXIS_THREADS])
        value[AXIS_THREADS] = value[AXIS_JOBS];
    /* Each job that is resumed in vain for long sleeps a moment: with many, that adds up. */
    if (value[AXIS_TOLD] == TOLD_BUSY && value[AXIS_JOBS] > 64)
        value[AXIS_JOBS] = 64;
    /* A key of 4096 bits that is blocked or outside a job holds up its whole thread. */
    if (value[AXIS_RSA] > 15 && value[AXIS_OPERATIONS] > 1500)
        value[AXIS_OPERATIONS] = 1500;
    if (value[AXIS_HOLD] && value[AXIS_OPERATIONS] > 1500)
        value[AXIS_OPERATIONS] = 1500;
}

struct plan plan_draw(const struct choice *choice, unsigned round)
{
    struct plan plan = {.seed = choice->seed, .round = round};

    for (unsigned a = 0; a < AXES; a++) {
        struct random random = random_from(choice->seed, 1000 + a, round);
        bool drawn = choice->only == AXES || choice->only == (int)a;

        plan.value[a] = drawn ? axes[a].values[random_below(&random, axes[a].count)] : axes[a].calm;
    }
    temper(&plan);
    for (unsigned a = 0; a < AXES; a++) {
        if (choice->is_given[a])
            plan.value[a] = choice->given[a];
    }
    return plan;
}

struct plan plan_calm(uint64_t seed)
{
    struct plan plan = {.seed = seed};

    for (unsigned a = 0; a < AXES; a++)
        plan.value[a] = axes[a].calm;
    plan.value[AXIS_RSA] = 50;
    plan.value[AXIS_OPERATIONS] = 200;
    return plan;
}

static void print_value(unsigned a, unsigned value, char *line, size_t size)
{
    size_t used = strlen(line);

    if (axes[a].words != NULL)
        snprintf(line + used, size - used, " --%s=%s", axes[a].name, axes[a].words[value]);
    else
        snprintf(line + used, size - used, " --%s=%u", axes[a].name, value);
}

void plan_print(const struct choice *choice, unsigned round, char *line, size_t size)
{
    snprintf(line, size, "--seed=%llu --first=%u --rounds=1 --axis=%s", (unsigned long long)choice->seed,
        round, choice->only == AXES ? "all" : axes[choice->only].name);
    for (unsigned a = 0; a < AXES; a++) {
        if (choice->is_given[a])
            print_value(a, choice->given[a], line, size);
    }
}

void plan_describe(const struct plan *plan, char *line, size_t size)
{
    line[0] = '\0';
    for (unsigned a = 0; a < AXES; a++)
        print_value(a, plan->value[a], line, size);
}
