/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of EVP in any order, made up from seeds: see sequence/sequence.h for what is compared.
 *
 *   any_order WAY ROUTE TEXTS [SEED [ROUNDS]]
 *
 * WAY    outside a job; in jobs that are told by fd or by callback; all three in turn; or inline, where
 *        everything is computed on the calling core
 * ROUTE  to the card: explicit, or as the default
 * TEXTS  short: up to 3,000 bytes, and all go to the card; long: up to 1.25 MiB, and thresholds change, so
 *        that pieces of one message are computed by the card and on the calling core
 */
#include <openssl/err.h>

#include "all_ways.h"
#include "sequence/sequence.h"

#define SHORT_ROUNDS 8000u
#define LONG_ROUNDS 2700u
#define CALLS_MAX 40u
#define BLOCK 16

static struct sequence_setting setting = {.calls_max = CALLS_MAX};
static enum way way;
static bool is_inline;
static struct card *card;

static void make_default(bool is_default)
{
    ways_set_default(card, is_default);
}

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

/* Long texts: pieces of one message are for the card and for the calling core. */
static void choose_thresholds(uint64_t seed)
{
    static const unsigned bytes[] = {0, 64, 0, 2048};

    if (setting.long_texts && !is_inline)
        ways_set_thresholds(card, bytes[seed % 4]);
}

static void check(uint64_t seed)
{
    struct run this = {.seed = seed};

    choose_thresholds(seed);
    CHECK(way_run(way == WAYS ? (enum way)(seed / SEQUENCE_CIPHERS % WAYS) : way, run, &this));
    if (this.well)
        return;
    fprintf(stderr, "seed %llu:\n", (unsigned long long)seed);
    setting.trace = true;
    run(&this);
    FAIL("see above");
}

/* IEEE 1619-2018, 5.1: a unit of XTS has at most 2^20 blocks. */
static void check_long_unit(void)
{
    static const unsigned char key[64] = {1}, iv[BLOCK];
    int len = (1 << 24) + 1, got;
    unsigned char *unit = calloc(1, (size_t)len);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    CHECK(unit != NULL && ctx != NULL);
    CHECK(card_cipher_init(card, ctx, "AES-256-XTS", key, iv, 1));
    CHECK(EVP_CipherUpdate(ctx, unit, &got, unit, len) <= 0 && unit[0] == 0);
    CHECK(ERR_peek_error() != 0);
    ERR_clear_error();
    EVP_CIPHER_CTX_free(ctx);
    free(unit);
}

static void check_kernels(unsigned long rounds)
{
    const char *settings = getenv("ERSATZ_CTRL");
    bool is_portable = settings != NULL && strstr(settings, "KERNELS:portable") != NULL;

    if (is_portable)
        CHECK(!card_has_count(card, "x86"));
    else if (card_has_count(card, "x86"))
        CHECK(card_count(card, "x86") > (long)rounds);
}

static void check_counts(unsigned long rounds)
{
    static const char *const modes[] = {
        "aes_cbc", "aes_ctr", "aes_gcm", "aes_xts", "aes_ecb", "aes_cfb", "aes_ofb", "aes_ccm"};

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        long count = card_count(card, modes[i]);

        printf("%s: %ld requests on the card\n", modes[i], count);
        if (is_inline)
            CHECK_EQ(count, 0);
        else
            CHECK(count > (long)(rounds / SEQUENCE_CIPHERS));
    }
    for (unsigned i = 0; i < SEQUENCE_CIPHERS; i++) { /* of each there was something to compare */
        const char *name = sequence_cipher_name(&setting, i);

        if (name == NULL)
            continue;
        printf("%s: %lu calls\n", name, setting.passed[i]);
        CHECK(setting.passed[i] > rounds / SEQUENCE_CIPHERS);
    }
    check_kernels(rounds);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"outside", "fd", "callback", "all", "inline"};
    unsigned named = 0;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
    unsigned long rounds;

    CHECK(argc >= 4);
    test_begin(argc > 4 ? 0 : 240);
    while (named < sizeof(names) / sizeof(names[0]) && strcmp(names[named], argv[1]) != 0)
        named++;
    CHECK(named < sizeof(names) / sizeof(names[0]));
    is_inline = strcmp(argv[1], "inline") == 0;
    way = is_inline ? WAY_PLAIN : (enum way)named;
    setting.by_default = strcmp(argv[2], "default") == 0;
    setting.make_default = make_default;
    setting.long_texts = strcmp(argv[3], "long") == 0;
    rounds = argc > 5 ? strtoul(argv[5], NULL, 0) : setting.long_texts ? LONG_ROUNDS : SHORT_ROUNDS;
    card = is_inline ? card_load(NULL) : ways_card("SYNC_OFFLOAD:1");
    setting.engine = card_engine(card);
    setting.context = card_context(card);
    sequence_begin(&setting);
    for (unsigned long i = 0; i < rounds; i++)
        check(seed + i);
    check_long_unit();
    if (argc < 6)
        check_counts(rounds);
    sequence_end(&setting);
    card_unload(card);
    return 0;
}
