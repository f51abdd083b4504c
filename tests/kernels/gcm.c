/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GCM in pieces, by the x86 kernel or by Intel's library, against libcrypto: associated data and text split
 * anywhere, IVs and tags of every length, copies in mid-message, messages that change kernels or are turned
 * around; and what is out of order.
 *
 * gcm vaes | ARCHITECTURE of the library
 */
#include "pairs.h"

#define MESSAGES 400u /* for each key size */

/* A message, and where each piece of it goes. */
struct message {
    uint8_t iv[128], aad[700], text[3000], out[3000], tag[16];
    size_t iv_len, aad_len, text_len, tag_len;
};

static void make(struct message *message)
{
    pair_random_bytes(message->iv, sizeof(message->iv));
    pair_random_bytes(message->aad, sizeof(message->aad));
    pair_random_bytes(message->text, sizeof(message->text));
    message->iv_len = pair_random(2) ? 12 : 1 + pair_random(128);
    message->aad_len = pair_random(3) == 0 ? pair_random(700) : pair_random(64);
    message->text_len = pair_random(3000);
    message->tag_len = 1 + pair_random(16);
}

/* Up to most, often little, and often whole blocks. */
static size_t piece(size_t most)
{
    size_t len = pair_random(4) == 0 ? pair_random(800) : pair_random(40);

    if (pair_random(2) == 0)
        len = 16 * pair_random(6);
    return len < most ? len : most;
}

/* All of it at once, or not: then libcrypto computes the message. */
static size_t aad_piece(size_t most)
{
    return pair_random(3) == 0 ? piece(most) : most;
}

/* Copies in mid-message go on; the originals are done with. */
static void go_on_with_copy(struct pair *pair)
{
    struct pair copy = *pair;

    CHECK_EQ(ersatz_cipher_dup(pair->portable, &copy.portable), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_dup(pair->fast, &copy.fast), ERSATZ_OK);
    pair_free(pair);
    *pair = copy;
}

static struct ersatz_op first_piece(const struct message *message)
{
    return (struct ersatz_op){
        .kind = ERSATZ_CIPHER, .u.cipher = {.long_iv = message->iv, .iv_len = message->iv_len}};
}

/* All of the message, in pieces. Returns the last piece's result. */
static enum ersatz_result run(struct pair *pair, struct message *message, const uint8_t *text, uint8_t *out)
{
    struct ersatz_op op = first_piece(message);
    size_t aad = 0, done = 0;
    bool ended = false;
    enum ersatz_result result = ERSATZ_OK;

    while (!ended) {
        op.u.cipher.aad = message->aad + aad;
        op.u.cipher.aad_len = done == 0 ? aad_piece(message->aad_len - aad) : 0;
        aad += op.u.cipher.aad_len;
        if (aad == message->aad_len) {
            op.u.cipher.in = text + done;
            op.u.cipher.out = out + done;
            op.u.cipher.len = piece(message->text_len - done);
            done += op.u.cipher.len;
        }
        ended = aad == message->aad_len && done == message->text_len && pair_random(2) == 0;
        if (ended) {
            op.u.cipher.tag = message->tag;
            op.u.cipher.tag_len = message->tag_len;
        }
        result = pair_compute(pair, op, pair_random(2) == 0);
        CHECK(ended || result == ERSATZ_OK);
        if (!ended && pair_random(10) == 0)
            go_on_with_copy(pair);
        op = (struct ersatz_op){.kind = ERSATZ_CIPHER};
    }
    return result;
}

static void turn(struct pair *pair, bool encrypt)
{
    CHECK_EQ(ersatz_cipher_set_direction(pair->portable, encrypt), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_direction(pair->fast, encrypt), ERSATZ_OK);
    pair->encrypt = encrypt;
}

static void check_message(struct pair *pair)
{
    static struct message message;
    static uint8_t again[3000];

    make(&message);
    CHECK_EQ(run(pair, &message, message.text, message.out), ERSATZ_OK);
    turn(pair, false);
    CHECK_EQ(run(pair, &message, message.out, again), ERSATZ_OK);
    CHECK(memcmp(again, message.text, message.text_len) == 0);
    message.tag[pair_random((uint32_t)message.tag_len)] ^= (uint8_t)(1u << pair_random(8));
    CHECK_EQ(run(pair, &message, message.out, again), ERSATZ_BAD_TAG);
    turn(pair, true);
}

/* A message that is turned in its middle: each piece has the direction of its time. The tag tells what was
 * hashed, and so the end encrypts. */
static void check_turned(struct pair *pair)
{
    static struct message message;
    struct ersatz_op op;
    bool ended = false;

    make(&message);
    op = first_piece(&message);
    op.u.cipher.aad = message.aad;
    op.u.cipher.aad_len = pair_random(70);
    for (size_t done = 0; !ended; done += op.u.cipher.len) {
        if (done > 0)
            op = (struct ersatz_op){.kind = ERSATZ_CIPHER};
        op.u.cipher.in = message.text + done;
        op.u.cipher.len = 1 + piece(message.text_len - done);
        ended = done + op.u.cipher.len >= message.text_len;
        if (ended) {
            op.u.cipher.len = message.text_len - done;
            op.u.cipher.tag = message.tag;
            op.u.cipher.tag_len = message.tag_len;
        }
        turn(pair, ended || pair_random(2) == 0);
        CHECK_EQ(pair_compute(pair, op, pair_random(2) == 0), ERSATZ_OK);
    }
}

/* What comes too early, too late, or has no such length. */
static void check_refusals(struct pair *pair)
{
    static struct message message;
    struct ersatz_op begin, text = {.kind = ERSATZ_CIPHER}, aad = text, end = text;

    make(&message);
    begin = first_piece(&message);
    text.u.cipher.in = message.text;
    text.u.cipher.len = 20;
    aad.u.cipher.aad = message.aad;
    aad.u.cipher.aad_len = 5;
    end.u.cipher.tag = message.tag;
    end.u.cipher.tag_len = 16;
    CHECK(pair_compute(pair, text, false) != ERSATZ_OK); /* no message was begun */
    CHECK(pair_compute(pair, aad, false) != ERSATZ_OK);
    CHECK(pair_compute(pair, end, false) != ERSATZ_OK);
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    CHECK(pair_compute(pair, aad, false) != ERSATZ_OK); /* after the text */
    begin.u.cipher.in = message.text;
    begin.u.cipher.len = 20;
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
    CHECK(pair_compute(pair, aad, false) != ERSATZ_OK); /* after the text that came with the IV */
    begin = first_piece(&message);
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK); /* a message given up, another begun */
    CHECK_EQ(pair_compute(pair, end, false), ERSATZ_OK);
    CHECK(pair_compute(pair, text, false) != ERSATZ_OK); /* the message has ended */
    begin.u.cipher.iv_len = 0;
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_BAD_INPUT);
    begin.u.cipher.iv_len = 129;
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_BAD_INPUT);
    begin.u.cipher.iv_len = 12;
    turn(pair, false);
    for (end.u.cipher.tag_len = 0; end.u.cipher.tag_len <= 17; end.u.cipher.tag_len += 17) {
        CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
        CHECK_EQ(pair_compute(pair, end, false), ERSATZ_BAD_INPUT);
    }
    turn(pair, true);
}

/* The same of messages that the kernel has from their first piece on, by each function that takes the
 * piece. */
static void check_late_pieces(struct pair *pair)
{
    static struct message message;
    struct ersatz_op begin, text = {.kind = ERSATZ_CIPHER}, end = text, late;

    make(&message);
    begin = first_piece(&message);
    begin.u.cipher.in = text.u.cipher.in = message.text;
    begin.u.cipher.len = text.u.cipher.len = 20;
    end.u.cipher.tag = message.tag;
    end.u.cipher.tag_len = 16;
    late = text;
    late.u.cipher.aad = message.aad;
    late.u.cipher.aad_len = 5;
    for (unsigned i = 0; i < 16; i++) {
        CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
        CHECK(pair_compute(pair, late, false) != ERSATZ_OK); /* associated data, after text */
        CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
        CHECK_EQ(pair_compute(pair, end, false), ERSATZ_OK);
        CHECK(pair_compute(pair, i % 2 == 0 ? text : end, false) != ERSATZ_OK); /* the message has ended */
    }
}

/* A message stays with its kernel when another is chosen in the middle. */
static void check_choice(struct pair *pair)
{
    static struct message message;
    struct ersatz_op begin, text = {.kind = ERSATZ_CIPHER};
    uint64_t before = pair_fast_count();

    make(&message);
    text.u.cipher.in = message.text;
    text.u.cipher.len = 100;
    begin = first_piece(&message);
    begin.u.cipher.in = message.text;
    begin.u.cipher.len = 20;
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK);
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    CHECK_EQ(pair_fast_count() - before, 2);
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    CHECK_EQ(pair_fast_count() - before, 3);
    CHECK_EQ(pair_compute(pair, begin, false), ERSATZ_OK); /* the next one is for the kernel chosen */
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    CHECK_EQ(pair_fast_count() - before, 3);
    CHECK_EQ(pair_compute(pair, first_piece(&message), false), ERSATZ_OK); /* associated data may follow */
    CHECK_EQ(pair_compute(pair, text, false), ERSATZ_OK);
    CHECK_EQ(pair_fast_count() - before, 3);
}

int main(int argc, char **argv)
{
    test_begin(120);
    CHECK_EQ(argc, 2);
    pair_use_code(argv[1]);
    for (unsigned bits = 128; bits <= 256; bits += 64) {
        struct pair pair = pair_new(ERSATZ_GCM, bits, true);

        check_refusals(&pair);
        check_late_pieces(&pair);
        for (unsigned i = 0; i < MESSAGES; i++) {
            check_message(&pair);
            check_turned(&pair);
        }
        check_choice(&pair);
        pair_free(&pair);
    }
    CHECK(pair_fast_count() > 3 * MESSAGES * 10);
    printf("%llu operations by the code for %s\n", (unsigned long long)pair_fast_count(), argv[1]);
    return 0;
}
