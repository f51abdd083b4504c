/* SPDX-License-Identifier: Apache-2.0 */
/* NIST's AES vectors (CAVP; for CTR those of RFC 3686) through the engine, whole and in pieces. */
#include <dirent.h>

#include "check.h"
#include "records.h"
#include "ways.h"

/* How many there are; fewer handled is a failure. */
#define CBC_VECTORS 2138
#define CTR_VECTORS 9
#define XTS_VECTORS 1400
#define GCM_VECTORS 47250

#define TEXT_MAX 4096
#define SPLIT_EVERY 8 /* of the many GCM vectors; all of the others */

struct message {
    const EVP_CIPHER *cipher;
    bool encrypt, fails;
    const struct field *key, *iv, *in, *out, *aad, *tag;
    int in_len;     /* less than in->len where the last byte is cut */
    unsigned split; /* how to cut it in pieces */
};

static ENGINE *engine;
static const char *mode;
static int not_whole_bytes; /* XTS units that EVP cannot take */

/* The length of the next piece: 0 to 40, from a generator that repeats. */
static int piece(unsigned *state, int left)
{
    int len;

    *state = *state * 1103515245u + 12345u;
    len = (int)(*state >> 16) % 41;
    return len < left ? len : left;
}

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, int len, unsigned split)
{
    int total = 0, got;

    for (int at = 0; at < len;) {
        int part = split == 0 ? len - at : piece(&split, len - at);

        if (!EVP_CipherUpdate(ctx, out == NULL ? NULL : out + total, &got, in + at, part))
            return -1;
        total += got;
        at += part;
    }
    return total;
}

static int set_up(EVP_CIPHER_CTX *ctx, const struct message *message)
{
    return EVP_CipherInit_ex(ctx, message->cipher, engine, NULL, NULL, message->encrypt) &&
           (message->aad == NULL ||
               EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)message->iv->len, NULL) > 0) &&
           EVP_CipherInit_ex(ctx, NULL, NULL, message->key->bytes, message->iv->bytes, -1) &&
           EVP_CIPHER_CTX_set_padding(ctx, 0);
}

static int finish(EVP_CIPHER_CTX *ctx, const struct message *message, unsigned char *out, int total)
{
    unsigned char tag[16];
    int got;

    if (message->aad != NULL && !message->encrypt &&
        EVP_CIPHER_CTX_ctrl(
            ctx, EVP_CTRL_AEAD_SET_TAG, (int)message->tag->len, (void *)message->tag->bytes) <= 0)
        return 0;
    if (EVP_CipherFinal_ex(ctx, out + total, &got) != !message->fails)
        return 0;
    if (message->fails)
        return 1;
    if (message->aad != NULL && message->encrypt &&
        (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)message->tag->len, tag) <= 0 ||
            memcmp(tag, message->tag->bytes, message->tag->len) != 0))
        return 0;
    return total + got == message->in_len && memcmp(out, message->out->bytes, (size_t)message->in_len) == 0;
}

static int compute(void *arg)
{
    const struct message *message = *(struct message **)arg;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char out[TEXT_MAX + 32];
    int total, done = 0;

    if (set_up(ctx, message) &&
        (message->aad == NULL ||
            update(ctx, NULL, message->aad->bytes, (int)message->aad->len, message->split) >= 0) &&
        (total = update(ctx, out, message->in->bytes, message->in_len, message->split)) >= 0)
        done = finish(ctx, message, out, total);
    EVP_CIPHER_CTX_free(ctx);
    return done;
}

static void run(struct message *message)
{
    static unsigned number;

    message->in_len = (int)message->in->len;
    CHECK(message->in_len <= TEXT_MAX);
    way_run(compute, message);
    if (strcmp(mode, "XTS") == 0)
        return; /* a data unit is one piece */
    if (strcmp(mode, "GCM") == 0 && ++number % SPLIT_EVERY != 0)
        return;
    message->split = (unsigned)message->in_len + 1;
    way_run(compute, message);
}

static const EVP_CIPHER *cipher_for(size_t key_len)
{
    char name[32];

    snprintf(name, sizeof(name), "AES-%zu-%s", key_len * 8, mode);
    return EVP_get_cipherbyname(strcmp(mode, "GCM") != 0 ? name
                                : key_len == 16          ? "id-aes128-GCM"
                                : key_len == 24          ? "id-aes192-GCM"
                                                         : "id-aes256-GCM");
}

static void handle(const struct record *record)
{
    const struct field *units = record_field(record, "DataUnitLen");
    bool is_xts = strcmp(mode, "XTS") == 0, is_gcm = strcmp(mode, "GCM") == 0;
    const struct field *plain = record_field(record, is_xts || is_gcm ? "PT" : "PLAINTEXT");
    const struct field *cipher = record_field(record, is_xts || is_gcm ? "CT" : "CIPHERTEXT");
    struct message message = {
        .key = record_field(record, "KEY"),
        .iv = record_field(record, is_xts ? "i" : "IV"),
        .aad = is_gcm ? record_field(record, "AAD") : NULL,
        .tag = record_field(record, "Tag"),
        .fails = record->fails,
        .encrypt = strcmp(record->section, "[ENCRYPT]") == 0 || strcmp(mode, "CTR") == 0,
    };
    static const struct field nothing;

    if (is_gcm)
        message.encrypt = record_field(record, "Count") != NULL && plain != NULL && !record->fails &&
                          strcmp(record->section, "decrypt") != 0;
    if (plain == NULL)
        plain = &nothing; /* where decryption fails there is none */
    if (units != NULL && atoi(units->text) % 8 != 0) {
        not_whole_bytes++;
        return;
    }
    message.cipher = cipher_for(is_xts ? message.key->len / 2 : message.key->len);
    CHECK(message.cipher != NULL);
    message.in = message.encrypt ? plain : cipher;
    message.out = message.encrypt ? cipher : plain;
    run(&message);
    if (is_gcm && !record->fails) { /* both directions of what is right */
        message.split = 0;
        message.encrypt = false;
        message.in = cipher;
        message.out = plain;
        run(&message);
    }
}

static int run_directory(const char *name)
{
    static const char *const keep_nothing[] = {NULL};
    char path[512];
    DIR *directory;
    struct dirent *entry;
    int count = 0;

    snprintf(path, sizeof(path), "%s/ciphers/AES/%s", vectors_directory(), name);
    directory = opendir(path);
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char file[1024];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        count += read_nist(file, "KEY", keep_nothing, handle);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    int count;

    test_begin(240);
    CHECK(argc == 3);
    mode = argv[2];
    engine = way_begin(2, argv);
    if (strcmp(mode, "XTS") == 0)
        count = run_directory("XTS/tweak-128hexstr");
    else
        count = run_directory(mode);
    printf("%d vectors\n", count);
    if (strcmp(mode, "CBC") == 0) {
        CHECK_EQ(count, CBC_VECTORS);
        way_check_card("aes_cbc", CBC_VECTORS * 2);
        way_check_kernels(CBC_VECTORS / 2); /* what is decrypted */
    } else if (strcmp(mode, "CTR") == 0) {
        CHECK_EQ(count, CTR_VECTORS);
        way_check_card("aes_ctr", CTR_VECTORS);
        way_check_kernels(CTR_VECTORS / 2); /* whose counters do not wrap */
    } else if (strcmp(mode, "XTS") == 0) {
        CHECK_EQ(count - not_whole_bytes, XTS_VECTORS);
        way_check_card("aes_xts", XTS_VECTORS);
    } else {
        CHECK_EQ(count, GCM_VECTORS);
        way_check_card("aes_gcm", GCM_VECTORS * 2);
        way_check_kernels(GCM_VECTORS * 2);
    }
    engine_unload(engine);
    return 0;
}
