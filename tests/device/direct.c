/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose text stays in the caller's memory: IV, associated data and tag are copies all the same; a
 * text that overlaps its result in part is copied; and a wrong tag leaves nothing of the text.
 */
#include "card.h"

#define LEN 4096u
#define SHIFT 16u

static struct ersatz_device *device;
static struct ersatz_stats stats;

static struct ersatz_cipher *make(enum ersatz_mode mode, bool encrypt)
{
    static const uint8_t key[16] = {5};
    struct ersatz_cipher *cipher;

    CHECK_EQ(ersatz_cipher_new(mode, 128, &cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, sizeof(key), encrypt), ERSATZ_OK);
    return cipher;
}

static void fill(uint8_t *text, unsigned seed)
{
    for (unsigned i = 0; i < LEN; i++)
        text[i] = (uint8_t)(i * 3 + i / 256 + seed);
}

struct pieces {
    uint8_t iv[12], aad[20], tag[16];
};

static struct ersatz_op gcm(struct ersatz_cipher *cipher, struct pieces *pieces, uint8_t *text)
{
    return (struct ersatz_op){.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = cipher,
            .long_iv = pieces->iv,
            .iv_len = sizeof(pieces->iv),
            .aad = pieces->aad,
            .aad_len = sizeof(pieces->aad),
            .in = text,
            .out = text,
            .len = LEN,
            .tag = pieces->tag,
            .tag_len = sizeof(pieces->tag)}};
}

/* The pieces are changed and the text too after the request is made: only the latter counts. */
static void check_pieces(void)
{
    static uint8_t text[LEN], expected[LEN];
    struct ersatz_cipher *cipher = make(ERSATZ_GCM, true);
    struct pieces right = {.iv = {1}, .aad = {2}}, pieces = right;
    struct ersatz_op plain = gcm(cipher, &right, expected), op = gcm(cipher, &pieces, text);
    struct ersatz_request *request;

    fill(expected, 2);
    CHECK_EQ(ersatz_compute(&plain, &stats), ERSATZ_OK);
    fill(text, 1);
    CHECK_EQ(ersatz_request_new_direct(device, &op, &request), ERSATZ_OK);
    fill(text, 2);
    memset(pieces.iv, 9, sizeof(pieces.iv));
    memset(pieces.aad, 9, sizeof(pieces.aad));
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK(memcmp(text, expected, LEN) == 0); /* written by the card */
    CHECK(memcmp(pieces.tag, right.tag, sizeof(right.tag)) != 0);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(memcmp(pieces.tag, right.tag, sizeof(right.tag)) == 0);
    ersatz_cipher_free(cipher);
}

static void check_wrong_tag(void)
{
    static uint8_t text[LEN];
    static const uint8_t zeros[LEN];
    struct ersatz_cipher *cipher = make(ERSATZ_GCM, false);
    struct pieces pieces = {.iv = {1}};
    struct ersatz_op op = gcm(cipher, &pieces, text);
    struct ersatz_request *request;

    fill(text, 1);
    CHECK_EQ(ersatz_request_new_direct(device, &op, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_BAD_TAG);
    CHECK(memcmp(text, zeros, LEN) == 0);
    ersatz_cipher_free(cipher);
}

/* Both ways: in CBC the card would read what it has written. */
static void check_overlap(bool forwards)
{
    static uint8_t text[LEN + SHIFT], from[LEN], expected[LEN];
    static const uint8_t iv[16] = {4};
    struct ersatz_cipher *cipher = make(ERSATZ_CBC, true);
    uint8_t *in = text + (forwards ? 0 : SHIFT), *out = text + (forwards ? SHIFT : 0);
    struct ersatz_op plain = ersatz_text_op(cipher, iv, expected, from, LEN),
                     op = ersatz_text_op(cipher, iv, out, in, LEN);
    struct ersatz_request *request;

    fill(from, 1);
    CHECK_EQ(ersatz_compute(&plain, &stats), ERSATZ_OK);
    memcpy(in, from, LEN);
    CHECK_EQ(ersatz_request_new_direct(device, &op, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_wait(request, -1), ERSATZ_OK);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(memcmp(out, expected, LEN) == 0);
    ersatz_cipher_free(cipher);
}

int main(void)
{
    test_begin(60);
    device = card_open(&stats, 1, 0, false);
    check_pieces();
    check_wrong_tag();
    check_overlap(false);
    check_overlap(true);
    ersatz_device_free(device);
    return 0;
}
