/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans the rounds. A rung is one way in which a card misbehaves, of a strength that is drawn anew each time.
 * First each rung is tried alone, then each pair of rungs, and then pairs and triples again. Rungs that have
 * broken the program are chosen more often. All draws follow from the seed.
 */
#include <stdlib.h>

#include "hunt.h"

#define MS UINT64_C(1000000)
#define PERCENT (ERSATZ_FAULT_CERTAIN / 100)

/* The strength of a rung that is a fault. */
enum strength {
    ONE,   /* strikes one request */
    SOME,  /* strikes with a probability */
    COUNT, /* burst */
    KIND,  /* strikes each operation of one kind */
    START  /* strikes what is submitted before its time */
};

static const struct rung {
    const char *about;
    enum setting setting; /* SETTINGS: it is a fault */
    enum ersatz_fault fault;
    enum strength strength;
    uint64_t time_least, time_most; /* 0: the fault has no time, or once */
} rungs[] = {
    {"one request late", SETTINGS, ERSATZ_FAULT_LATE, ONE, 20 * MS, 3000 * MS},
    {"requests late", SETTINGS, ERSATZ_FAULT_LATE, SOME, 1 * MS, 300 * MS},
    {"one operation fails", SETTINGS, ERSATZ_FAULT_FAIL, ONE, 0, 0},
    {"full ring, once", SETTINGS, ERSATZ_FAULT_RING_FULL, SOME, 0, 0},
    {"spurious wake-ups", SETTINGS, ERSATZ_FAULT_SPURIOUS, SOME, 1 * MS, 300 * MS},
    {"out of order", SETTINGS, ERSATZ_FAULT_REORDER, SOME, 1 * MS, 20 * MS},
    {"in bursts", SETTINGS, ERSATZ_FAULT_BURST, COUNT, 1 * MS, 100 * MS},
    {"full ring, for a while", SETTINGS, ERSATZ_FAULT_RING_FULL, SOME, 1 * MS, 100 * MS},
    {"ring of depth 1", SETTING_RING_DEPTH, 0, ONE, 0, 0},
    {"a reset", SETTINGS, ERSATZ_FAULT_RESET, ONE, 1 * MS, 100 * MS},
    {"gone and back", SETTINGS, ERSATZ_FAULT_RESET, ONE, 300 * MS, 2000 * MS},
    {"one request hangs", SETTINGS, ERSATZ_FAULT_HANG, ONE, 300 * MS, 2000 * MS},
    {"operations fail", SETTINGS, ERSATZ_FAULT_FAIL, SOME, 0, 0},
    {"gone for good", SETTINGS, ERSATZ_FAULT_GONE, ONE, 0, 0},
    {"one kind slow", SETTINGS, ERSATZ_FAULT_SLOW, KIND, 1 * MS, 300 * MS},
    {"up late", SETTINGS, ERSATZ_FAULT_BOOT, START, 20 * MS, 3000 * MS},
    {"done while the program forks", SETTINGS, ERSATZ_FAULT_FORK, SOME, 10 * MS, 1000 * MS},
    {"resumed early, then done", SETTINGS, ERSATZ_FAULT_EARLY, SOME, 10 * MS, 300 * MS},
    {"done before the pause", SETTINGS, ERSATZ_FAULT_READY, SOME, 10 * MS, 100 * MS},
    {"one worker", SETTING_ONE_WORKER, 0, ONE, 0, 0},
    {"slow profile", SETTING_SLOW, 0, ONE, 0, 0},
    {"software fallback", SETTING_FALLBACK, 0, ONE, 0, 0},
};
#define RUNGS ((unsigned)(sizeof(rungs) / sizeof(rungs[0])))
_Static_assert(sizeof(rungs) / sizeof(rungs[0]) <= RUNGS_MAX, "the plan has room for all rungs");

unsigned plan_rungs(void)
{
    return RUNGS;
}

const char *plan_rung_text(unsigned rung)
{
    return rungs[rung].about;
}

static bool is_left_out(const struct plan *plan, unsigned rung)
{
    return rungs[rung].setting == SETTINGS && (plan->without & 1u << rungs[rung].fault) != 0;
}

void plan_init(struct plan *plan, uint64_t seed, uint32_t without)
{
    *plan = (struct plan){.without = without,
        .random = {(unsigned short)seed, (unsigned short)(seed >> 16), (unsigned short)(seed >> 32)}};
}

/* From 0 to below - 1. */
static uint64_t draw(struct plan *plan, uint64_t below)
{
    return (uint64_t)nrand48(plan->random) % below;
}

/* How many requests of one process the rule strikes, on average. */
static uint64_t expected_hits(const struct ersatz_fault_rule *rule, uint64_t requests)
{
    if (rule->fault == ERSATZ_FAULT_BURST || rule->fault == ERSATZ_FAULT_SLOW)
        return requests + 1;
    if (rule->when != ERSATZ_WHEN_CHANCE)
        return 1;
    return requests * rule->value / ERSATZ_FAULT_CERTAIN + 1;
}

/* A time between the rung's, of any magnitude, but so short that the delays alone do not add up to the time
 * limit. */
static uint64_t draw_time(
    struct plan *plan, const struct rung *rung, const struct baseline *baseline, uint64_t hits)
{
    uint64_t most = (uint64_t)(baseline->limit * 1e9 / 4) / hits, time = rung->time_least;

    most = most < rung->time_most ? most : rung->time_most;
    while (time * 4 <= most && draw(plan, 3) != 0)
        time *= 4;
    return draw(plan, 4) == 0 && most > time ? most / MS * MS : time;
}

/* Requests are numbered up to `requests` on a quiet card. Early ones are as likely as all others. */
static uint64_t draw_number(struct plan *plan, uint64_t requests)
{
    uint64_t most = draw(plan, 2) == 0 && requests > 8 ? 8 : requests;

    return 1 + draw(plan, most == 0 ? 1 : most);
}

static uint64_t draw_chance(struct plan *plan, uint64_t requests)
{
    static const uint64_t percents[] = {1, 5, 20, 50, 100};
    unsigned least = 0, count = sizeof(percents) / sizeof(percents[0]);

    while (least < count - 1 && percents[least] * requests < 200)
        least++;
    return percents[least + draw(plan, count - least)] * PERCENT;
}

/* An operation that the command needs, each as likely. */
static uint64_t draw_kind(struct plan *plan, const struct baseline *baseline)
{
    uint64_t kinds[ERSATZ_REQUEST_NAMES];
    unsigned count = 0;

    for (unsigned name = 0; name < ERSATZ_REQUEST_NAMES; name++) {
        if (baseline->requests[name] > 0)
            kinds[count++] = name;
    }
    return count == 0 ? ERSATZ_REQUEST_RSA_PRIV : kinds[draw(plan, count)];
}

static void add_fault(
    struct plan *plan, const struct rung *rung, const struct baseline *baseline, struct card *card)
{
    static const uint64_t bursts[] = {2, 4, 16, 64};
    struct ersatz_fault_rule rule = {.fault = rung->fault, .when = ERSATZ_WHEN_ALWAYS};

    switch (rung->strength) {
    case ONE:
        rule.when = ERSATZ_WHEN_NUMBER;
        rule.value = draw_number(plan, baseline->most);
        break;
    case SOME:
        rule.when = ERSATZ_WHEN_CHANCE;
        rule.value = draw_chance(plan, baseline->most);
        break;
    case COUNT:
        rule.value = bursts[draw(plan, 4)];
        break;
    case KIND:
        rule.value = draw_kind(plan, baseline);
        break;
    case START:
        break;
    }
    if (rung->time_least > 0)
        rule.time_ns = draw_time(plan, rung, baseline, expected_hits(&rule, baseline->most));
    card->faults.rules[card->faults.count++] = rule;
}

/* How much more often than others a rung is chosen. */
static uint64_t weight_of(const struct plan *plan, unsigned rung)
{
    return 1 + (plan->tried[rung] == 0 ? 0 : 4ull * plan->broke[rung] / plan->tried[rung]);
}

static bool may_pair(const struct plan *plan, unsigned a, unsigned b)
{
    return !is_left_out(plan, a) && !is_left_out(plan, b);
}

/* 0 for a pair that was tried more than `least` times, or may not be. */
static uint64_t weight_of_pair(const struct plan *plan, unsigned a, unsigned b, unsigned least)
{
    if (!may_pair(plan, a, b) || plan->pairs[a][b] != least)
        return 0;
    return weight_of(plan, a) * weight_of(plan, b);
}

/* A pair among those that were tried least. */
static uint32_t draw_pair(struct plan *plan)
{
    unsigned least = ~0u;
    uint64_t sum = 0, drawn;

    for (unsigned a = 0; a < RUNGS; a++)
        for (unsigned b = a + 1; b < RUNGS; b++)
            least = may_pair(plan, a, b) && plan->pairs[a][b] < least ? plan->pairs[a][b] : least;
    for (unsigned a = 0; a < RUNGS; a++)
        for (unsigned b = a + 1; b < RUNGS; b++)
            sum += weight_of_pair(plan, a, b, least);
    drawn = draw(plan, sum);
    for (unsigned a = 0; a < RUNGS; a++) {
        for (unsigned b = a + 1; b < RUNGS; b++) {
            uint64_t weight = weight_of_pair(plan, a, b, least);

            if (drawn < weight)
                return 1u << a | 1u << b;
            drawn -= weight;
        }
    }
    return 3;
}

void plan_next(struct plan *plan, const struct baseline *baseline, struct card *card, uint32_t *chosen)
{
    unsigned alone = 0, third;

    while (alone < RUNGS && (plan->tried[alone] > 0 || is_left_out(plan, alone)))
        alone++;
    third = (unsigned)draw(plan, RUNGS);
    *chosen = alone < RUNGS ? 1u << alone : draw_pair(plan);
    if (alone == RUNGS && plan->pairs[RUNGS - 2][RUNGS - 1] > 1 &&
        !is_left_out(plan, third)) /* all pairs were tried */
        *chosen |= 1u << third;
    *card = (struct card){.seed = 1 + draw(plan, 999999)};
    for (unsigned a = 0; a < RUNGS; a++) {
        if ((*chosen & 1u << a) == 0)
            continue;
        plan->tried[a]++;
        for (unsigned b = a + 1; b < RUNGS; b++)
            plan->pairs[a][b] += (*chosen & 1u << b) != 0;
        if (rungs[a].setting == SETTINGS)
            add_fault(plan, &rungs[a], baseline, card);
        else
            card->settings |= 1u << rungs[a].setting;
    }
}

void plan_learn(struct plan *plan, uint32_t chosen, bool was_broken)
{
    for (unsigned a = 0; was_broken && a < RUNGS; a++)
        plan->broke[a] += (chosen & 1u << a) != 0;
}

void plan_progress(const struct plan *plan, unsigned *tried, unsigned *all)
{
    *tried = *all = 0;
    for (unsigned a = 0; a < RUNGS; a++) {
        for (unsigned b = a + 1; b < RUNGS; b++) {
            *all += may_pair(plan, a, b);
            *tried += plan->pairs[a][b] > 0;
        }
    }
}
