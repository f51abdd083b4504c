/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that overlaps its result in part. An engine's cipher is refused that by EVP, whoever has made it.
 * With a provider EVP lets it pass: a result in front of its text is right; one behind its text is what the
 * code makes of it, with libcrypto's as with the card's, but nothing else changes. A job's text is copied, so
 * on the card it is right.
 *
 * And texts that are encrypted in place in pieces of any length, where results lag behind.
 */
#include <openssl/err.h>
#include <openssl/objects.h>

#include "all_ways.h"

#define LEN_MAX 8208
#define ARENA (3 * LEN_MAX)
#define TAG 16

static struct card *card;
static const unsigned char key[64] = "two halves of a key for AES-XTS, which must not be like another";
static const unsigned char iv[16] = "not a number";
static const int nids[] = {NID_aes_128_cbc, NID_aes_128_ctr, NID_aes_128_gcm, NID_aes_128_ecb,
    NID_aes_128_cfb128, NID_aes_128_ofb128, NID_aes_128_ccm, NID_aes_128_xts, NID_aes_128_cbc_hmac_sha1};
static const int lengths[] = {64, 1040, LEN_MAX};
static unsigned char texts[2][LEN_MAX], tag[TAG]; /* a text: plain, encrypted */

struct message {
    const EVP_CIPHER *cipher;
    bool by_card; /* else libcrypto's, through the same door */
    int encrypt, len;
    unsigned char *in, *out; /* in an arena */
    unsigned char tag[TAG];
};

static int mode_of(const struct message *message)
{
    return EVP_CIPHER_get_mode(message->cipher);
}

/* Where OpenSSL has engines, a copy of libcrypto's cipher is one for EVP as an engine's is: it was not
 * fetched. */
static EVP_CIPHER *copy_cipher(const EVP_CIPHER *cipher)
{
#if OPENSSL_VERSION_MAJOR < 4
    return card_is_provider() ? NULL : EVP_CIPHER_meth_dup(cipher);
#else
    (void)cipher;
    return NULL;
#endif
}

static void free_copy(EVP_CIPHER *copy)
{
#if OPENSSL_VERSION_MAJOR < 4
    EVP_CIPHER_meth_free(copy);
#else
    (void)copy;
#endif
}

/* *copy: to be freed with free_copy() after the context. */
static EVP_CIPHER_CTX *begin(const struct message *message, EVP_CIPHER **copy)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int encrypt = message->encrypt;

    *copy = message->by_card ? NULL : copy_cipher(message->cipher);
    CHECK(message->by_card
              ? ways_cipher_init(card, ctx, message->cipher, NULL, NULL, encrypt)
              : EVP_CipherInit_ex(ctx, *copy != NULL ? *copy : message->cipher, NULL, NULL, NULL, encrypt));
    return ctx;
}

static void end(EVP_CIPHER_CTX *ctx, EVP_CIPHER *copy)
{
    EVP_CIPHER_CTX_free(ctx);
    free_copy(copy);
}

/* One text in one piece. */
static int do_message(void *arg)
{
    struct message *message = arg;
    bool is_ccm = mode_of(message) == EVP_CIPH_CCM_MODE, is_gcm = mode_of(message) == EVP_CIPH_GCM_MODE;
    unsigned char *given_tag = message->encrypt ? NULL : message->tag;
    EVP_CIPHER *copy;
    EVP_CIPHER_CTX *ctx = begin(message, &copy);
    unsigned char rest[32];
    int len = -1, none, done;

    if (is_ccm)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, given_tag) == 1);
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, iv, message->encrypt));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
    if (is_ccm)
        CHECK(EVP_CipherUpdate(ctx, NULL, &none, NULL, message->len));
    if (is_gcm && !message->encrypt)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, given_tag) == 1);
    done = EVP_CipherUpdate(ctx, message->out, &len, message->in, message->len) == 1;
    CHECK(!done || len == message->len);
    if (done && is_gcm)
        done = EVP_CipherFinal_ex(ctx, rest, &none) == 1;
    if (done && message->encrypt && (is_gcm || is_ccm))
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, message->tag) == 1);
    end(ctx, copy);
    return done;
}

static bool is_refused_by_evp(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_EVP && ERR_GET_REASON(error) == EVP_R_PARTIALLY_OVERLAPPING;
}

/* Puts the message's text into the arena, and its result `shift` bytes behind. */
static void place(struct message *message, unsigned char *arena, int shift)
{
    memset(arena, 0xa5, ARENA);
    message->in = arena + LEN_MAX;
    message->out = message->in + shift;
    memcpy(message->in, texts[!message->encrypt], (size_t)message->len);
    memcpy(message->tag, tag, TAG);
}

static bool is_right(const struct message *message)
{
    return memcmp(message->out, texts[message->encrypt], (size_t)message->len) == 0 &&
           memcmp(message->tag, tag, TAG) == 0;
}

/* Whether nothing of the arena has changed but the result. */
static bool is_rest_untouched(const struct message *message, const unsigned char *arena, int shift)
{
    static unsigned char before[ARENA];
    struct message same = *message;

    place(&same, before, shift);
    memcpy(before + LEN_MAX + shift, message->out, (size_t)message->len);
    return memcmp(before, arena, ARENA) == 0;
}

static void check_shift(const struct message *given, int shift, enum way way, bool is_on_card)
{
    static unsigned char arenas[2][ARENA];
    struct message plain = *given, ours = *given;
    bool has_tag = mode_of(given) == EVP_CIPH_GCM_MODE || mode_of(given) == EVP_CIPH_CCM_MODE, plain_done,
         done;

    ours.by_card = true;
    place(&plain, arenas[0], shift);
    place(&ours, arenas[1], shift);
    plain_done = do_message(&plain);
    CHECK_EQ(!card_is_provider(), !plain_done && is_refused_by_evp());
    ERR_clear_error();
    done = way_run(way, do_message, &ours);
    if (!card_is_provider()) {
        CHECK(!done);
        CHECK(is_refused_by_evp());
        ERR_clear_error();
        place(&plain, arenas[0], shift);
        CHECK(memcmp(arenas[0], arenas[1], ARENA) == 0);
        return;
    }
    CHECK(is_rest_untouched(&ours, arenas[1], shift));
    if (shift < 0) {
        CHECK(plain_done && is_right(&plain));
        CHECK(done && is_right(&ours));
    } else if (is_on_card && way != WAY_PLAIN) {
        CHECK(done && is_right(&ours));
    } else {
        CHECK(plain_done || (has_tag && !given->encrypt));
        CHECK(done || (has_tag && !given->encrypt));
    }
    ERR_clear_error();
}

static void check_shifts(struct message *message, enum way way, bool is_on_card)
{
    static const int shifts[] = {1, 16, 33};

    for (unsigned i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
        check_shift(message, shifts[i], way, is_on_card);
        check_shift(message, -shifts[i], way, is_on_card);
        check_shift(message, message->len - shifts[i], way, is_on_card);
        check_shift(message, shifts[i] - message->len, way, is_on_card);
    }
}

/* The right answer, without overlaps. */
static void make_texts(const EVP_CIPHER *cipher, int len)
{
    struct message message = {.cipher = cipher, .encrypt = 1, .len = len, .in = texts[0], .out = texts[1]};

    memset(tag, 0, TAG);
    CHECK(do_message(&message));
    memcpy(tag, message.tag, TAG);
}

/* ------------------------------------------------------------------------------------ in place, in pieces */

struct pieces {
    struct message message;
    unsigned char arena[LEN_MAX + 32];
    int padding, written, refused; /* written: in all; refused: the number of that piece, or 0 */
};

static int do_pieces(void *arg)
{
    static const int lens[] = {5, 16, 11, 48, 1, 1023, 4096, 333};
    struct pieces *pieces = arg;
    const struct message *message = &pieces->message;
    EVP_CIPHER *copy;
    EVP_CIPHER_CTX *ctx = begin(message, &copy);
    int taken = 0, len;

    memset(pieces->arena, 0xa5, sizeof(pieces->arena));
    memcpy(pieces->arena, texts[!message->encrypt], (size_t)message->len);
    pieces->written = pieces->refused = 0;
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, iv, message->encrypt));
    CHECK(EVP_CIPHER_CTX_set_padding(ctx, pieces->padding));
    for (int i = 0; taken < message->len; i++) {
        int next = lens[i % 8] < message->len - taken ? lens[i % 8] : message->len - taken;

        if (EVP_CipherUpdate(ctx, pieces->arena + pieces->written, &len, pieces->arena + taken, next) != 1) {
            pieces->refused = i + 1;
            break;
        }
        pieces->written += len;
        taken += next;
    }
    end(ctx, copy);
    return pieces->refused == 0;
}

static void check_pieces(const struct message *given, int padding, enum way way)
{
    static struct pieces plain, ours;

    plain.message = ours.message = *given;
    plain.padding = ours.padding = padding;
    ours.message.by_card = true;
    do_pieces(&plain);
    way_run(way, do_pieces, &ours);
    ERR_clear_error();
    CHECK_EQ(ours.refused, plain.refused);
    CHECK_EQ(ours.written, plain.written);
    CHECK(memcmp(ours.arena, plain.arena, (size_t)plain.written) == 0);
    CHECK(plain.refused != 0 || plain.written >= given->len - 16);
    CHECK(plain.refused != 0 || memcmp(plain.arena, texts[given->encrypt], (size_t)plain.written) == 0);
}

static bool comes_in_pieces(const struct message *message)
{
    int mode = mode_of(message);

    return mode != EVP_CIPH_XTS_MODE && mode != EVP_CIPH_GCM_MODE && mode != EVP_CIPH_CCM_MODE &&
           (EVP_CIPHER_get_flags(message->cipher) & EVP_CIPH_FLAG_AEAD_CIPHER) == 0;
}

int main(int argc, char **argv)
{
    bool is_on_card = argc < 2 || strcmp(argv[1], "fastest") != 0;
    struct numbers numbers = {1};

    test_begin(100);
    card = ways_card(is_on_card ? NULL : "OFFLOAD:fastest");
    number_fill(&numbers, texts[0], LEN_MAX);
    for (unsigned i = 0; i < sizeof(nids) / sizeof(nids[0]); i++) {
        struct message message = {.cipher = EVP_get_cipherbynid(nids[i])};

        if (!ways_have_cipher(card, message.cipher))
            continue;
        for (unsigned n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
            message.len = lengths[n];
            make_texts(message.cipher, message.len);
            for (message.encrypt = 0; message.encrypt < 2; message.encrypt++) {
                for (enum way way = WAY_PLAIN; way < WAYS; way++) {
                    check_shifts(&message, way, is_on_card);
                    for (int padding = 0; padding < 2 && comes_in_pieces(&message); padding++)
                        check_pieces(&message, padding, way);
                }
            }
        }
    }
    CHECK(card_count(card, "completed") > 0 || !card_is_provider() || !is_on_card);
    card_unload(card);
    return 0;
}
