/* SPDX-License-Identifier: Apache-2.0 */
/* NIST's AES vectors (CAVP; for CTR those of RFC 3686) through the card, whole and in pieces. */
#include <dirent.h>

#include "check.h"
#include "records.h"
#include "sequence/message.h"
#include "ways.h"

/* How many there are; fewer handled is a failure. */
#define CBC_VECTORS 2138
#define CTR_VECTORS 9
#define XTS_VECTORS 1400
#define GCM_VECTORS 47250

#define TEXT_MAX 4096
#define SPLIT_EVERY 8 /* of the many GCM vectors; all of the others */

/* A vector: a message, and what is to come out. */
struct vector {
    struct message message;
    const struct implementation *cipher;
    const struct field *key, *iv, *in, *out, *aad, *tag;
    bool in_pieces;
};

static struct card *card;
static struct implementation implementations[3]; /* by the length of the key */
static const char *mode;
static int not_whole_bytes; /* XTS units that EVP cannot take */
static struct source source;

static int compute(void *arg)
{
    struct vector *vector = *(struct vector **)arg;
    struct message message = vector->message;
    struct message_context context = {.whose = *vector->cipher, .ctx = EVP_CIPHER_CTX_new()};
    unsigned char out[TEXT_MAX + 32], tag[16];
    bool done;

    message.out = out;
    message.tag = tag;
    if (!message.encrypt && vector->tag != NULL)
        memcpy(tag, vector->tag->bytes, vector->tag->len);
    done = message_run(&message, vector->in_pieces ? &source : NULL, message_make_once, &context);
    EVP_CIPHER_CTX_free(context.ctx);
    if (message.wrong || !done)
        return done != message.wrong;
    return message.out_len == message.in_len &&
           memcmp(out, vector->out->bytes, (size_t)message.in_len) == 0 &&
           (vector->tag == NULL || memcmp(tag, vector->tag->bytes, vector->tag->len) == 0);
}

static void run(struct vector *vector)
{
    static unsigned number;
    struct message *message = &vector->message;

    message->mode = EVP_CIPHER_get_mode(vector->cipher->cipher);
    message->key = vector->key->bytes;
    message->iv = vector->iv->bytes;
    message->iv_len = (int)vector->iv->len;
    message->in = vector->in->bytes;
    message->in_len = (int)vector->in->len;
    if (vector->aad != NULL) {
        message->aad = vector->aad->bytes;
        message->aad_len = (int)vector->aad->len;
        message->tag_len = (int)vector->tag->len;
    }
    CHECK(message->in_len <= TEXT_MAX);
    vector->in_pieces = false;
    way_run(compute, vector);
    if (strcmp(mode, "GCM") == 0 && ++number % SPLIT_EVERY != 0)
        return;
    vector->in_pieces = true;
    way_run(compute, vector);
}

static const struct implementation *cipher_for(size_t key_len)
{
    struct implementation *found = &implementations[key_len / 8 - 2];
    char name[32];

    snprintf(name, sizeof(name), "%s%zu%s%s", strcmp(mode, "GCM") == 0 ? "id-aes" : "AES-", key_len * 8, "-",
        mode);
    if (found->cipher == NULL)
        *found = implementation_of(card, name);
    CHECK(found->cipher != NULL);
    return found;
}

static void handle(const struct record *record)
{
    const struct field *units = record_field(record, "DataUnitLen");
    bool is_xts = strcmp(mode, "XTS") == 0, is_gcm = strcmp(mode, "GCM") == 0;
    const struct field *plain = record_field(record, is_xts || is_gcm ? "PT" : "PLAINTEXT");
    const struct field *cipher = record_field(record, is_xts || is_gcm ? "CT" : "CIPHERTEXT");
    struct vector vector = {
        .key = record_field(record, "KEY"),
        .iv = record_field(record, is_xts ? "i" : "IV"),
        .aad = is_gcm ? record_field(record, "AAD") : NULL,
        .tag = record_field(record, "Tag"),
        .message.wrong = record->fails,
        .message.encrypt = strcmp(record->section, "[ENCRYPT]") == 0 || strcmp(mode, "CTR") == 0,
    };
    static const struct field nothing;

    if (is_gcm)
        vector.message.encrypt = record_field(record, "Count") != NULL && plain != NULL && !record->fails &&
                                 strcmp(record->section, "decrypt") != 0;
    if (plain == NULL)
        plain = &nothing; /* where decryption fails there is none */
    if (units != NULL && atoi(units->text) % 8 != 0) {
        not_whole_bytes++;
        return;
    }
    vector.cipher = cipher_for(is_xts ? vector.key->len / 2 : vector.key->len);
    vector.in = vector.message.encrypt ? plain : cipher;
    vector.out = vector.message.encrypt ? cipher : plain;
    run(&vector);
    if (is_gcm && !record->fails) { /* both directions of what is right */
        vector.message.encrypt = !vector.message.encrypt;
        vector.in = vector.out;
        vector.out = vector.message.encrypt ? cipher : plain;
        run(&vector);
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
    card = way_begin(2, argv);
    source = source_of_seed(1);
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
    for (unsigned i = 0; i < 3; i++)
        implementation_free(&implementations[i]);
    card_unload(card);
    return 0;
}
