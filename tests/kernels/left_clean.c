/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upper halves of vector registers are not in use when the calling core comes back from a kernel, in
 * every form that the library's code has: keys, single texts of every mode, GCM in pieces, batches. What the
 * compiler makes of our own code, upper_halves reads in the module; this looks at the processor, and sees
 * what the library leaves.
 *
 * left_clean vaes | ARCHITECTURE of the library
 */
#include "pairs.h"

#include <cpuid.h>

#include "kernels/imb.h"

#define TEXT_MAX 70000u
#define STREAMS 16u
#define LEAF_13_EAX_XGETBV (1u << 2)

static uint8_t in[TEXT_MAX], out[STREAMS][TEXT_MAX];

/* Which parts of the processor's state are not as after a reset: XGETBV with 1. */
static bool upper_halves_in_use(void)
{
    const uint32_t ymm = 1u << 2, zmm = 1u << 6;
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return (low & (ymm | zmm)) != 0;
}

static void clear(void)
{
    __asm__ volatile("vzeroupper");
}

static void check_clean(const char *what, enum ersatz_mode mode, unsigned bits, bool encrypt, size_t len)
{
    if (!upper_halves_in_use())
        return;
    fprintf(stderr, "%s, AES-%u-%s, %s, %zu bytes: the upper halves are in use\n", what, bits,
        ersatz_mode_name(mode), encrypt ? "encrypt" : "decrypt", len);
    FAIL("somebody has to clear them");
}

/* Not all processors with AVX know XGETBV with 1. */
static void skip_where_nothing_tells(void)
{
    unsigned eax, ebx, ecx, edx;

    if (!__builtin_cpu_supports("avx") || !__get_cpuid_count(13, 1, &eax, &ebx, &ecx, &edx) ||
        (eax & LEAF_13_EAX_XGETBV) == 0)
        SKIP("this processor does not tell which registers are in use");
}

/* Whether this test sees what it looks for. */
static void check_the_check(void)
{
    clear();
    CHECK(!upper_halves_in_use());
    __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0" : : : "xmm0");
    CHECK(upper_halves_in_use());
    clear();
    CHECK(!upper_halves_in_use());
}

static struct ersatz_cipher *new_cipher(enum ersatz_mode mode, unsigned bits, bool encrypt)
{
    struct ersatz_cipher *cipher;
    uint8_t key[64];

    pair_random_bytes(key, sizeof(key));
    CHECK_EQ(ersatz_cipher_new(mode, bits, &cipher), ERSATZ_OK);
    clear();
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, bits / 8 * (mode == ERSATZ_XTS ? 2 : 1), encrypt), ERSATZ_OK);
    check_clean("a key", mode, bits, encrypt, 0);
    return cipher;
}

static void check_text(enum ersatz_mode mode, unsigned bits, bool encrypt)
{
    static const size_t lengths[] = {16, 64, 80, 256, 272, 1024, 1040, 4096, 4112, 16384, 65536};
    struct ersatz_cipher *cipher = new_cipher(mode, bits, encrypt);

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct ersatz_op op = {.kind = ERSATZ_CIPHER,
            .u.cipher = {.cipher = cipher, .in = in, .out = out[0], .len = lengths[i]}};

        clear();
        CHECK_EQ(ersatz_compute(&op, &pair_stats), ERSATZ_OK);
        check_clean("a text", mode, bits, encrypt, lengths[i]);
        clear();
        CHECK_EQ(ersatz_update_text(cipher, out[0], in, lengths[i], op.u.cipher.iv, &pair_stats), 1);
        check_clean("a text in place", mode, bits, encrypt, lengths[i]);
    }
    ersatz_cipher_free(cipher);
}

static void check_piece(struct ersatz_op op, struct ersatz_cipher *cipher, unsigned bits, bool encrypt)
{
    op.kind = ERSATZ_CIPHER;
    op.u.cipher.cipher = cipher;
    clear();
    if (ersatz_compute(&op, &pair_stats) != ERSATZ_OK)
        CHECK(!encrypt); /* nobody has made such a tag */
    check_clean("a piece", ERSATZ_GCM, bits, encrypt, op.u.cipher.len);
}

static void check_gcm(unsigned bits, bool encrypt)
{
    static const size_t lengths[] = {1, 16, 100, 256, 1000, 4096, 16384};
    struct ersatz_cipher *cipher = new_cipher(ERSATZ_GCM, bits, encrypt);
    uint8_t tag[16] = {0};

    for (size_t iv_len = 12; iv_len <= 60; iv_len += 24) {
        check_piece((struct ersatz_op){.u.cipher = {.long_iv = in,
                                           .iv_len = iv_len,
                                           .aad = in,
                                           .aad_len = 13,
                                           .in = in,
                                           .out = out[0],
                                           .len = 20}},
            cipher, bits, encrypt);
        for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
            check_piece((struct ersatz_op){.u.cipher = {.in = in, .out = out[0], .len = lengths[i]}}, cipher,
                bits, encrypt);
        check_piece((struct ersatz_op){.u.cipher = {.tag = tag, .tag_len = 16}}, cipher, bits, encrypt);
    }
    ersatz_cipher_free(cipher);
}

/* In lanes, as a worker has them. */
static void check_batch(enum ersatz_mode mode, unsigned bits, size_t len)
{
    struct imb *imb = imb_new();
    struct ersatz_op ops[STREAMS];
    const struct ersatz_op *pointers[STREAMS];
    enum ersatz_result results[STREAMS];

    CHECK(imb != NULL);
    for (unsigned i = 0; i < STREAMS; i++) {
        ops[i] = (struct ersatz_op){.kind = ERSATZ_CIPHER,
            .u.cipher = {.cipher = new_cipher(mode, bits, true), .in = in, .out = out[i], .len = len}};
        pointers[i] = &ops[i];
    }
    clear();
    CHECK_EQ(imb_compute(imb, pointers, results, (1u << STREAMS) - 1), (1u << STREAMS) - 1);
    check_clean("a batch", mode, bits, true, len);
    for (unsigned i = 0; i < STREAMS; i++)
        ersatz_cipher_free(ops[i].u.cipher.cipher);
    imb_free(imb);
}

int main(int argc, char **argv)
{
    static const enum ersatz_mode modes[] = {
        ERSATZ_CBC, ERSATZ_CTR, ERSATZ_XTS, ERSATZ_ECB, ERSATZ_CFB, ERSATZ_OFB};
    static const enum ersatz_mode chained[] = {ERSATZ_CBC, ERSATZ_CFB, ERSATZ_OFB};

    test_begin(120);
    CHECK_EQ(argc, 2);
    skip_where_nothing_tells();
    check_the_check();
    pair_use_code(argv[1]);
    pair_random_bytes(in, sizeof(in));
    for (unsigned bits = 128; bits <= 256; bits += 64) {
        for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            if (modes[i] == ERSATZ_XTS && bits == 192)
                continue;
            check_text(modes[i], bits, true);
            check_text(modes[i], bits, false);
        }
        check_gcm(bits, true);
        check_gcm(bits, false);
        for (unsigned i = 0; imb_is_available() && i < sizeof(chained) / sizeof(chained[0]); i++)
            for (size_t len = 256; len <= TEXT_MAX; len *= 16)
                check_batch(chained[i], bits, len);
    }
    CHECK(pair_fast_count() > 0);
    return 0;
}
