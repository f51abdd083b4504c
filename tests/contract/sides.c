/* SPDX-License-Identifier: Apache-2.0 */
/* OFFLOAD:fastest, operations that the card does faster in company: which side gets them, with a made-up
 * clock. */
#include "driver/sides.h"

#include "check.h"

#define JOBS_MAX 64u
#define BYTES 16384u

/* A program that keeps jobs in flight, each with one operation after the other. */
struct program {
    struct sides sides;
    unsigned jobs;
    uint64_t card_cost, here_cost; /* of an operation, in nanoseconds; the card's in full company */
    uint64_t now;
    unsigned in_flight;
};

/* Runs so many operations. Returns how many of them went to the card. */
static unsigned run(struct program *program, unsigned count)
{
    unsigned to_card = 0;

    for (unsigned i = 0; i < count; i++) {
        if (program->in_flight == program->jobs) {
            program->now += program->card_cost;
            program->in_flight--;
            sides_done(&program->sides, false, program->jobs > 1, BYTES, program->now);
        }
        if (sides_choose(&program->sides)) {
            program->in_flight++;
            to_card++;
        } else {
            program->now += program->here_cost;
            sides_done(&program->sides, true, false, BYTES, program->now);
        }
    }
    return to_card;
}

static void alone(void)
{
    struct program program = {.jobs = 1, .card_cost = 10, .here_cost = 1000, .now = 1};

    CHECK_EQ(run(&program, 8), 8); /* it may be the first of many */
    CHECK_EQ(run(&program, 4000), 0);
    CHECK(run(&program, 200000) < 200);
}

static void in_company(uint64_t card_cost, uint64_t here_cost, bool card)
{
    struct program program = {.jobs = 64, .card_cost = card_cost, .here_cost = here_cost, .now = 1};
    unsigned to_card;

    run(&program, 2000); /* it has tried both */
    to_card = run(&program, 200000);
    printf("64 jobs, %d ns on the card, %d here: %u of 200000 on the card\n", (int)card_cost, (int)here_cost,
        to_card);
    CHECK(card ? to_card > 195000 : to_card < 5000);
    program.jobs = 1;
    if (program.in_flight > 1) /* the others have ended */
        program.in_flight = 1;
    run(&program, 9);
    CHECK_EQ(run(&program, 2000), 0);
}

/* The other side becomes faster: it is found by a trial. */
static void changes(void)
{
    struct program program = {.jobs = 16, .card_cost = 1000, .here_cost = 3000, .now = 1};

    run(&program, 2000);
    CHECK(run(&program, 1000) == 1000);
    program.card_cost = 5000;
    run(&program, 2 * 32768);
    CHECK(run(&program, 1000) == 0);
    program.card_cost = 1000;
    run(&program, 2 * 32768);
    CHECK(run(&program, 1000) == 1000);
}

/* Without memory, all goes to the card. */
static void no_memory(void)
{
    CHECK(sides_choose(NULL));
    sides_done(NULL, false, false, BYTES, 1);
}

/* Private RSA operations, of which a thread does so many, one after the other. It sleeps after each
 * `asleep_after`; 0: never. Returns how many went to the card, each of them with or without company. */
static unsigned run_private(struct sides *sides, unsigned count, unsigned asleep_after, bool in_company)
{
    unsigned to_card = 0;

    for (unsigned i = 0; i < count; i++) {
        long sleeps = asleep_after == 0 ? 0 : i / asleep_after;

        if (sides_choose_private(sides, false, sleeps)) {
            sides_private_done(sides, in_company);
            to_card++;
        }
    }
    return to_card;
}

static void private_rsa(void)
{
    struct sides idle = {0}, alone = {0}, busy = {0};

    CHECK_EQ(run_private(&idle, 10000, 1, true), 0);
    CHECK_EQ(run_private(&idle, 10000, 8, true), 0);
    CHECK_EQ(run_private(&busy, 9, 0, true), 1);
    CHECK_EQ(run_private(&busy, 900, 0, true), 900); /* as long as others come along */
    CHECK_EQ(run_private(&busy, 99, 1, true), 99);
    CHECK_EQ(run_private(&busy, 9, 1, false), 1);    /* one goes to see whether they still come */
    CHECK_EQ(run_private(&busy, 9, 0, false), 1);    /* the thread is as patient as at first */
    CHECK(sides_choose_private(&idle, true, 20000)); /* others are there */
    CHECK_EQ(run_private(&alone, 9, 0, false), 1);
    CHECK(run_private(&alone, 10000, 0, false) < 50); /* a lone job gets the calling core */
    CHECK(run_private(&alone, 600, 0, true) > 20);    /* until there is company again */
    CHECK(sides_choose_private(NULL, false, 0));
    sides_private_done(NULL, true);
}

int main(void)
{
    test_begin(60);
    alone();
    private_rsa();
    in_company(1000, 3000, true);
    in_company(3000, 1000, false);
    in_company(1000, 1000, false); /* no difference: the calling core */
    changes();
    no_memory();
    return 0;
}
