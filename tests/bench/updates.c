/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES on the calling core, one EVP_CipherUpdate() after the other, in place and without a new IV, as `openssl
 * speed -evp` does: how long plain libcrypto takes and how long the card's cipher does, in one process.
 *
 *   updates [-m] [-c COMMANDS] [-a OFFSET] [-n ROUNDS] [-d encrypt|decrypt] [-k BITS] [-l LENGTH] [MODE ...]
 *
 * MODE: CBC and so on; without, every mode. The two alternate, ROUNDS times (10) for about 0.2 milliseconds
 * each, and the shortest time counts. OFFSET: of the text from a line of the cache, in bytes (16, as
 * malloc(3) gives large texts). COMMANDS are control commands (OFFLOAD:fastest). Prints a line for each cell:
 * its name, the nanoseconds of libcrypto and of the card's cipher, and how many times as fast this is.
 *
 * -m: whole messages, of CCM too: a new IV, the text, from one place to another, and its end; in GCM and CCM
 * also 13 bytes of associated data, and the tag.
 */
#include <openssl/evp.h>

#include "check.h"
#include "support/card.h"
#include "times.h"

#define LENGTH_MAX 65536
#define LINE 64u
#define SLICE 200000 /* nanoseconds */

#define AAD 13
#define TAG 16

/* CCM has whole messages alone. */
static const char *const modes[] = {"CBC", "CTR", "ECB", "CFB", "OFB", "GCM", "XTS", "CCM"};
static const int lengths[] = {16, 64, 256, 1024, 4096, 16384, 65536};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static _Alignas(64) unsigned char texts[2 * LINE + LENGTH_MAX], results[2 * LINE + LENGTH_MAX];
static unsigned char *text, *result;
static bool whole_messages;

struct cell {
    char name[32];
    int encrypt, length;
    bool is_ccm, has_tag;
    unsigned char tag[TAG];
};

static EVP_CIPHER_CTX *context_of(struct card *card, const struct cell *cell)
{
    unsigned char key[64], iv[16] = "the first one";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i; /* XTS refuses two equal halves */
    CHECK(ctx != NULL && card_cipher_init(card, ctx, cell->name, key, iv, cell->encrypt));
    if (cell->is_ccm) /* the length of the tag comes before the key */
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, NULL) &&
              EVP_CipherInit_ex(ctx, NULL, NULL, key, iv, -1));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    return ctx;
}

static void end_with_tag(EVP_CIPHER_CTX *ctx, struct cell *cell)
{
    int done;

    if (!cell->is_ccm) /* which ends with its text */
        CHECK(EVP_CipherFinal_ex(ctx, result, &done));
    if (cell->encrypt)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, cell->tag));
}

static void message(EVP_CIPHER_CTX *ctx, struct cell *cell)
{
    static const unsigned char iv[16] = "another, longer", aad[AAD] = "unencrypted";
    int done;

    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1));
    if (cell->has_tag && !cell->encrypt)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, cell->tag));
    if (cell->is_ccm)
        CHECK(EVP_CipherUpdate(ctx, NULL, &done, NULL, cell->length));
    if (cell->has_tag)
        CHECK(EVP_CipherUpdate(ctx, NULL, &done, aad, AAD));
    CHECK(EVP_CipherUpdate(ctx, result, &done, text, cell->length));
    if (cell->has_tag)
        end_with_tag(ctx, cell);
    else
        CHECK(EVP_CipherFinal_ex(ctx, result, &done));
}

/* Of messages to decrypt, the text, and its tag. */
static void seal(const struct cell *cell_to_decrypt, unsigned char tag[TAG])
{
    struct cell cell = *cell_to_decrypt;
    EVP_CIPHER_CTX *ctx;

    cell.encrypt = 1;
    ctx = context_of(NULL, &cell);
    message(ctx, &cell);
    memcpy(text, result, (size_t)cell.length);
    memcpy(tag, cell.tag, TAG);
    EVP_CIPHER_CTX_free(ctx);
}

static __attribute__((noinline)) uint64_t time_of_messages(
    EVP_CIPHER_CTX *ctx, struct cell *cell, unsigned times)
{
    uint64_t begin = time_now();

    for (unsigned i = 0; i < times; i++)
        message(ctx, cell);
    return time_now() - begin;
}

static __attribute__((noinline)) uint64_t time_of_updates(EVP_CIPHER_CTX *ctx, int length, unsigned times)
{
    uint64_t begin = time_now();
    int done;

    for (unsigned i = 0; i < times; i++)
        CHECK(EVP_CipherUpdate(ctx, text, &done, text, length));
    return time_now() - begin;
}

static uint64_t time_of(EVP_CIPHER_CTX *ctx, struct cell *cell, unsigned times)
{
    return whole_messages ? time_of_messages(ctx, cell, times) : time_of_updates(ctx, cell->length, times);
}

/* How many texts fill a slice. */
static unsigned times_for(EVP_CIPHER_CTX *ctx, struct cell *cell)
{
    unsigned times = 16;

    while (time_of(ctx, cell, times) < SLICE / 2)
        times *= 2;
    return times;
}

static double shorter(double a, double b)
{
    return a < b ? a : b;
}

static void measure(struct card *card, struct cell *cell, unsigned rounds)
{
    EVP_CIPHER_CTX *plain = context_of(NULL, cell), *ours = context_of(card, cell);
    double plain_ns = 1e9, our_ns = 1e9;
    long inline_before = card_count(card, "inline");
    unsigned times;
    unsigned long done = 0;

    if (whole_messages && !cell->encrypt)
        seal(cell, cell->tag);
    times = times_for(plain, cell);
    times_for(ours, cell);
    for (unsigned i = 0; i < rounds; i++) {
        plain_ns = shorter(plain_ns, (double)time_of(plain, cell, times) / times);
        our_ns = shorter(our_ns, (double)time_of(ours, cell, times) / times);
        done += times;
    }
    CHECK(card_count(card, "inline") - inline_before >= (long)done); /* and no other cipher did it */
    printf("%s %s %d  %.1f %.1f  %.3f\n", cell->name, cell->encrypt ? "encrypt" : "decrypt", cell->length,
        plain_ns, our_ns, plain_ns / our_ns);
    fflush(stdout);
    EVP_CIPHER_CTX_free(plain);
    EVP_CIPHER_CTX_free(ours);
}

struct choice {
    int encrypt, bits, length; /* -1, 0, 0: all */
    unsigned rounds;
};

static void measure_mode(struct card *card, const char *mode, const struct choice *choice)
{
    for (int bits = 128; bits <= 256; bits += 128) {
        for (int encrypt = 1; encrypt >= 0; encrypt--) {
            for (unsigned i = 0; i < COUNT_OF(lengths); i++) {
                struct cell cell = {.encrypt = encrypt, .length = lengths[i]};

                cell.is_ccm = strcmp(mode, "CCM") == 0;
                cell.has_tag = cell.is_ccm || strcmp(mode, "GCM") == 0;

                if ((choice->bits != 0 && bits != choice->bits) ||
                    (choice->encrypt >= 0 && encrypt != choice->encrypt) ||
                    (choice->length != 0 && lengths[i] != choice->length))
                    continue;
                snprintf(cell.name, sizeof(cell.name), "AES-%d-%s", bits, mode);
                measure(card, &cell, choice->rounds);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const char *commands = "OFFLOAD:fastest";
    struct choice choice = {.encrypt = -1, .rounds = 10};
    unsigned offset = 16;
    struct card *card;

    for (int option; (option = getopt(argc, argv, "+a:c:d:k:l:mn:")) != -1;) {
        if (option == 'a')
            offset = (unsigned)atoi(optarg) % LINE;
        else if (option == 'c')
            commands = optarg;
        else if (option == 'd')
            choice.encrypt = strcmp(optarg, "encrypt") == 0;
        else if (option == 'k')
            choice.bits = atoi(optarg);
        else if (option == 'l')
            choice.length = atoi(optarg);
        else if (option == 'm')
            whole_messages = true;
        else if (option == 'n')
            choice.rounds = (unsigned)atoi(optarg);
        else
            return 2;
    }
    text = texts + offset;
    result = results + offset;
    card = card_load(commands);
    if (optind == argc)
        for (unsigned i = 0; i < COUNT_OF(modes) - !whole_messages; i++)
            measure_mode(card, modes[i], &choice);
    for (; optind < argc; optind++)
        measure_mode(card, argv[optind], &choice);
    card_unload(card);
    return 0;
}
