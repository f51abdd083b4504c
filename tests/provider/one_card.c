/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module is loaded twice in one process: as a provider in two library contexts ("contexts"), or as an
 * engine and as a provider ("doors"). There is one card: the settings, the statistics, the counters in
 * flight and HOLD are those of both, and the card runs until both are unloaded.
 */
#include <openssl/evp.h>

#include "check.h"
#include "support/card.h"
#include "support/work.h"

static const char *const *doors; /* of the two */

/* The support functions take the door from the environment: call this before the i-th card is used. */
static void through(int i)
{
    CHECK_EQ(setenv("DOOR", doors[i], 1), 0);
}

static struct card *load(int i, const char *commands)
{
    through(i);
    return card_load(commands);
}

/* A signature, and AES outside of a job. */
static void use(int i, struct card *card)
{
    struct work *works[2];

    through(i);
    works[0] = work_rsa(card, (unsigned char)(1 + i));
    works[1] = work_aes(card, (unsigned char)(3 + i));
    for (int j = 0; j < 2; j++) {
        CHECK_EQ(work_do(&works[j]), 1);
        work_free(works[j]);
    }
}

/* So many of each kind, whoever is asked. */
static void counted(struct card *cards[2], long times)
{
    for (int i = 0; i < 2; i++) {
        through(i);
        CHECK_EQ(card_count(cards[i], "rsa_priv"), times);
        CHECK_EQ(card_count(cards[i], "aes_cbc"), times);
        CHECK_EQ(card_count(cards[i], "completed"), 2 * times);
    }
}

/* One holds the card, a job of the other one waits, and the first lets it go; or is unloaded meanwhile, and
 * the other does it. */
static void hold(struct card *cards[2], int holder, bool unload)
{
    int other = 1 - holder, releases = unload ? other : holder;
    struct work *work;
    struct job job;

    through(other);
    work = work_rsa(cards[other], 7);
    through(holder);
    card_command(cards[holder], "HOLD", "compute");
    through(other);
    job_init(&job, BY_FD, work_do, work);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    CHECK_EQ(job_run(&job), ASYNC_PAUSE);
    if (unload) {
        through(holder);
        card_unload(cards[holder]);
    }
    through(releases);
    card_command(cards[releases], "RELEASE", "1");
    card_command(cards[releases], "HOLD", "none");
    through(other);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    work_free(work);
}

/* A key that was made in the first library context signs in the second. */
static void sign_elsewhere(struct card *cards[2])
{
    unsigned char signature[256], recovered[256], text[32] = "text";
    EVP_PKEY *key = test_key(cards[0]);

    CHECK_EQ(key_sign(cards[1], key, RSA_PKCS1_PADDING, text, sizeof(text), signature), sizeof(signature));
    CHECK_EQ(
        key_recover(cards[0], key, RSA_PKCS1_PADDING, signature, sizeof(signature), recovered), sizeof(text));
    CHECK(memcmp(recovered, text, sizeof(text)) == 0);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    static const char *const both[] = {"engine", "provider"}, *const contexts[] = {"provider", "provider"};
    struct card *cards[2];

    test_begin(60);
    CHECK_EQ(argc, 2);
    doors = strcmp(argv[1], "doors") == 0 ? both : contexts;
    cards[0] = load(0, "SYNC_OFFLOAD:1;WORKERS:1");
    cards[1] = load(1, NULL);
    use(0, cards[0]);
    counted(cards, 1);
    use(1, cards[1]); /* SYNC_OFFLOAD is in force */
    counted(cards, 2);
    through(1);
    CHECK(card_refuses(cards[1], "WORKERS", "2", "before"));
    hold(cards, 0, false);
    hold(cards, 1, false);
    if (doors == contexts)
        sign_elsewhere(cards);

    for (int i = 0; i < 2; i++) {
        hold(cards, i, true);
        use(1 - i, cards[1 - i]);
        CHECK(card_refuses(cards[1 - i], "WORKERS", "2", "before"));
        cards[i] = load(i, NULL);
    }
    for (int i = 0; i < 2; i++) {
        through(i);
        card_unload(cards[i]);
    }
    return 0;
}
