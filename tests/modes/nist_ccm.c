/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NIST's AES-CCM vectors (CCMVS) through the card, sealed and opened, every way. Their files give lengths
 * in brackets, and a text of no bytes as one: hence a reader of its own.
 */
#include <ctype.h>
#include <openssl/err.h>

#include "all_ways.h"

#define BYTES_MAX 66000

/* What the files hold. */
#define VECTORS_DVPT 720 /* of these, ones that must not open among them */
#define VECTORS_ALL (720 + 3 * (330 + 70 + 250 + 70))

struct value {
    unsigned char bytes[BYTES_MAX];
    int len;
};

struct vector {
    int aad_len, text_len, nonce_len, tag_len; /* -1: as long as the value */
    struct value key, nonce, aad, text, sealed;
    bool complete, fails;
};

static struct card *card;
static struct vector vector;
static unsigned char out[BYTES_MAX];
static int refused;

static void read_bytes(const char *text, struct value *value)
{
    unsigned byte;

    value->len = 0;
    for (; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
        CHECK(value->len < BYTES_MAX && sscanf(text, "%2x", &byte) == 1);
        value->bytes[value->len++] = (unsigned char)byte;
    }
}

static EVP_CIPHER_CTX *begin(bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = vector.key.len == 16   ? EVP_aes_128_ccm()
                               : vector.key.len == 24 ? EVP_aes_192_ccm()
                                                      : EVP_aes_256_ccm();
    unsigned char *tag = encrypt ? NULL : vector.sealed.bytes + vector.text_len;
    int len;

    CHECK(ways_cipher_init(card, ctx, cipher, NULL, NULL, encrypt));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, vector.nonce_len, NULL) > 0);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, vector.tag_len, tag) > 0);
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, vector.key.bytes, vector.nonce.bytes, -1));
    CHECK(EVP_CipherUpdate(ctx, NULL, &len, NULL, vector.text_len));
    CHECK(EVP_CipherUpdate(ctx, NULL, &len, vector.aad.bytes, vector.aad_len));
    return ctx;
}

static int seal(void *arg)
{
    EVP_CIPHER_CTX *ctx = begin(true);
    int len;

    (void)arg;
    CHECK(EVP_CipherUpdate(ctx, out, &len, vector.text.bytes, vector.text_len) && len == vector.text_len);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, vector.tag_len, out + vector.text_len) > 0);
    EVP_CIPHER_CTX_free(ctx);
    return memcmp(out, vector.sealed.bytes, (size_t)vector.sealed.len) == 0;
}

static int open_sealed(void *arg)
{
    EVP_CIPHER_CTX *ctx = begin(false);
    int len, ok = EVP_CipherUpdate(ctx, out, &len, vector.sealed.bytes, vector.text_len);

    (void)arg;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    if (vector.fails)
        return !ok;
    return ok && memcmp(out, vector.text.bytes, (size_t)vector.text_len) == 0;
}

static void handle(void)
{
    if (vector.aad_len < 0)
        vector.aad_len = vector.aad.len;
    if (vector.nonce_len < 0)
        vector.nonce_len = vector.nonce.len;
    if (vector.text_len < 0)
        vector.text_len = vector.text.len;
    CHECK_EQ(vector.sealed.len, vector.text_len + vector.tag_len);
    for (unsigned way = 0; way < WAYS; way++) {
        if (!vector.fails)
            CHECK(way_run(way, seal, NULL));
        CHECK(way_run(way, open_sealed, NULL));
    }
    refused += vector.fails;
}

/* "[Alen = 0, Plen = 24]" or "Alen = 0": lengths that hold until the next. */
static void read_lengths(const char *line)
{
    const struct {
        const char *name;
        int *length;
    } all[] = {{"Alen = ", &vector.aad_len}, {"Plen = ", &vector.text_len}, {"Nlen = ", &vector.nonce_len},
        {"Tlen = ", &vector.tag_len}};

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *at = strstr(line, all[i].name);

        if (at != NULL)
            *all[i].length = atoi(at + strlen(all[i].name));
    }
}

static void read_line(const char *line)
{
    const struct {
        const char *name;
        struct value *value;
    } all[] = {{"Key = ", &vector.key}, {"Nonce = ", &vector.nonce}, {"Adata = ", &vector.aad},
        {"Payload = ", &vector.text}, {"CT = ", &vector.sealed}};

    read_lengths(line);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strncmp(line, all[i].name, strlen(all[i].name)) == 0)
            read_bytes(line + strlen(all[i].name), all[i].value);
    }
    if (strncmp(line, "Count = ", 8) == 0) {
        vector.complete = true;
        vector.fails = false;
    }
    if (strncmp(line, "Result = Fail", 13) == 0)
        vector.fails = true;
}

static int run_file(const char *kind, int bits)
{
    static char line[2 * BYTES_MAX + 100];
    char path[512];
    FILE *file;
    int count = 0;

    snprintf(path, sizeof(path),
        "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/CCM/%s%d.rsp", kind, bits);
    file = fopen(path, "re");
    if (file == NULL)
        perror(path);
    CHECK(file != NULL);
    memset(&vector, 0, sizeof(vector));
    vector.aad_len = vector.text_len = vector.nonce_len = vector.tag_len = -1;
    for (bool more = true; more;) {
        more = fgets(line, sizeof(line), file) != NULL;
        if (more && line[0] != '\r' && line[0] != '\n') {
            read_line(line);
        } else if (vector.complete) {
            handle();
            vector.complete = false;
            count++;
        }
    }
    fclose(file);
    return count;
}

int main(void)
{
    static const char *const kinds[] = {"DVPT", "VADT", "VNT", "VPT", "VTT"};
    int count = 0;

    test_begin(120);
    card = ways_card(NULL);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int bits = 128; bits <= 256; bits += 64)
            count += run_file(kinds[i], bits);
    }
    printf("AES-CCM: %d vectors, of which %d must be refused\n", count, refused);
    CHECK_EQ(count, VECTORS_ALL);
    CHECK(refused > VECTORS_DVPT / 4);
    CHECK(card_count(card, "aes_ccm") > VECTORS_ALL * 2);
    card_unload(card);
    return 0;
}
