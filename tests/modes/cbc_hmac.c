/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC-HMAC, record by record: the card seals to the same bytes as plain libcrypto and opens what that
 * seals, on contexts that go on and are copied; what is forged in MAC or padding is refused alike; without
 * associated data it is CBC.
 */
#include <openssl/err.h>
#include <openssl/proverr.h>

#include "tls_records.h"

#define ROUNDS 12u
#define RECORDS 4u

struct connection {
    const struct record_keys *keys;
    struct card *impl;
    bool copied; /* between associated data and record */
    struct record *records;
    unsigned char (*opened)[RECORD_MAX];
    bool in_place;
};

static EVP_CIPHER_CTX *hand_over(EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
    unsigned char noise[64] = {1};

    CHECK(EVP_CIPHER_CTX_copy(copy, ctx));
    EVP_Cipher(ctx, noise, noise, sizeof(noise)); /* what becomes of it does not matter to the copy */
    EVP_CIPHER_CTX_free(ctx);
    return copy;
}

static int seal_all(void *arg)
{
    struct connection *connection = arg;
    EVP_CIPHER_CTX *ctx = record_context(connection->keys, connection->impl, true);

    for (unsigned i = 0; i < RECORDS; i++) {
        record_announce(ctx, &connection->records[i]);
        if (connection->copied)
            ctx = hand_over(ctx);
        CHECK(record_seal(ctx, &connection->records[i]));
    }
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static int open_all(void *arg)
{
    struct connection *connection = arg;
    EVP_CIPHER_CTX *ctx = record_context(connection->keys, connection->impl, false);

    for (unsigned i = 0; i < RECORDS; i++) {
        record_announce(ctx, &connection->records[i]);
        if (connection->copied)
            ctx = hand_over(ctx);
        CHECK(record_open(ctx, &connection->records[i], connection->opened[i], connection->in_place));
        CHECK(record_is_open(&connection->records[i], connection->opened[i]));
    }
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void compare_connections(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct record plain[RECORDS], ours[RECORDS];
    static unsigned char opened[RECORDS][RECORD_MAX];
    static const unsigned versions[] = {0x0301, 0x0302, 0x0303};
    struct record_keys keys;
    struct connection connection = {.keys = &keys, .opened = opened};
    unsigned version = versions[number_below(numbers, 3)];

    record_keys_make_up(&keys, cipher, numbers);
    for (unsigned i = 0; i < RECORDS; i++)
        record_make_up(&plain[i], version, numbers);
    memcpy(ours, plain, sizeof(ours));
    connection.records = plain;
    CHECK(seal_all(&connection));
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned by_default = 0; by_default < 2; by_default++) {
            connection.impl = by_default ? NULL : card;
            connection.records = ours;
            connection.copied = number_below(numbers, 2) == 0;
            connection.in_place = number_below(numbers, 2) == 0;
            ways_set_default(card, by_default);
            CHECK(way_run(way, seal_all, &connection));
            for (unsigned i = 0; i < RECORDS; i++) {
                CHECK_EQ(ours[i].sealed_len, plain[i].sealed_len);
                CHECK(memcmp(ours[i].sealed, plain[i].sealed, plain[i].sealed_len) == 0);
            }
            CHECK(way_run(way, open_all, &connection));
            ways_set_default(card, false);
        }
    }
}

/* ---------------------------------------------------------------------------------------------- forgeries */

struct attempt {
    const struct record_keys *keys;
    struct card *impl;
    struct record *record;
    unsigned char opened[RECORD_MAX];
    unsigned long error;
};

static int attempt_to_open(void *arg)
{
    struct attempt *attempt = arg;
    EVP_CIPHER_CTX *ctx = record_context(attempt->keys, attempt->impl, false);
    bool opened;

    memset(attempt->opened, 0xa5, sizeof(attempt->opened));
    record_announce(ctx, attempt->record);
    opened = record_open(ctx, attempt->record, attempt->opened, false);
    EVP_CIPHER_CTX_free(ctx);
    attempt->error = ERR_peek_error();
    return opened;
}

static void check_nothing_came_out(const struct attempt *attempt)
{
    for (unsigned i = 0; i < attempt->record->sealed_len; i++)
        CHECK(attempt->opened[i] == 0 || attempt->opened[i] == 0xa5);
}

/* The record as it is deciphered, changed in one byte, enciphered again. */
static void change_inside(
    const struct record_keys *keys, struct record *record, unsigned at, unsigned char by)
{
    const EVP_CIPHER *cbc =
        EVP_CIPHER_get_key_length(keys->cipher) == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char clear[RECORD_MAX];
    int len;

    CHECK(EVP_DecryptInit_ex(ctx, cbc, NULL, keys->key, keys->iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_DecryptUpdate(ctx, clear, &len, record->sealed, (int)record->sealed_len));
    clear[at] ^= by;
    CHECK(EVP_EncryptInit_ex(ctx, cbc, NULL, keys->key, keys->iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_EncryptUpdate(ctx, record->sealed, &len, clear, (int)record->sealed_len));
    EVP_CIPHER_CTX_free(ctx);
}

static void try_everywhere(struct card *card, struct attempt *attempt, bool opens)
{
    unsigned long failed = ERR_PACK(ERR_LIB_PROV, 0, PROV_R_CIPHER_OPERATION_FAILED);

    for (unsigned way = 0; way < WAYS; way++) {
        attempt->impl = card;
        ERR_clear_error();
        CHECK_EQ(way_run(way, attempt_to_open, attempt), opens);
        /* No difference to be seen there either. Of a provider, EVP's rule is that a failure has an error. */
        CHECK_EQ(attempt->error, opens || !card_is_provider() ? 0 : failed);
        if (!opens)
            check_nothing_came_out(attempt);
    }
}

/* Text, MAC, padding and its length, one after the other. */
static void forge(struct card *card, const EVP_CIPHER *cipher, unsigned mac, struct numbers *numbers)
{
    static struct attempt attempt;
    static struct record good, bad;
    struct record_keys keys;
    EVP_CIPHER_CTX *ctx;
    unsigned padding;

    record_keys_make_up(&keys, cipher, numbers);
    record_make_up(&good, 0x0303, numbers);
    good.len = 500 + number_below(numbers, 16);
    ctx = record_context(&keys, NULL, true);
    record_announce(ctx, &good);
    CHECK(record_seal(ctx, &good));
    EVP_CIPHER_CTX_free(ctx);

    attempt.keys = &keys;
    attempt.record = &good;
    try_everywhere(card, &attempt, true);
    padding = good.sealed_len - RECORD_IV - good.len - mac;
    attempt.record = &bad;
    for (unsigned at = RECORD_IV; at < good.sealed_len; at++) {
        if (at == RECORD_IV + 8)
            at = good.sealed_len - mac - padding - 4; /* the middle of the text is like its ends */
        bad = good;
        change_inside(&keys, &bad, at, (unsigned char)(1 + number_below(numbers, 255)));
        try_everywhere(card, &attempt, false);
    }
    /* Too short for a MAC, and for anything. */
    bad = good;
    for (bad.sealed_len = 16; bad.sealed_len <= 48; bad.sealed_len += 16)
        try_everywhere(card, &attempt, false);
}

/* ---------------------------------------------------------------------------------------------------- CBC */

struct text {
    const struct record_keys *keys;
    struct card *impl;
    unsigned char in[3000], out[3100];
    int len, split, out_len;
};

static int encipher(void *arg)
{
    struct text *text = arg;
    EVP_CIPHER_CTX *ctx = record_context(text->keys, text->impl, true);
    int len;

    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0)); /* libcrypto takes whole blocks only */
    CHECK(EVP_EncryptUpdate(ctx, text->out, &text->out_len, text->in, text->split));
    CHECK(EVP_EncryptUpdate(
        ctx, text->out + text->out_len, &len, text->in + text->split, text->len - text->split));
    text->out_len += len;
    CHECK(EVP_EncryptFinal_ex(ctx, text->out + text->out_len, &len));
    text->out_len += len;
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void compare_cbc(struct card *card, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    static struct text plain, ours;
    struct record_keys keys;

    record_keys_make_up(&keys, cipher, numbers);
    plain.keys = &keys;
    number_fill(numbers, plain.in, sizeof(plain.in));
    plain.len = (int)(number_below(numbers, sizeof(plain.in) + 1) & ~15u);
    plain.split = (int)(number_below(numbers, (uint32_t)plain.len + 1) & ~15u);
    CHECK(encipher(&plain));
    for (unsigned way = 0; way < WAYS; way++) {
        memcpy(&ours, &plain, sizeof(ours));
        memset(ours.out, 0, sizeof(ours.out));
        ours.impl = card;
        CHECK(way_run(way, encipher, &ours));
        CHECK_EQ(ours.out_len, plain.out_len);
        CHECK(memcmp(ours.out, plain.out, (size_t)plain.out_len) == 0);
    }
}

int main(void)
{
    const struct {
        const EVP_CIPHER *cipher;
        unsigned mac;
        const char *name;
    } all[] = {
        {EVP_aes_128_cbc_hmac_sha1(), 20, "aes_cbc_hmac_sha1"},
        {EVP_aes_256_cbc_hmac_sha1(), 20, "aes_cbc_hmac_sha1"},
        {EVP_aes_128_cbc_hmac_sha256(), 32, "aes_cbc_hmac_sha256"},
        {EVP_aes_256_cbc_hmac_sha256(), 32, "aes_cbc_hmac_sha256"},
    };
    struct numbers numbers = {51};
    struct card *card;

    test_begin(120);
    card = ways_card(NULL);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        long before = card_count(card, all[i].name);

        if (all[i].cipher == NULL || !ways_have_cipher(card, all[i].cipher)) {
            ERR_clear_error();
            puts("no such cipher on this processor");
            continue;
        }
        for (unsigned round = 0; round < ROUNDS; round++) {
            compare_connections(card, all[i].cipher, &numbers);
            compare_cbc(card, all[i].cipher, &numbers);
        }
        forge(card, all[i].cipher, all[i].mac, &numbers);
        CHECK(card_count(card, all[i].name) > before + (long)(ROUNDS * RECORDS * 8));
    }
    CHECK(card_count(card, "failed") > 0);
    card_unload(card);
    return 0;
}
