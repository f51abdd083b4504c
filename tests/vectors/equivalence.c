/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's ciphers against libcrypto's own, call for call: scripts made up from a seed run on the engine,
 * on libcrypto's older implementations behind an ENGINE of the test's (so that EVP treats both alike), and,
 * where the calls are such as have to succeed, on the default provider's ciphers.
 *
 * equivalence WAY explicit|default [SEED [SCRIPTS]]
 */
#include <openssl/err.h>
#include <openssl/objects.h>

#include "check.h"
#include "script.h"
#include "ways.h"

#define SEED_DEFAULT 20261123
#define SCRIPTS_DEFAULT 150 /* for each cipher */

static const int nids[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_aes_128_ctr,
    NID_aes_192_ctr, NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm, NID_aes_128_xts,
    NID_aes_256_xts};
#define CIPHERS (sizeof(nids) / sizeof(nids[0]))

/* libcrypto's own, behind an ENGINE. */
static int plain_ciphers(ENGINE *engine, const EVP_CIPHER **cipher, const int **list, int nid)
{
    (void)engine;
    if (cipher == NULL) {
        *list = nids;
        return CIPHERS;
    }
    *cipher = EVP_get_cipherbynid(nid);
    return *cipher != NULL;
}

static ENGINE *plain_engine(void)
{
    ENGINE *engine = ENGINE_new();

    CHECK(engine != NULL && ENGINE_set_id(engine, "plain") && ENGINE_set_ciphers(engine, plain_ciphers));
    return engine;
}

struct run {
    struct implementation whose;
    uint64_t number;
    struct transcript transcript;
};

static int run(void *arg)
{
    struct run *run = *(struct run **)arg;

    script_run(&run->whose, run->number, &run->transcript);
    return 1;
}

static int run_unready(void *arg)
{
    struct run *run = *(struct run **)arg;

    script_run_unready(&run->whose, run->number, &run->transcript);
    return 1;
}

static bool can_be_unready(const EVP_CIPHER *cipher)
{
    return EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE ||
           EVP_CIPHER_get_mode(cipher) == EVP_CIPH_XTS_MODE;
}

/* Everything on the card, small pieces on the calling core, or what the default is: a message changes sides
 * between its pieces. */
static void set_thresholds(ENGINE *engine, uint64_t number)
{
    static const char *const sizes[] = {"0", "0", "64", "2048"};
    static unsigned last = 0;
    const char *bytes = sizes[number % 4];
    char value[1024] = "";

    if (last == number % 4)
        return;
    last = number % 4;
    for (unsigned i = 0; i < CIPHERS; i++) {
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, OBJ_nid2ln(nids[i]), NULL);
        unsigned bits = (unsigned)EVP_CIPHER_get_key_length(cipher) * 8;
        const char *mode = strrchr(OBJ_nid2sn(nids[i]), '-');

        if (strcmp(mode, "-XTS") == 0)
            bits /= 2;
        snprintf(value + strlen(value), sizeof(value) - strlen(value), "%sAES-%u%s:%s", i == 0 ? "" : ",",
            bits, mode, bytes);
        EVP_CIPHER_free(cipher);
    }
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", value);
}

int main(int argc, char **argv)
{
    static struct run tested, plain, provided;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : SEED_DEFAULT;
    int scripts = argc > 4 ? atoi(argv[4]) : SCRIPTS_DEFAULT, legal = 0;
    long calls = 0;
    bool is_default, is_inline;
    ENGINE *engine, *reference = plain_engine();

    test_begin(240);
    CHECK(argc >= 3);
    is_default = strcmp(argv[2], "default") == 0;
    is_inline = strcmp(argv[1], "inline") == 0;
    engine = way_begin(2, argv);
    printf("seed %llu\n", (unsigned long long)seed);
    if (is_default)
        CHECK(ENGINE_set_default_ciphers(engine));
    for (unsigned i = 0; i < CIPHERS; i++) {
        EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, OBJ_nid2ln(nids[i]), NULL);

        CHECK(fetched != NULL);
        for (int n = 0; n < scripts; n++) {
            uint64_t number = seed * 1000003 + i * 100000 + (unsigned)n;

            if (!is_inline)
                set_thresholds(engine, number);
            plain.number = tested.number = provided.number = number;
            plain.whose = (struct implementation){EVP_get_cipherbynid(nids[i]), reference};
            tested.whose = (struct implementation){fetched, is_default ? NULL : engine};
            provided.whose = (struct implementation){fetched, NULL};
            script_run(&plain.whose, number, &plain.transcript);
            way_run(run, &tested);
            if (!plain.transcript.provider_only) {
                script_compare(number, OBJ_nid2sn(nids[i]), &plain.transcript, &tested.transcript, false);
                calls += tested.transcript.count;
            }
            if (plain.transcript.legal && !is_default) {
                script_run(&provided.whose, number, &provided.transcript);
                script_compare(number, OBJ_nid2sn(nids[i]), &provided.transcript, &tested.transcript, true);
                legal++;
            }
        }
        if (can_be_unready(fetched)) {
            script_run_unready(&plain.whose, plain.number, &plain.transcript);
            way_run(run_unready, &tested);
            script_compare(plain.number, OBJ_nid2sn(nids[i]), &plain.transcript, &tested.transcript, false);
        }
        EVP_CIPHER_free(fetched);
    }
    printf("%ld calls, %d scripts on the provider too\n", calls, legal);
    CHECK(calls > (long)CIPHERS * scripts * 10 && (is_default || legal > (int)CIPHERS * scripts / 8));
    way_check_card("aes_cbc", 4L * scripts);
    way_check_card("aes_ctr", 4L * scripts);
    way_check_card("aes_gcm", 4L * scripts);
    way_check_card("aes_xts", 4L * scripts);
    way_check_kernels(3L * 3 * scripts); /* of CTR and GCM, and what CBC decrypts */
    ENGINE_free(reference);
    engine_unload(engine);
    return 0;
}
