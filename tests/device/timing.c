/* SPDX-License-Identifier: Apache-2.0 */
/* The timing of a modelled card, by a clock of the test's own: latency, throughput, units, sizes and jitter
 * are what the profile says, exactly. */
#include "device/timing.h"

#include "check.h"

#define US UINT64_C(1000)
#define OPERATIONS 100000

static struct ersatz_profile card(void)
{
    return (struct ersatz_profile){
        .name = "test",
        .latency_ns = 20 * US,
        .rsa_units = 4,
        .aes_units = 2,
        .rsa_private = {1, {{2048, 400 * US}}},
        .rsa_public = {1, {{2048, 40 * US}}},
        .aes = {[ERSATZ_REQUEST_AES_GCM] = {.ns = 1 * US, .ps_per_byte = 500}},
    };
}

static struct timing *begin(const struct ersatz_profile *profile, uint64_t seed)
{
    struct timing *model = timing_new(profile, seed);

    CHECK(model != NULL);
    return model;
}

/* One at a time, an operation takes its service and the latency. */
static void check_latency(void)
{
    struct ersatz_profile profile = card();
    struct timing *model = begin(&profile, 1);
    uint64_t now = 1000000;

    for (int i = 0; i < 10; i++) {
        uint64_t due = timing_due(model, ERSATZ_REQUEST_RSA_PRIV, 2048, (uint64_t)i, now);

        CHECK_EQ(due - now, 420 * US);
        now = due;
        due = timing_due(model, ERSATZ_REQUEST_AES_GCM, 4096, (uint64_t)i, now);
        CHECK_EQ(due - now, 20 * US + 1 * US + 2048);
        now = due;
    }
    timing_free(model);
}

/* All at once, units work side by side: the first four are served together, the next four after them. What
 * belongs to other units is not in their way. */
static void check_units(void)
{
    struct ersatz_profile profile = card();
    struct timing *model = begin(&profile, 1);

    for (unsigned i = 0; i < 41; i++)
        CHECK_EQ(timing_due(model, ERSATZ_REQUEST_RSA_PRIV, 2048, i, 5000),
            5000 + (i / 4 + 1) * 400 * US + 20 * US);
    CHECK_EQ(timing_due(model, ERSATZ_REQUEST_AES_GCM, 0, 1, 5000), 5000 + 1 * US + 20 * US);
    timing_free(model);

    profile.units = 3; /* for everything */
    profile.rsa_units = profile.aes_units = 0;
    model = begin(&profile, 1);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(timing_due(model, ERSATZ_REQUEST_RSA_PRIV, 2048, i, 5000), 5000 + 420 * US);
    CHECK_EQ(timing_due(model, ERSATZ_REQUEST_AES_GCM, 0, 3, 5000), 5000 + 400 * US + 1 * US + 20 * US);
    timing_free(model);

    profile.units = 0; /* one for each request */
    model = begin(&profile, 1);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(timing_due(model, ERSATZ_REQUEST_RSA_PRIV, 2048, i, 5000), 5000 + 420 * US);
    timing_free(model);
}

/* With so many jobs that each submits again when it is told, throughput is units over service; with fewer
 * jobs than units it is jobs over service and latency. */
static void check_throughput(unsigned jobs, uint64_t expected_ns_each)
{
    struct ersatz_profile profile = card();
    struct timing *model = begin(&profile, 1);
    uint64_t next[64] = {0}, end = 0;

    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned job = 0;

        for (unsigned other = 1; other < jobs; other++)
            job = next[other] < next[job] ? other : job;
        next[job] = timing_due(model, ERSATZ_REQUEST_RSA_PRIV, 2048, i, next[job]);
        end = next[job] > end ? next[job] : end;
    }
    CHECK(end / OPERATIONS >= expected_ns_each - 10 && end / OPERATIONS <= expected_ns_each + 10);
    timing_free(model);
}

/* Mean and spread of what is drawn, and that it is a function of seed and number alone. */
static void check_jitter(struct ersatz_jitter jitter, uint64_t mean, uint64_t least, uint64_t most)
{
    struct ersatz_profile profile = {.name = "test", .jitter = jitter};
    struct timing *model = begin(&profile, 7), *same = begin(&profile, 7), *other = begin(&profile, 8);
    uint64_t sum = 0, min = UINT64_MAX, max = 0;
    unsigned differ = 0;

    for (unsigned i = 1; i <= OPERATIONS; i++) {
        uint64_t ns = timing_due(model, ERSATZ_REQUEST_AES_CBC, 0, i, 0);

        sum += ns;
        min = ns < min ? ns : min;
        max = ns > max ? ns : max;
        differ += ns != timing_due(other, ERSATZ_REQUEST_AES_CBC, 0, i, 0);
    }
    for (unsigned i = OPERATIONS; i >= 1; i -= 999) { /* in another order, at another time */
        uint64_t ns = timing_due(same, ERSATZ_REQUEST_AES_GCM, 0, i, 12345) - 12345;

        CHECK_EQ(ns, timing_due(model, ERSATZ_REQUEST_AES_CBC, 0, i, 0));
        if (i <= 999)
            break;
    }
    CHECK(sum / OPERATIONS >= mean * 99 / 100 && sum / OPERATIONS <= mean * 101 / 100);
    CHECK(min >= least && max <= most);
    CHECK(jitter.kind == ERSATZ_JITTER_NONE ? differ == 0 : differ > OPERATIONS * 9 / 10);
    timing_free(model);
    timing_free(same);
    timing_free(other);
}

/* A seed has the same jitter in every version. */
static void check_seeds_stay(void)
{
    struct ersatz_profile profile = {
        .name = "test", .jitter = {.kind = ERSATZ_JITTER_UNIFORM, .a_ns = 0, .b_ns = 1000 * 1000 * US}};
    struct timing *uniform = begin(&profile, 7), *normal;

    CHECK_EQ(timing_due(uniform, ERSATZ_REQUEST_AES_CBC, 0, 1, 0), 16788294);
    CHECK_EQ(timing_due(uniform, ERSATZ_REQUEST_AES_CBC, 0, 2, 0), 582930293);
    profile.jitter =
        (struct ersatz_jitter){.kind = ERSATZ_JITTER_NORMAL, .a_ns = 1000 * US, .b_ns = 100 * US};
    normal = begin(&profile, 7);
    CHECK_EQ(timing_due(normal, ERSATZ_REQUEST_AES_CBC, 0, 1, 0), 1232102);
    CHECK_EQ(timing_due(normal, ERSATZ_REQUEST_AES_CBC, 0, 2, 0), 900710);
    timing_free(uniform);
    timing_free(normal);
}

/* The sizes that are given, and by powers between and beyond them. */
static void check_sizes(void)
{
    struct ersatz_profile profile = {
        .rsa_private = {2, {{2048, 100 * US}, {4096, 700 * US}}},
        .rsa_public = {1, {{2048, 10 * US}}},
    };
    static const struct {
        enum ersatz_request_name name;
        unsigned bits;
        uint64_t ns;
    } known[] = {
        {ERSATZ_REQUEST_RSA_PRIV, 2048, 100 * US},
        {ERSATZ_REQUEST_RSA_PRIV, 4096, 700 * US},
        {ERSATZ_REQUEST_RSA_PRIV, 1024, 12500},     /* an eighth */
        {ERSATZ_REQUEST_RSA_PRIV, 8192, 5600 * US}, /* eight times */
        {ERSATZ_REQUEST_RSA_PRIV, 3072, 312140},    /* 100 us * 1.5 ^ log2(7) */
        {ERSATZ_REQUEST_RSA_PUB, 2048, 10 * US},
        {ERSATZ_REQUEST_RSA_PUB, 4096, 40 * US},
        {ERSATZ_REQUEST_RSA_PUB, 1024, 2500},
        {ERSATZ_REQUEST_AES_CBC, 1u << 20, 0},
    };

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint64_t ns = ersatz_profile_service_ns(&profile, known[i].name, known[i].bits);

        CHECK(ns >= known[i].ns - (known[i].ns > 0) && ns <= known[i].ns + 1);
    }
}

int main(void)
{
    test_begin(60);
    check_latency();
    check_units();
    check_throughput(64, 400 * US / 4);
    check_throughput(2, 420 * US / 2);
    check_throughput(1, 420 * US);
    check_jitter((struct ersatz_jitter){ERSATZ_JITTER_NONE, 0, 0}, 0, 0, 0);
    check_jitter((struct ersatz_jitter){ERSATZ_JITTER_UNIFORM, 2000, 6000}, 4000, 2000, 6000);
    check_jitter((struct ersatz_jitter){ERSATZ_JITTER_NORMAL, 8000, 1000}, 8000, 3000, 13000);
    check_jitter((struct ersatz_jitter){ERSATZ_JITTER_EXPONENTIAL, 5000, 0}, 5000, 0, 100000);
    check_seeds_stay();
    check_sizes();
    return 0;
}
