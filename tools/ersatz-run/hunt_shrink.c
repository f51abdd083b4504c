/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for the smallest card that still shows a failure. Each candidate must show the same failure in a
 * round; the newest such round is kept as evidence. In the end that card is repeated.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hunt.h"

#define FIRST_TRIES 4u /* to see the failure again at all */
#define TRIES 2u       /* for each candidate, */
#define TRIES_LONG 1u  /* or if each takes the whole time limit */
#define REPEATS_LONG 3u
#define RUNS_MAX 80u      /* for one failure, without the final repeats */
#define SHRINK_AFTER 0.25 /* of --time: for so long beyond it may shrinking go on */
#define HITS_MAX 32u      /* requests that are tried when a rule is pinned */
#define MARGIN 4u         /* requests beyond the last one in the record */

/* Whether the failure is among those of the round. */
static bool shows(const struct round_result *result, const struct broke *broke)
{
    for (unsigned i = 0; i < result->breaks; i++) {
        if (broke_is_same(&result->broke[i], broke))
            return true;
    }
    return false;
}

/* The stacks stay those of the first round. */
static void keep(struct failure *failure, struct finished *finished)
{
    static const char *const names[] = {ROUND_STACKS, ROUND_THREADS};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *from = text("%s/%s", failure->directory == NULL ? "" : failure->directory, names[i]);
        char *to = text("%s/%s", finished->directory, names[i]);

        (void)!link(from, to);
        free(from);
        free(to);
    }
    evidence_remove(failure->directory);
    failure->directory = finished->directory;
    failure->result = finished->result;
    failure->card = finished->card;
}

/* Whether one more candidate may be tried. */
static bool may_try(const struct hunt *hunt, const struct failure *failure)
{
    double time = hunt->options.time, over = now_s() - hunt->began - time;

    return failure->runs < RUNS_MAX && !hunt->interrupted && (time <= 0 || over < time * SHRINK_AFTER);
}

/* True if the candidate shows the failure in one of so many rounds. It is the failure's card then. */
static bool fails_with(
    struct hunt *hunt, struct failure *failure, const struct card *candidate, unsigned tries)
{
    for (unsigned i = 0; i < tries; i++) {
        struct finished finished;

        failure->is_cut = failure->is_cut || !may_try(hunt, failure);
        if (failure->is_cut)
            return false;
        failure->runs++;
        if (!round_run(hunt, candidate, ROUND_REPEATED, &finished))
            return false;
        if (shows(&finished.result, &failure->broke)) {
            keep(failure, &finished);
            return true;
        }
        finished_free(&finished);
    }
    return false;
}

static unsigned tries_of(const struct failure *failure)
{
    return failure->broke.kind == BROKEN_TIME ? TRIES_LONG : TRIES;
}

static void drop_rule(struct card *card, unsigned at)
{
    card->faults.count--;
    memmove(&card->faults.rules[at], &card->faults.rules[at + 1],
        (card->faults.count - at) * sizeof(card->faults.rules[0]));
}

/* Leaves out rules and settings, one at a time. */
static void drop(struct hunt *hunt, struct failure *failure)
{
    for (unsigned i = failure->card.faults.count; i-- > 0;) {
        struct card candidate = failure->card;

        drop_rule(&candidate, i);
        fails_with(hunt, failure, &candidate, tries_of(failure));
    }
    for (enum setting setting = 0; setting < SETTINGS; setting++) {
        struct card candidate = failure->card;

        candidate.settings &= ~(1u << setting);
        if (candidate.settings != failure->card.settings)
            fails_with(hunt, failure, &candidate, tries_of(failure));
    }
}

static bool is_by_chance(const struct ersatz_fault_rule *rule)
{
    return rule->when == ERSATZ_WHEN_CHANCE || (rule->when == ERSATZ_WHEN_FIRST && rule->value > 1);
}

/* Puts rules for single requests in the place of a rule. False: there are too many. */
static bool pin_to(struct card *card, unsigned at, const uint64_t *numbers, unsigned count)
{
    struct ersatz_fault_rule rule = card->faults.rules[at];

    if (card->faults.count - 1 + count > ERSATZ_FAULT_RULES_MAX)
        return false;
    drop_rule(card, at);
    rule.when = ERSATZ_WHEN_NUMBER;
    for (unsigned i = 0; i < count; i++) {
        rule.value = numbers[i];
        card->faults.rules[card->faults.count++] = rule;
    }
    return true;
}

/* The numbers of the requests that the rule struck in the failing run. They follow from the seed, as in the
 * card: the record does not have those that the card refused. One more may have been submitted than
 * was seen. */
static unsigned struck_numbers(const struct failure *failure, unsigned at, uint64_t numbers[HITS_MAX])
{
    const struct card *card = &failure->card;
    const struct ersatz_fault_rule *rule = &card->faults.rules[at];
    unsigned count = 0;

    for (uint64_t number = 1; number <= failure->result.most + MARGIN && count < HITS_MAX; number++) {
        if (ersatz_fault_strikes(&card->faults, card->seed, number, rule->fault) == rule)
            numbers[count++] = number;
    }
    return count;
}

/* Halves the numbers as long as one half alone shows the failure. The rules for them are the card's last. */
static void halve(struct hunt *hunt, struct failure *failure, const struct card *rest, unsigned at,
    uint64_t *numbers, unsigned count)
{
    while (count > 1) {
        unsigned half = (count + 1) / 2;
        struct card first = *rest, second = *rest;

        pin_to(&first, at, numbers, half);
        pin_to(&second, at, numbers + half, count - half);
        if (fails_with(hunt, failure, &first, tries_of(failure))) {
            count = half;
        } else if (fails_with(hunt, failure, &second, tries_of(failure))) {
            numbers += half;
            count -= half;
        } else {
            return;
        }
    }
}

/* Lowers the probability of a rule that cannot be pinned, as far as the failure still comes. */
static void make_rare(struct hunt *hunt, struct failure *failure, unsigned at)
{
    struct card candidate = failure->card;

    while (candidate.faults.rules[at].when == ERSATZ_WHEN_CHANCE &&
           candidate.faults.rules[at].value > ERSATZ_FAULT_CERTAIN / 1000) {
        candidate.faults.rules[at].value /= 4;
        if (!fails_with(hunt, failure, &candidate, tries_of(failure)))
            return;
    }
}

/* Strikes single requests in place of those that chance chose: the first alone, or as few as possible. What
 * grows needs many. */
static void pin(struct hunt *hunt, struct failure *failure)
{
    const bool may_pin_all = failure->broke.kind != BROKEN_GROWTH;

    for (unsigned i = failure->card.faults.count; i-- > 0;) {
        struct card before = failure->card, candidate = before;
        uint64_t numbers[HITS_MAX];
        unsigned count = struck_numbers(failure, i, numbers);

        if (!is_by_chance(&before.faults.rules[i]) || count == 0)
            continue;
        pin_to(&candidate, i, numbers, 1);
        if (fails_with(hunt, failure, &candidate, tries_of(failure)))
            continue;
        candidate = before;
        if (may_pin_all && count > 1 && pin_to(&candidate, i, numbers, count) &&
            fails_with(hunt, failure, &candidate, tries_of(failure)))
            halve(hunt, failure, &before, i, numbers, count);
        else
            make_rare(hunt, failure, i);
    }
}

/* Strikes earlier requests. */
static void bring_forward(struct hunt *hunt, struct failure *failure)
{
    for (unsigned i = 0; i < failure->card.faults.count; i++) {
        for (unsigned tries = 0; tries < 3; tries++) {
            struct card candidate = failure->card;
            struct ersatz_fault_rule *rule = &candidate.faults.rules[i];
            uint64_t earlier = tries == 0 ? 1 : rule->value / 2;

            if (rule->when != ERSATZ_WHEN_NUMBER || earlier == 0 || earlier >= rule->value)
                break;
            rule->value = earlier;
            if (fails_with(hunt, failure, &candidate, tries_of(failure)) && earlier == 1)
                break;
        }
    }
}

/* Shortens times, to whole milliseconds. */
static void shorten(struct hunt *hunt, struct failure *failure)
{
    const uint64_t ms = 1000000;

    for (unsigned i = 0; i < failure->card.faults.count; i++) {
        struct card candidate;
        uint64_t *time = &candidate.faults.rules[i].time_ns;

        do {
            candidate = failure->card;
            *time = *time / 10 / ms * ms;
        } while (*time > 0 && fails_with(hunt, failure, &candidate, tries_of(failure)));
    }
}

/* A failure that comes with another one has its evidence, too. */
static void share_evidence(const struct failure *from, struct failure *to)
{
    char *name = to->directory == NULL ? NULL : text("%s", to->directory);

    evidence_remove(to->directory);
    to->directory = name == NULL ? NULL : evidence_copy(from->directory, name);
    to->result = from->result;
}

/* Repeats the card of the first failure, and counts it and the others. */
static void repeat(struct hunt *hunt, struct failure *failures, unsigned count)
{
    unsigned begun = 0, ended = 0, wanted = hunt->options.repeats;

    if (failures->broke.kind == BROKEN_TIME && wanted > REPEATS_LONG)
        wanted = REPEATS_LONG;
    while (!hunt->interrupted && ended < wanted) {
        struct finished finished;

        while (begun < wanted && hunt->running < hunt->options.jobs) {
            round_begin(hunt, &failures->card, ROUND_REPEATED, NULL);
            begun++;
        }
        if (!round_wait(hunt, &finished, 1))
            continue;
        ended++;
        for (unsigned i = 0; i < count; i++) {
            if (!failures[i].is_shrunk)
                failures[i].failed += shows(&finished.result, &failures[i].broke);
        }
        finished_free(&finished);
    }
    for (unsigned i = 0; i < count; i++) {
        struct failure *failure = &failures[i];

        if (failure->is_shrunk || (i > 0 && failure->failed < failures->failed))
            continue; /* comes less often: shrunk by itself */
        failure->is_shrunk = true;
        failure->repeats = ended;
        failure->card = failures->card;
        failure->is_quiet = failures->is_quiet;
        failure->is_pinned = failures->is_pinned;
        failure->is_cut = failures->is_cut;
        if (i > 0)
            share_evidence(failures, failure);
    }
}

void shrink(struct hunt *hunt, struct failure *failures, unsigned count)
{
    struct card first = failures->card;
    const struct card quiet = {.seed = first.seed};

    for (unsigned i = 0; i < count; i++)
        failures[i].failed = failures[i].is_shrunk ? failures[i].failed : 0;
    if (fails_with(hunt, failures, &first, FIRST_TRIES)) {
        failures->is_quiet = fails_with(hunt, failures, &quiet, 1);
        if (!failures->is_quiet) {
            drop(hunt, failures);
            pin(hunt, failures);
            drop(hunt, failures);
            bring_forward(hunt, failures);
            shorten(hunt, failures);
        }
    }
    failures->is_pinned = true;
    for (unsigned i = 0; i < failures->card.faults.count; i++)
        failures->is_pinned = failures->is_pinned && !is_by_chance(&failures->card.faults.rules[i]);
    repeat(hunt, failures, count);
}
