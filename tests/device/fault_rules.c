/* SPDX-License-Identifier: Apache-2.0 */
/* The text of faults: what it means, and what is said of one that is wrong; and whom a rule strikes. */
#include <ersatz/faults.h>

#include "check.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

static struct ersatz_faults parse(const char *text)
{
    struct ersatz_faults faults;
    struct ersatz_error error;
    size_t offset;

    if (ersatz_faults_parse(text, &faults, &offset, &error) != ERSATZ_OK) {
        fprintf(stderr, "\"%s\" at %zu: %s\n", text, offset, error.text);
        FAIL("a right text was refused");
    }
    return faults;
}

static void test_right(void)
{
    static const struct {
        const char *text;
        struct ersatz_fault_rule rule;
    } right[] = {
        {"ring_full=1%", {ERSATZ_FAULT_RING_FULL, ERSATZ_WHEN_CHANCE, 10000000, 0}},
        {"ring_full=1%:3ms", {ERSATZ_FAULT_RING_FULL, ERSATZ_WHEN_CHANCE, 10000000, 3 * MS}},
        {"late=5%:2ms", {ERSATZ_FAULT_LATE, ERSATZ_WHEN_CHANCE, 50000000, 2 * MS}},
        {"late=100%", {ERSATZ_FAULT_LATE, ERSATZ_WHEN_CHANCE, ERSATZ_FAULT_CERTAIN, 1 * MS}},
        {"reorder=0.01%:50us", {ERSATZ_FAULT_REORDER, ERSATZ_WHEN_CHANCE, 100000, 50 * US}},
        {"burst=16", {ERSATZ_FAULT_BURST, ERSATZ_WHEN_ALWAYS, 16, 1 * MS}},
        {"burst=4096:7ns", {ERSATZ_FAULT_BURST, ERSATZ_WHEN_ALWAYS, 4096, 7}},
        {"spurious=0.0000001%", {ERSATZ_FAULT_SPURIOUS, ERSATZ_WHEN_CHANCE, 1, 1 * MS}},
        {"fail=#100", {ERSATZ_FAULT_FAIL, ERSATZ_WHEN_NUMBER, 100, 0}},
        {"corrupt=3x", {ERSATZ_FAULT_CORRUPT, ERSATZ_WHEN_FIRST, 3, 0}},
        {"reset=#1000:50ms", {ERSATZ_FAULT_RESET, ERSATZ_WHEN_NUMBER, 1000, 50 * MS}},
        {"reset=#1:3600s", {ERSATZ_FAULT_RESET, ERSATZ_WHEN_NUMBER, 1, 3600 * S}},
        {"gone=#999999999999999999", {ERSATZ_FAULT_GONE, ERSATZ_WHEN_NUMBER, 999999999999999999, 0}},
        {" \thang=99.5% ", {ERSATZ_FAULT_HANG, ERSATZ_WHEN_CHANCE, 995000000, 0}},
        {"slow=rsa_priv:7ms", {ERSATZ_FAULT_SLOW, ERSATZ_WHEN_ALWAYS, ERSATZ_REQUEST_RSA_PRIV, 7 * MS}},
        {"slow=aes_cbc_hmac_sha256",
            {ERSATZ_FAULT_SLOW, ERSATZ_WHEN_ALWAYS, ERSATZ_REQUEST_AES_CBC_HMAC_SHA256, 20 * MS}},
        {"boot=2s", {ERSATZ_FAULT_BOOT, ERSATZ_WHEN_ALWAYS, 0, 2 * S}},
        {"fork=#3", {ERSATZ_FAULT_FORK, ERSATZ_WHEN_NUMBER, 3, 100 * MS}},
        {"early=1%:3ms", {ERSATZ_FAULT_EARLY, ERSATZ_WHEN_CHANCE, 10000000, 3 * MS}},
        {"ready=2x", {ERSATZ_FAULT_READY, ERSATZ_WHEN_FIRST, 2, 10 * MS}},
        {"hang=#5:2ms", {ERSATZ_FAULT_HANG, ERSATZ_WHEN_NUMBER, 5, 2000000}},
    };
    struct ersatz_faults faults;

    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        faults = parse(right[i].text);
        CHECK_EQ(faults.count, 1);
        CHECK_EQ(faults.rules[0].fault, right[i].rule.fault);
        CHECK_EQ(faults.rules[0].when, right[i].rule.when);
        CHECK_EQ(faults.rules[0].value, right[i].rule.value);
        CHECK_EQ(faults.rules[0].time_ns, right[i].rule.time_ns);
    }
    CHECK_EQ(parse("none").count, 0);
    faults = parse("late=1%,late=#7:1s , fail=2x");
    CHECK_EQ(faults.count, 3);
    CHECK_EQ(faults.rules[1].time_ns, 1 * S);
    CHECK_EQ(faults.rules[2].fault, ERSATZ_FAULT_FAIL);
}

static const struct {
    const char *text;
    size_t offset;
    const char *says;
} wrong[] = {
    {"", 0, "expected a fault"},
    {"non", 0, "expected a fault"},
    {"none,fail=1%", 0, "expected a fault"},
    {"fail=1%,none", 8, "expected a fault"},
    {"late=5%,", 8, "expected a fault"},
    {"late=5%,,fail=1%", 8, "expected a fault"},
    {"lat=5%", 0, "expected a fault"},
    {"later=5%", 0, "expected a fault"},
    {"Late=5%", 0, "expected a fault"},
    {"late", 4, "expected ="},
    {"late 5%", 4, "expected ="},
    {"late=", 5, "5%, 3x or #100"},
    {"late=-1%", 5, "5%, 3x or #100"},
    {"late=5", 6, "expected %"},
    {"late=5.%", 7, "decimals"},
    {"late=5.12345678%", 7, "decimals"},
    {"late=5.1x", 8, "expected %"},
    {"late=0%", 5, "more than 0%"},
    {"late=0.0%", 5, "more than 0%"},
    {"late=100.1%", 5, "at most 100%"},
    {"late=101%", 5, "at most 100%"},
    {"late=0x", 5, "counted from 1"},
    {"late=#0", 5, "counted from 1"},
    {"late=#", 6, "the number of a request"},
    {"late=#1x", 7, "a comma"},
    {"late=#1000000000000000000", 6, "18 digits"},
    {"late=5% fail=1%", 8, "a comma"},
    {"late=5%:", 8, "a time"},
    {"late=5%:2", 9, "the unit"},
    {"late=5%:2mx", 9, "the unit"},
    {"late=5%:2msec", 11, "a comma"},
    {"late=5%:0ms", 8, "more than 0"},
    {"late=5%:3601s", 8, "an hour"},
    {"late=5%:999999999999999999s", 8, "an hour"},
    {"fail=1%:2ms", 7, "fail cannot have a time"},
    {"corrupt=1%:2ms", 10, "corrupt cannot have a time"},
    {"gone=#5:2ms", 7, "gone cannot have a time"},
    {"burst=1", 6, "2 to 4096"},
    {"burst=4097", 6, "2 to 4096"},
    {"burst=16%", 8, "a comma"},
    {"burst=#3", 6, "how many"},
    {"burst=2,burst=3", 14, "burst can be given only once"},
    {"boot=2ms,boot=2ms", 14, "boot can be given only once"},
    {"boot=", 5, "a time: 50us"},
    {"boot=5%", 6, "the unit of a time"},
    {"boot=2ms:2ms", 8, "a comma"},
    {"slow=20ms", 5, "the kind of operation: rsa_priv"},
    {"slow=rsa:20ms", 5, "the kind of operation: rsa_priv"},
    {"slow=aes_cbc_hmac:20ms", 5, "aes_cbc_hmac_sha256"},
    {"slow=rsa_priv:20", 16, "the unit"},
    {"slow=rsa_priv,slow=rsa_pub,slow=rsa_priv", 32, "only once for each kind"},
    {"fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,"
     "fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,"
     "fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1,fail=#1",
        256, "more than 32"},
};

static void test_wrong(void)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ersatz_faults faults;
        struct ersatz_error error = {.text = ""};
        size_t offset = 12345;
        enum ersatz_result result = ersatz_faults_parse(wrong[i].text, &faults, &offset, &error);

        if (result != ERSATZ_BAD_CONFIG || offset != wrong[i].offset ||
            strstr(error.text, wrong[i].says) == NULL) {
            fprintf(stderr, "\"%s\": result %d, at %zu: %s; wanted at %zu: %s\n", wrong[i].text, result,
                offset, error.text, wrong[i].offset, wrong[i].says);
            FAIL("a wrong text was not refused in the right words");
        }
        CHECK_EQ(error.result, ERSATZ_BAD_CONFIG);
    }
}

/* ersatz_faults_grammar is read by people: it must name them all. */
static void test_names(void)
{
    for (enum ersatz_fault fault = 0; fault < ERSATZ_FAULTS; fault++) {
        CHECK(strstr(ersatz_faults_grammar, ersatz_fault_name(fault)) != NULL);
        CHECK(strlen(ersatz_fault_text(fault)) > 10);
    }
}

static unsigned count_struck(
    const struct ersatz_faults *faults, uint64_t seed, enum ersatz_fault fault, uint64_t numbers)
{
    unsigned struck = 0;

    for (uint64_t number = 1; number <= numbers; number++)
        struck += ersatz_fault_strikes(faults, seed, number, fault) != NULL;
    return struck;
}

/* How many requests both strike. */
static unsigned count_common(const struct ersatz_faults *a, uint64_t seed_a, enum ersatz_fault fault_a,
    const struct ersatz_faults *b, uint64_t seed_b, enum ersatz_fault fault_b, uint64_t numbers)
{
    unsigned common = 0;

    for (uint64_t number = 1; number <= numbers; number++)
        common += ersatz_fault_strikes(a, seed_a, number, fault_a) != NULL &&
                  ersatz_fault_strikes(b, seed_b, number, fault_b) != NULL;
    return common;
}

static void test_strikes(void)
{
    const uint64_t million = 1000000;
    struct ersatz_faults faults = parse("late=1%:1ms,fail=1%,late=1%:2ms,hang=3x,gone=#7,corrupt=100%");
    struct ersatz_faults slow = parse("late=1%,slow=aes_gcm:1ms,slow=aes_cbc");
    struct ersatz_faults late = parse("late=1%:1ms"), other = parse("burst=2,late=1%:1ms");
    unsigned struck = count_struck(&late, 1, ERSATZ_FAULT_LATE, million);

    CHECK_EQ(count_struck(&faults, 1, ERSATZ_FAULT_HANG, 100), 3);
    CHECK(ersatz_fault_strikes(&faults, 1, 3, ERSATZ_FAULT_HANG) != NULL);
    CHECK_EQ(count_struck(&faults, 1, ERSATZ_FAULT_GONE, 100), 1);
    CHECK(ersatz_fault_strikes(&faults, 1, 7, ERSATZ_FAULT_GONE) == &faults.rules[4]);
    CHECK_EQ(count_struck(&faults, 1, ERSATZ_FAULT_CORRUPT, 1000), 1000);
    CHECK_EQ(count_struck(&faults, 1, ERSATZ_FAULT_REORDER, 1000), 0);
    CHECK(ersatz_fault_slows(&slow, ERSATZ_REQUEST_AES_GCM) == &slow.rules[1]);
    CHECK(ersatz_fault_slows(&slow, ERSATZ_REQUEST_AES_CBC) == &slow.rules[2]);
    CHECK(ersatz_fault_slows(&slow, ERSATZ_REQUEST_RSA_PRIV) == NULL);

    /* One in a hundred: 10,000 of a million, give or take six times the standard deviation of 100. */
    CHECK(struck > 9400 && struck < 10600);
    CHECK(count_struck(&late, 2, ERSATZ_FAULT_LATE, million) > 9400);
    /* The same seed, the same requests, whatever else is in the list. */
    CHECK_EQ(count_common(&late, 1, ERSATZ_FAULT_LATE, &other, 1, ERSATZ_FAULT_LATE, million), struck);
    /* Another seed, another fault, another rule for the same: others, but for chance (one in 10,000). */
    CHECK(count_common(&late, 1, ERSATZ_FAULT_LATE, &late, 2, ERSATZ_FAULT_LATE, million) < 200);
    CHECK(count_common(&faults, 1, ERSATZ_FAULT_LATE, &faults, 1, ERSATZ_FAULT_FAIL, million) < 300);
    struck = count_struck(&faults, 1, ERSATZ_FAULT_LATE, million);
    CHECK(struck > 19000 && struck < 20800); /* two rules of 1% */
}

/* A seed from an old bug report strikes the same requests in every version. */
static void test_seeds_stay(void)
{
    static const struct {
        const char *text;
        uint64_t seed;
        enum ersatz_fault fault;
        uint64_t struck[5];
    } known[] = {
        {"late=1%", 7, ERSATZ_FAULT_LATE, {100, 235, 331, 442, 497}},
        {"fail=1%", UINT64_MAX, ERSATZ_FAULT_FAIL, {43, 77, 183, 371, 537}},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct ersatz_faults faults = parse(known[i].text);
        unsigned found = 0;

        for (uint64_t number = 1; found < 5; number++) {
            if (ersatz_fault_strikes(&faults, known[i].seed, number, known[i].fault) != NULL)
                CHECK_EQ(number, known[i].struck[found++]);
        }
    }
}

int main(void)
{
    test_begin(60);
    test_seeds_stay();
    test_right();
    test_wrong();
    test_names();
    test_strikes();
    return 0;
}
