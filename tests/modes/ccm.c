/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CCM: the same messages to plain libcrypto and to the card give the same text and tag, for every
 * length of nonce and tag; a wrong tag is refused and nothing of the text comes out; and libcrypto's rules of
 * use hold.
 */
#include <openssl/err.h>

#include "all_ways.h"

#define TEXT_MAX 3000u
#define AAD_MAX 300u
#define ROUNDS 60u

struct message {
    const EVP_CIPHER *cipher;
    struct card *impl;
    bool in_place, copied, empty_by_final;
    bool is_reference; /* by plain libcrypto: 3.0.19 gives no tag of an empty text without a call for it */
    unsigned char key[32], nonce[13], aad[AAD_MAX], text[TEXT_MAX];
    int nonce_len, tag_len, aad_len, len;
    unsigned char sealed[TEXT_MAX], tag[16], opened[TEXT_MAX];
};

static EVP_CIPHER_CTX *begin(const struct message *m, const unsigned char *tag, int encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    CHECK(ways_cipher_init(m->impl, ctx, m->cipher, NULL, NULL, encrypt));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, m->nonce_len, NULL) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, m->tag_len, (void *)tag) == 1);
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, m->key, m->nonce, -1));
    CHECK(EVP_CIPHER_CTX_get_iv_length(ctx) == m->nonce_len);
    return ctx;
}

/* A copy goes on, and the original goes. */
static EVP_CIPHER_CTX *hand_over(EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

    CHECK(EVP_CIPHER_CTX_copy(copy, ctx));
    EVP_CIPHER_CTX_free(ctx);
    return copy;
}

static EVP_CIPHER_CTX *lengths_and_aad(const struct message *m, EVP_CIPHER_CTX *ctx)
{
    int len;

    if (m->aad_len > 0) {
        CHECK(EVP_CipherUpdate(ctx, NULL, &len, NULL, m->len) && len == m->len);
        CHECK(EVP_CipherUpdate(ctx, NULL, &len, m->aad, m->aad_len) && len == m->aad_len);
    }
    return m->copied ? hand_over(ctx) : ctx;
}

static int seal(void *arg)
{
    struct message *m = arg;
    EVP_CIPHER_CTX *ctx = lengths_and_aad(m, begin(m, NULL, 1));
    const unsigned char *in = m->text;
    int len = 0, more;

    if (m->in_place)
        in = memcpy(m->sealed, m->text, sizeof(m->sealed));
    if (m->len > 0 || !m->empty_by_final || m->is_reference)
        CHECK(EVP_EncryptUpdate(ctx, m->sealed, &len, in, m->len) && len == m->len);
    CHECK(EVP_EncryptFinal_ex(ctx, m->sealed + len, &more) && more == 0);
    if (m->copied)
        ctx = hand_over(ctx);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, m->tag_len, m->tag) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, m->tag_len, m->tag) != 1);
    /* a nonce is used once */
    ERR_set_mark();
    CHECK(!EVP_EncryptUpdate(ctx, m->opened, &more, m->text, m->len));
    ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

/* Whether the message opens. What does not open leaves no text behind. */
static int open(void *arg)
{
    struct message *m = arg;
    EVP_CIPHER_CTX *ctx = lengths_and_aad(m, begin(m, m->tag, 0));
    const unsigned char *in = m->sealed;
    int len = 0, more, ok;

    memset(m->opened, 0xa5, sizeof(m->opened));
    if (m->in_place)
        in = memcpy(m->opened, m->sealed, sizeof(m->sealed));
    if (m->len > 0 || !m->empty_by_final)
        ok = EVP_DecryptUpdate(ctx, m->opened, &len, in, m->len) && len == m->len;
    else
        ok = EVP_DecryptFinal_ex(ctx, m->opened, &more);
    if (!ok)
        CHECK(!m->impl || !EVP_DecryptFinal_ex(ctx, m->opened, &more)); /* and does not change its mind */
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static void write_message(struct message *m, struct numbers *numbers)
{
    number_fill(numbers, m->key, sizeof(m->key));
    number_fill(numbers, m->nonce, sizeof(m->nonce));
    number_fill(numbers, m->aad, sizeof(m->aad));
    number_fill(numbers, m->text, sizeof(m->text));
    m->nonce_len = 7 + (int)number_below(numbers, 7);
    m->tag_len = 4 + 2 * (int)number_below(numbers, 7);
    m->aad_len = number_below(numbers, 3) == 0 ? 0 : (int)number_below(numbers, AAD_MAX + 1);
    m->len = number_below(numbers, 5) == 0 ? 0 : (int)number_below(numbers, TEXT_MAX + 1);
    m->in_place = number_below(numbers, 2) == 0;
    m->copied = number_below(numbers, 2) == 0;
    m->empty_by_final = number_below(numbers, 2) == 0;
}

static void check_nothing_came_out(const struct message *m)
{
    static const unsigned char zeros[TEXT_MAX];
    unsigned char untouched[TEXT_MAX];

    memset(untouched, 0xa5, sizeof(untouched));
    if (m->len > 0)
        CHECK(memcmp(m->opened, zeros, (size_t)m->len) == 0 ||
              memcmp(m->opened, untouched, (size_t)m->len) == 0);
}

static void forge_and_open(enum way way, struct message *m)
{
    struct message forged = *m;

    forged.tag[m->tag_len - 1] ^= 1;
    CHECK(!way_run(way, open, &forged));
    check_nothing_came_out(&forged);
    forged = *m;
    forged.nonce[0] ^= 0x80;
    CHECK(!way_run(way, open, &forged));
    check_nothing_came_out(&forged);
    if (m->len > 0) {
        forged = *m;
        forged.sealed[m->len - 1] ^= 4;
        CHECK(!way_run(way, open, &forged));
        check_nothing_came_out(&forged);
    }
    if (m->aad_len > 0) {
        forged = *m;
        forged.aad[0] ^= 2;
        CHECK(!way_run(way, open, &forged));
        check_nothing_came_out(&forged);
    }
    ERR_clear_error();
}

static void play_all_ways(struct card *card, struct message *m)
{
    struct message plain = *m;

    plain.is_reference = true;
    seal(&plain);
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned by_default = 0; by_default < 2; by_default++) {
            struct message ours = *m;

            ours.impl = by_default ? NULL : card;
            ways_set_default(card, by_default);
            CHECK(way_run(way, seal, &ours));
            CHECK(memcmp(ours.sealed, plain.sealed, (size_t)m->len) == 0);
            CHECK(memcmp(ours.tag, plain.tag, (size_t)m->tag_len) == 0);
            CHECK(way_run(way, open, &ours));
            CHECK(memcmp(ours.opened, m->text, (size_t)m->len) == 0);
            forge_and_open(way, &ours);
            ways_set_default(card, false);
        }
    }
}

/* Lengths that change from one message to the next, with the key as it was. */
static void change_lengths(struct card *card)
{
    static struct message m, plain;
    struct numbers numbers = {44};
    EVP_CIPHER_CTX *ctx;
    unsigned char out[TEXT_MAX], tag[16];
    int len;

    m.cipher = EVP_aes_256_ccm();
    write_message(&m, &numbers);
    m.impl = card;
    ctx = begin(&m, NULL, 1);
    for (m.nonce_len = 7; m.nonce_len <= 13; m.nonce_len++) {
        for (m.tag_len = 4; m.tag_len <= 16; m.tag_len += 2) {
            m.len = 100 + m.tag_len;
            m.aad_len = 0;
            plain = m;
            plain.impl = NULL;
            seal(&plain);
            CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, m.nonce_len, NULL) == 1);
            CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, m.tag_len, NULL) == 1);
            CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, m.nonce, -1));
            CHECK(EVP_EncryptUpdate(ctx, out, &len, m.text, m.len));
            CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, m.tag_len, tag) == 1);
            CHECK(memcmp(out, plain.sealed, (size_t)m.len) == 0);
            CHECK(memcmp(tag, plain.tag, (size_t)m.tag_len) == 0);
        }
    }
    EVP_CIPHER_CTX_free(ctx);
}

struct tls_seal {
    struct card *impl;
    int tag_len, len; /* of the text */
    unsigned char record[8 + 600 + 16];
};

/* One record as libssl has it sealed (RFC 6655): the explicit part of the nonce is the sequence number. */
static int seal_tls(void *arg)
{
    static const unsigned char key[16] = {1}, fixed[4] = {2};
    struct tls_seal *tls = arg;
    unsigned char aad[13] = {9, 8, 7, 6, 5, 4, 3, 2, 23, 3, 3};
    int total = 8 + tls->len + tls->tag_len;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    aad[11] = (unsigned char)((8 + tls->len) >> 8);
    aad[12] = (unsigned char)(8 + tls->len);
    memset(tls->record, 0xee, sizeof(tls->record));
    CHECK(ways_cipher_init(tls->impl, ctx, EVP_aes_128_ccm(), NULL, NULL, 1));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) > 0);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tls->tag_len, NULL) > 0);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_CCM_SET_IV_FIXED, 4, (void *)fixed) > 0);
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, -1));
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad), tls->tag_len);
    CHECK(EVP_Cipher(ctx, tls->record, tls->record, (unsigned)total) > 0);
    CHECK(memcmp(tls->record, aad, 8) == 0);
    EVP_CIPHER_CTX_free(ctx);
    return 1;
}

static void compare_tls(struct card *card)
{
    for (int len = 0; len <= 600; len += 37) {
        for (unsigned way = 0; way < WAYS; way++) {
            struct tls_seal plain = {.len = len, .tag_len = len % 2 == 0 ? 16 : 8}, ours = plain;

            ours.impl = card;
            seal_tls(&plain);
            CHECK(way_run(way, seal_tls, &ours));
            CHECK(memcmp(ours.record, plain.record, sizeof(plain.record)) == 0);
        }
    }
}

/* What libcrypto refuses is refused, and what it takes again after that works. */
static void check_rules(struct card *card)
{
    struct message m = {.cipher = EVP_aes_128_ccm(), .impl = card, .nonce_len = 12, .tag_len = 8};
    EVP_CIPHER_CTX *ctx = begin(&m, NULL, 1);
    unsigned char out[32];
    int len;

    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_CCM_SET_L, 1, NULL) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_CCM_SET_L, 9, NULL) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 5, NULL) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 18, NULL) != 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 8, out) != 1); /* encrypting: there is none yet */
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 8, out) != 1);
    CHECK(!EVP_CipherUpdate(ctx, NULL, &len, m.aad, 5)); /* the length of the text is not known */
    CHECK(EVP_CipherUpdate(ctx, NULL, &len, NULL, 16));
    CHECK(!EVP_CipherUpdate(ctx, out, &len, m.text, 17)); /* not the length that was said */
    CHECK(EVP_CipherUpdate(ctx, out, &len, m.text, 16));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out) != 1); /* not the length that was set */
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 8, out) == 1);
    EVP_CIPHER_CTX_free(ctx);

    m.nonce_len = 13; /* two bytes of length: 65,535 at most */
    ctx = begin(&m, NULL, 1);
    {
        static unsigned char large[65536];

        CHECK(!EVP_CipherUpdate(ctx, large, &len, large, 65536));
    }
    EVP_CIPHER_CTX_free(ctx);

    ctx = begin(&m, NULL, 0);
    CHECK(!EVP_CipherUpdate(ctx, out, &len, m.text, 16)); /* no tag to compare with */
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
}

/* The end of a message that never began is refused, which some versions of libcrypto accept. */
static void check_ends(struct card *card)
{
    struct message m = {.cipher = EVP_aes_128_ccm(), .impl = card, .nonce_len = 12, .tag_len = 8, .len = 16};
    EVP_CIPHER_CTX *ctx;
    unsigned char out[32];
    int len;

    seal(&m);
    for (int encrypt = 0; encrypt < 2; encrypt++) {
        const unsigned char *tag = encrypt ? NULL : m.tag;

        ctx = EVP_CIPHER_CTX_new(); /* no nonce */
        CHECK(ways_cipher_init(card, ctx, m.cipher, m.key, NULL, encrypt));
        CHECK(!EVP_CipherFinal_ex(ctx, out, &len));
        EVP_CIPHER_CTX_free(ctx);

        ctx = begin(&m, tag, encrypt); /* only a part of one */
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_CCM_SET_IV_FIXED, 4, m.nonce) > 0);
        CHECK(!EVP_CipherFinal_ex(ctx, out, &len));
        EVP_CIPHER_CTX_free(ctx);

        ctx = begin(&m, tag, encrypt); /* that of the message before is used up */
        CHECK(EVP_CipherUpdate(ctx, out, &len, encrypt ? m.text : m.sealed, m.len));
        CHECK(EVP_CipherFinal_ex(ctx, out + len, &len));
        CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, m.key, NULL, -1));
        CHECK(!EVP_CipherFinal_ex(ctx, out, &len));
        EVP_CIPHER_CTX_free(ctx);
    }
    ERR_clear_error();
}

static void compare_mode(struct card *card, const EVP_CIPHER *cipher, uint64_t seed)
{
    struct numbers numbers = {seed};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct message m = {.cipher = cipher};

        write_message(&m, &numbers);
        play_all_ways(card, &m);
    }
}

int main(void)
{
    struct card *card;

    test_begin(60);
    card = ways_card(NULL);
    compare_mode(card, EVP_aes_128_ccm(), 41);
    compare_mode(card, EVP_aes_192_ccm(), 42);
    compare_mode(card, EVP_aes_256_ccm(), 43);
    CHECK(card_count(card, "aes_ccm") >= 3 * (long)ROUNDS * 8);
    change_lengths(card);
    compare_tls(card);
    check_rules(card);
    check_ends(card);
    card_unload(card);
    return 0;
}
