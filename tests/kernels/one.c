/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single operations by our own code and by Intel's library against libcrypto's: every mode, key size and
 * length, in place and apart; counters that wrap; texts that follow one another.
 *
 * one aes | vaes | ARCHITECTURE of the library
 */
#include "pairs.h"

#include "kernels/imb.h"
#include "kernels/x86.h"

/* What is not left to libcrypto. */
static bool is_fast(const struct pair *pair, size_t len)
{
    switch (pair->mode) {
    case ERSATZ_CBC:
        return !pair->encrypt || len <= 1024;
    case ERSATZ_XTS:
        return len % 16 == 0 && (len <= 512 || x86_has_vaes());
    case ERSATZ_GCM:
        return x86_has_vaes() || imb_is_available();
    default:
        return true;
    }
}

static bool takes(enum ersatz_mode mode, size_t len)
{
    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_ECB:
        return len % 16 == 0;
    case ERSATZ_XTS:
        return len >= 16;
    default:
        return true;
    }
}

static const uint8_t *random_text(void)
{
    static uint8_t text[PAIR_TEXT_MAX];

    if (text[0] == 0)
        pair_random_bytes(text, sizeof(text));
    return text + pair_random(64); /* on no particular boundary */
}

static bool is_sealed(enum ersatz_mode mode)
{
    return mode == ERSATZ_GCM || mode == ERSATZ_CCM;
}

static void compute_and_count(
    struct pair *pair, struct ersatz_op op, bool in_place, enum ersatz_result wanted)
{
    uint64_t before = pair_fast_count();
    bool counted = is_fast(pair, op.u.cipher.len) && (op.u.cipher.len > 0 || op.u.cipher.tag != NULL);

    CHECK_EQ(pair_compute(pair, op, in_place), wanted);
    CHECK_EQ(pair_fast_count() - before, counted);
}

static void turn(struct pair *pair, bool encrypt)
{
    CHECK_EQ(ersatz_cipher_set_direction(pair->portable, encrypt), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_direction(pair->fast, encrypt), ERSATZ_OK);
    pair->encrypt = encrypt;
}

/* Sealed, opened, and refused with a wrong tag. */
static void check_sealed(struct pair *pair, size_t len, bool in_place)
{
    static uint8_t text[PAIR_TEXT_MAX], aad[70000];
    uint8_t iv[13], tag[16];
    struct ersatz_op op = {.kind = ERSATZ_CIPHER,
        .u.cipher = {.long_iv = iv,
            .iv_len = 7 + pair_random(7),
            .aad = aad,
            .aad_len = pair_random(100) == 0 ? 0xff00 - 8 + pair_random(300) : pair_random(70),
            .in = random_text(),
            .out = text,
            .len = len,
            .tag = tag,
            .tag_len = 4 + 2 * pair_random(7)}};

    pair_random_bytes(iv, sizeof(iv));
    pair_random_bytes(aad, op.u.cipher.aad_len);
    compute_and_count(pair, op, in_place, ERSATZ_OK);
    turn(pair, false);
    op.u.cipher.in = text;
    op.u.cipher.out = NULL;
    compute_and_count(pair, op, in_place, ERSATZ_OK);
    tag[pair_random((uint32_t)op.u.cipher.tag_len)] ^= (uint8_t)(1u << pair_random(8));
    compute_and_count(pair, op, in_place, ERSATZ_BAD_TAG);
    turn(pair, true);
}

static void check_length(struct pair *pair, size_t len, bool in_place)
{
    struct ersatz_op op = {.kind = ERSATZ_CIPHER, .u.cipher = {.in = random_text(), .len = len}};

    if (!takes(pair->mode, len))
        return;
    if (is_sealed(pair->mode)) {
        check_sealed(pair, len, in_place);
        return;
    }
    pair_random_bytes(op.u.cipher.iv, sizeof(op.u.cipher.iv));
    op.u.cipher.iv[12] &= 0x7F; /* counters that wrap have a test of their own */
    compute_and_count(pair, op, in_place, ERSATZ_OK);
}

static void check_lengths(enum ersatz_mode mode, unsigned bits, bool encrypt)
{
    static const size_t around[] = {512, 1024, 4096, 16384};
    struct pair pair = pair_new(mode, bits, encrypt);

    for (size_t len = 0; len <= 300; len++) {
        check_length(&pair, len, false);
        check_length(&pair, len, true);
    }
    for (unsigned i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        for (size_t len = around[i] - 17; len <= around[i] + 17; len++)
            check_length(&pair, len, len % 32 < 16);
    }
    pair_free(&pair);
}

/* The last 32, 64 or 96 bits of the counter, and all of it, run over inside the text or just not. */
static void check_counters(unsigned bits)
{
    struct pair pair = pair_new(ERSATZ_CTR, bits, true);

    for (unsigned ones = 4; ones <= 16; ones += 4) {
        for (unsigned left = 0; left <= 20; left++) {
            for (size_t len = 0; len <= 320; len += 1 + pair_random(15)) {
                struct ersatz_op op = {.kind = ERSATZ_CIPHER, .u.cipher = {.in = random_text(), .len = len}};
                uint64_t before = pair_fast_count();

                pair_random_bytes(op.u.cipher.iv, 16);
                memset(op.u.cipher.iv + 16 - ones, 0xFF, ones);
                op.u.cipher.iv[15] = (uint8_t)(0xFF - left);
                CHECK_EQ(pair_compute(&pair, op, len % 2 == 0), ERSATZ_OK);
                CHECK_EQ(pair_fast_count() - before, len > 0);
            }
        }
    }
    pair_free(&pair);
}

static void set_key(struct pair *pair, const uint8_t *key, unsigned bits, bool encrypt)
{
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    CHECK_EQ(ersatz_cipher_set_key(pair->portable, key, bits / 8, encrypt), ERSATZ_OK);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    CHECK_EQ(ersatz_cipher_set_key(pair->fast, key, bits / 8, encrypt), ERSATZ_OK);
    pair->encrypt = encrypt;
}

/* What comes between two texts: nothing, or another IV, key or direction, for which CBC needs a key. */
static void come_between(struct pair *pair, uint8_t key[32], unsigned bits, uint8_t iv[16])
{
    unsigned what = pair_random(12);

    if (what == 0)
        pair_random_bytes(iv, 16);
    if (what == 1)
        pair_random_bytes(key, 32);
    if (what == 2 && pair->mode == ERSATZ_CFB)
        turn(pair, !pair->encrypt);
    else if (what == 1 || what == 2)
        set_key(pair, key, bits, what == 2 ? !pair->encrypt : pair->encrypt);
}

/* Texts of which each has the last ciphertext of the one before as its IV, as libcrypto's context has too. */
static void check_following(enum ersatz_mode mode, unsigned bits)
{
    struct pair pair = pair_new(mode, bits, true);
    uint8_t key[32], iv[16] = {0}, out[128];

    pair_random_bytes(key, sizeof(key));
    set_key(&pair, key, bits, true);
    for (unsigned i = 0; i < 3000; i++) {
        size_t part = mode == ERSATZ_CFB && pair_random(4) == 0 ? pair_random(16) : 0;
        struct ersatz_op op = {.kind = ERSATZ_CIPHER,
            .u.cipher = {.in = random_text(), .out = out, .len = 16 * (1 + pair_random(5)) + part}};
        size_t last = op.u.cipher.len - 16;

        come_between(&pair, key, bits, iv);
        memcpy(op.u.cipher.iv, iv, 16);
        CHECK_EQ(pair_compute(&pair, op, i % 2 == 0), ERSATZ_OK);
        memcpy(iv, (pair.encrypt ? out : op.u.cipher.in) + last, 16);
    }
    pair_free(&pair);
}

int main(int argc, char **argv)
{
    static const enum ersatz_mode modes[] = {
        ERSATZ_CBC, ERSATZ_CTR, ERSATZ_GCM, ERSATZ_XTS, ERSATZ_ECB, ERSATZ_CFB, ERSATZ_OFB, ERSATZ_CCM};

    test_begin(120);
    CHECK_EQ(argc, 2);
    pair_use_code(argv[1]);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        for (unsigned bits = 128; bits <= 256; bits += 64) {
            if (modes[i] == ERSATZ_XTS && bits == 192)
                continue;
            check_lengths(modes[i], bits, true);
            if (!is_sealed(modes[i]))
                check_lengths(modes[i], bits, false);
        }
    }
    for (unsigned bits = 128; bits <= 256; bits += 64) {
        check_counters(bits);
        check_following(ERSATZ_CBC, bits);
        check_following(ERSATZ_CFB, bits);
    }
    printf("%llu operations by the code for %s\n", (unsigned long long)pair_fast_count(), argv[1]);
    return 0;
}
