/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES on the calling core, one EVP_CipherUpdate() after the other, in place and without a new IV, as `openssl
 * speed -evp` does: how long plain libcrypto takes and how long the card's cipher does, in one process.
 *
 *   updates [-c COMMANDS] [-a OFFSET] [-n ROUNDS] [-d encrypt|decrypt] [-k BITS] [-l LENGTH] [MODE ...]
 *
 * MODE: CBC and so on; without, every mode. The two alternate, ROUNDS times (10) for about 0.2 milliseconds
 * each, and the shortest time counts. OFFSET: of the text from a line of the cache, in bytes (16, as
 * malloc(3) gives large texts). COMMANDS are control commands (OFFLOAD:fastest). Prints a line for each cell:
 * its name, the nanoseconds of libcrypto and of the card's cipher, and how many times as fast this is.
 */
#include <openssl/evp.h>

#include "check.h"
#include "support/card.h"
#include "times.h"

#define LENGTH_MAX 65536
#define LINE 64u
#define SLICE 200000 /* nanoseconds */

static const char *const modes[] = {"CBC", "CTR", "ECB", "CFB", "OFB", "GCM", "XTS"};
static const int lengths[] = {16, 64, 256, 1024, 4096, 16384, 65536};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static _Alignas(64) unsigned char texts[2 * LINE + LENGTH_MAX];
static unsigned char *text;

struct cell {
    char name[32];
    int encrypt, length;
};

static EVP_CIPHER_CTX *context_of(struct card *card, const struct cell *cell)
{
    unsigned char key[64], iv[16] = "the first one";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i; /* XTS refuses two equal halves */
    CHECK(ctx != NULL && card_cipher_init(card, ctx, cell->name, key, iv, cell->encrypt));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    return ctx;
}

static __attribute__((noinline)) uint64_t time_of(EVP_CIPHER_CTX *ctx, int length, unsigned times)
{
    uint64_t begin = time_now();
    int done;

    for (unsigned i = 0; i < times; i++)
        CHECK(EVP_CipherUpdate(ctx, text, &done, text, length));
    return time_now() - begin;
}

/* How many updates fill a slice. */
static unsigned times_for(EVP_CIPHER_CTX *ctx, int length)
{
    unsigned times = 16;

    while (time_of(ctx, length, times) < SLICE / 2)
        times *= 2;
    return times;
}

static double shorter(double a, double b)
{
    return a < b ? a : b;
}

static void measure(struct card *card, const struct cell *cell, unsigned rounds)
{
    EVP_CIPHER_CTX *plain = context_of(NULL, cell), *ours = context_of(card, cell);
    double plain_ns = 1e9, our_ns = 1e9;
    long inline_before = card_count(card, "inline");
    unsigned times = times_for(plain, cell->length);
    unsigned long done = 0;

    times_for(ours, cell->length);
    for (unsigned i = 0; i < rounds; i++) {
        plain_ns = shorter(plain_ns, (double)time_of(plain, cell->length, times) / times);
        our_ns = shorter(our_ns, (double)time_of(ours, cell->length, times) / times);
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

    for (int option; (option = getopt(argc, argv, "+a:c:d:k:l:n:")) != -1;) {
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
        else if (option == 'n')
            choice.rounds = (unsigned)atoi(optarg);
        else
            return 2;
    }
    text = texts + offset;
    card = card_load(commands);
    if (optind == argc)
        for (unsigned i = 0; i < COUNT_OF(modes); i++)
            measure_mode(card, modes[i], &choice);
    for (; optind < argc; optind++)
        measure_mode(card, argv[optind], &choice);
    card_unload(card);
    return 0;
}
