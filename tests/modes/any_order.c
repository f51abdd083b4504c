/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of EVP in any order, made up from seeds: see sequence/sequence.h for what is compared. Without a job,
 * in jobs that are told by descriptor, and in jobs that are told by callback.
 *
 *   any_order [SEED [ROUNDS]]
 */
#include "all_ways.h"
#include "sequence/sequence.h"

#define ROUNDS 8000u
#define CALLS_MAX 40u

static struct sequence_setting setting = {.calls_max = CALLS_MAX};

struct run {
    uint64_t seed;
    bool well;
};

static int run(void *arg)
{
    struct run *run = arg;
    struct source source = source_of_seed(run->seed);

    run->well = sequence_run(&setting, &source, (unsigned)(run->seed % SEQUENCE_CIPHERS));
    return 1;
}

static void check(uint64_t seed)
{
    struct run this = {.seed = seed};

    CHECK(way_run((enum way)(seed / SEQUENCE_CIPHERS % WAYS), run, &this));
    if (this.well)
        return;
    fprintf(stderr, "seed %llu:\n", (unsigned long long)seed);
    setting.trace = true;
    run(&this);
    FAIL("see above");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : ROUNDS;

    test_begin(argc > 2 ? 0 : 140);
    setting.engine = ways_engine("SYNC_OFFLOAD:1");
    setting.older = sequence_older_engine();
    for (; rounds > 0; rounds--, seed++)
        check(seed);
    for (unsigned i = 0; i < SEQUENCE_CIPHERS && argc < 2; i++) { /* of each there was something to compare */
        const char *name = sequence_cipher_name(&setting, i);

        if (name == NULL)
            continue;
        printf("%s: %lu calls\n", name, setting.passed[i]);
        CHECK(setting.passed[i] > ROUNDS / SEQUENCE_CIPHERS);
    }
    CHECK(engine_count(setting.engine, "completed") > 0);
    sequence_end(setting.older);
    engine_unload(setting.engine);
    return 0;
}
