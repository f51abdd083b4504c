/* SPDX-License-Identifier: Apache-2.0 */
/* NIST's AES vectors (AESAVS) for ECB, CFB128 and OFB through the card, whole and in pieces, every way. */
#include "all_ways.h"
#include "vectors/records.h"

#define TEXT_MAX 512

/* How many there are in the files of each mode; fewer handled is a failure. */
#define VECTORS 2138

struct message {
    const EVP_CIPHER *cipher;
    bool encrypt;
    int split; /* the length of the first piece */
    const struct field *key, *iv, *in, *out;
};

static struct card *card;
static const char *mode;

static int compute(void *arg)
{
    const struct message *message = arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char out[TEXT_MAX + 16];
    int len = (int)message->in->len, first, second, last;

    CHECK(len <= TEXT_MAX);
    CHECK(ways_cipher_init(card, ctx, message->cipher, message->key->bytes,
        message->iv == NULL ? NULL : message->iv->bytes, message->encrypt));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_CipherUpdate(ctx, out, &first, message->in->bytes, message->split));
    CHECK(EVP_CipherUpdate(
        ctx, out + first, &second, message->in->bytes + message->split, len - message->split));
    CHECK(EVP_CipherFinal_ex(ctx, out + first + second, &last));
    EVP_CIPHER_CTX_free(ctx);
    return first + second + last == len && memcmp(out, message->out->bytes, (size_t)len) == 0;
}

static void handle(const struct record *record)
{
    static struct numbers numbers = {81};
    struct message message = {
        .encrypt = strcmp(record->section, "[ENCRYPT]") == 0,
        .key = record_field(record, "KEY"),
        .iv = record_field(record, "IV"),
    };
    const struct field *plain = record_field(record, "PLAINTEXT");
    const struct field *cipher = record_field(record, "CIPHERTEXT");
    char name[32];

    snprintf(name, sizeof(name), "AES-%zu-%s", message.key->len * 8, mode);
    message.cipher = EVP_get_cipherbyname(name);
    CHECK(message.cipher != NULL && plain != NULL && cipher != NULL);
    message.in = message.encrypt ? plain : cipher;
    message.out = message.encrypt ? cipher : plain;
    for (unsigned way = 0; way < WAYS; way++) {
        message.split = 0;
        CHECK(way_run(way, compute, &message));
        message.split = (int)number_below(&numbers, (uint32_t)message.in->len + 1);
        CHECK(way_run(way, compute, &message));
    }
}

static int run_mode(const char *name, const char *files)
{
    static const char *const kinds[] = {"GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt"};
    static const char *const keep_nothing[] = {NULL};
    int count = 0;

    mode = name;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int bits = 128; bits <= 256; bits += 64) {
            char path[512];

            snprintf(path, sizeof(path), "%s/ciphers/AES/%s/%s%s%d.rsp", vectors_directory(), name, files,
                kinds[i], bits);
            count += read_nist(path, "KEY", keep_nothing, handle);
        }
    }
    printf("AES-%s: %d vectors\n", name, count);
    return count;
}

int main(void)
{
    test_begin(120);
    card = ways_card(NULL);
    CHECK_EQ(run_mode("ECB", "ECB"), VECTORS);
    CHECK_EQ(run_mode("CFB", "CFB128"), VECTORS);
    CHECK_EQ(run_mode("OFB", "OFB"), VECTORS);
    /* Of ECB, only the longer messages are for the card. */
    CHECK(card_count(card, "aes_ecb") >= 3 * 2 * 7 * 2); /* key sizes, directions, lengths, jobs */
    CHECK(card_count(card, "aes_cfb") > VECTORS * 2);
    CHECK(card_count(card, "aes_ofb") > VECTORS * 2);
    card_unload(card);
    return 0;
}
