/* SPDX-License-Identifier: Apache-2.0 */
/* States that go by speed: which code computes which lengths, with made-up times, and that it is right; and
 * with times that are measured. */
#include "kernels/faster.h"

#include "check.h"
#include "kernels/selection.h"

#define TEXT_MAX 20000u

static struct ersatz_stats stats;
static uint8_t key[64], text[TEXT_MAX];

#define CLASSES 4u
#define EVERYWHERE ((1u << CLASSES) - 1)

/* Of the lengths that are measured, as a set: where libcrypto is not the faster one. */
static unsigned slow_at_libcrypto;
static uint64_t of_library; /* the time of Intel's library; that of our code is 100 */
static uint64_t of_library_decrypting;

static uint64_t time_of(
    enum ersatz_mode mode, size_t key_len, bool encrypt, enum ersatz_kernel kernel, size_t len)
{
    unsigned class = len < 256 ? 0 : len < 2048 ? 1 : len < 8192 ? 2 : 3;

    (void)key_len;
    if (kernel == ERSATZ_KERNEL_PORTABLE)
        return slow_at_libcrypto >> class & 1 ? 98 : 90; /* 98 is a tie */
    if (kernel == ERSATZ_KERNEL_X86)
        return 100;
    if (mode != ERSATZ_GCM)
        return UINT64_MAX;
    return encrypt ? of_library : of_library_decrypting;
}

static struct ersatz_cipher *keyed(enum ersatz_mode mode, bool encrypt, bool by_speed)
{
    struct ersatz_cipher *cipher;

    CHECK_EQ(ersatz_cipher_new(mode, 256, &cipher), ERSATZ_OK);
    ersatz_cipher_go_by_speed(cipher, by_speed);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, mode == ERSATZ_XTS ? 64 : 32, encrypt), ERSATZ_OK);
    return cipher;
}

/* A text of len bytes, which becomes out. Returns the kernel that computed it. */
static enum ersatz_kernel compute(
    struct ersatz_cipher *cipher, enum ersatz_mode mode, size_t len, uint8_t out[TEXT_MAX], uint8_t tag[16])
{
    uint8_t iv[16] = {1};
    struct ersatz_op op = ersatz_text_op(cipher, iv, out, text, len);
    uint64_t before[ERSATZ_KERNELS];

    for (enum ersatz_kernel i = 0; i < ERSATZ_KERNELS; i++)
        before[i] = ersatz_stats_inline(&stats, i);
    if (mode == ERSATZ_GCM || mode == ERSATZ_CCM) {
        op.u.cipher.long_iv = iv;
        op.u.cipher.iv_len = 12;
        op.u.cipher.tag = tag;
        op.u.cipher.tag_len = 16;
        CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
    } else {
        CHECK_EQ(ersatz_update_text(cipher, out, text, len, iv, &stats), 1);
    }
    for (enum ersatz_kernel i = 0; i < ERSATZ_KERNELS; i++) {
        if (ersatz_stats_inline(&stats, i) != before[i])
            return i;
    }
    FAIL("nothing was counted");
}

/* The kernel for texts of so many bytes, by a state that goes by speed; that it is right; and, where a state
 * that does not go by speed takes another, that too. */
static enum ersatz_kernel kernel_for(enum ersatz_mode mode, bool encrypt, size_t len)
{
    static uint8_t out[TEXT_MAX], wanted[TEXT_MAX];
    uint8_t tag[16] = {0}, wanted_tag[16] = {0};
    bool opens = mode == ERSATZ_GCM && !encrypt; /* without a tag, which would be wrong */
    struct ersatz_cipher *cipher = keyed(mode, encrypt, true), *plain;
    enum ersatz_kernel kernel;

    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    plain = keyed(mode, encrypt, false);
    CHECK_EQ(compute(plain, mode, len, wanted, opens ? NULL : wanted_tag), ERSATZ_KERNEL_PORTABLE);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    kernel = compute(cipher, mode, len, out, opens ? NULL : tag);
    CHECK(memcmp(out, wanted, len) == 0);
    CHECK((mode != ERSATZ_GCM && mode != ERSATZ_CCM) || memcmp(tag, wanted_tag, 16) == 0);
    ersatz_cipher_free(cipher);
    ersatz_cipher_free(plain);
    return kernel;
}

static void check_classes(enum ersatz_mode mode, bool encrypt)
{
    static const size_t lens[CLASSES][3] = {
        {16, 64, 240}, {256, 1024, 2032}, {2048, 4096, 8176}, {8192, 16384, 20000}};

    for (slow_at_libcrypto = 0; slow_at_libcrypto <= EVERYWHERE; slow_at_libcrypto++) {
        /* One range of lengths: of two, the shorter ones. */
        unsigned lowest = slow_at_libcrypto & -slow_at_libcrypto;
        unsigned ours = slow_at_libcrypto & ~(slow_at_libcrypto + lowest);

        faster_believe(time_of);
        for (unsigned class = 0; class < CLASSES; class ++) {
            for (unsigned i = 0; i < 3; i++) {
                enum ersatz_kernel kernel = kernel_for(mode, encrypt, lens[class][i]);

                CHECK_EQ(kernel, ours >> class & 1 ? ERSATZ_KERNEL_X86 : ERSATZ_KERNEL_PORTABLE);
            }
        }
    }
}

/* Of a kernel that was chosen by name, and of states that do not go by speed, nothing is measured. */
static void check_exceptions(void)
{
    static uint8_t out[TEXT_MAX];
    struct ersatz_cipher *cipher = keyed(ERSATZ_CTR, true, false);

    slow_at_libcrypto = 0;
    faster_believe(time_of);
    CHECK_EQ(compute(cipher, ERSATZ_CTR, 1024, out, NULL), ERSATZ_KERNEL_X86);
    ersatz_cipher_go_by_speed(cipher, true);
    CHECK_EQ(compute(cipher, ERSATZ_CTR, 1024, out, NULL), ERSATZ_KERNEL_X86); /* not before the next key */
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, 32, true), ERSATZ_OK);
    CHECK_EQ(compute(cipher, ERSATZ_CTR, 1024, out, NULL), ERSATZ_KERNEL_PORTABLE);
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_X86);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, 32, true), ERSATZ_OK);
    CHECK_EQ(compute(cipher, ERSATZ_CTR, 1024, out, NULL), ERSATZ_KERNEL_X86);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, 32, true), ERSATZ_OK);
    CHECK_EQ(compute(cipher, ERSATZ_CTR, 1024, out, NULL), ERSATZ_KERNEL_PORTABLE);
    ersatz_cipher_free(cipher);
}

/* GCM has three. */
static void check_library(void)
{
    if (!x86_has_vaes() || !kernel_is_available(ERSATZ_KERNEL_IPSEC_MB))
        return;
    slow_at_libcrypto = EVERYWHERE;
    of_library = 90;
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, true, 16384), ERSATZ_KERNEL_IPSEC_MB);
    CHECK_EQ(kernel_for(ERSATZ_GCM, true, 64), ERSATZ_KERNEL_IPSEC_MB);
    of_library = 99;
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, true, 16384), ERSATZ_KERNEL_X86);
    /* One kernel for both directions, but each with the lengths for which that kernel is as fast as
     * libcrypto, not those of another kernel. */
    slow_at_libcrypto = 0;
    of_library = of_library_decrypting = 80;
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, false, 16384), ERSATZ_KERNEL_IPSEC_MB);
    of_library = 130; /* both directions count */
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, false, 16384), ERSATZ_KERNEL_PORTABLE);
    slow_at_libcrypto = EVERYWHERE;
    of_library = 90;
    of_library_decrypting = 130;
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, true, 16384), ERSATZ_KERNEL_X86);
    of_library = 80;
    of_library_decrypting = 110;
    slow_at_libcrypto = EVERYWHERE;
    faster_believe(time_of);
    CHECK_EQ(kernel_for(ERSATZ_GCM, false, 16384), ERSATZ_KERNEL_PORTABLE); /* although ours would do */
}

static void print_range(enum ersatz_mode mode, enum ersatz_kernel kernel, struct lengths lengths)
{
    printf("AES-256-%s: %s ", ersatz_mode_name(mode), ersatz_kernel_name(kernel));
    if (lengths.count == 0)
        printf("for no length\n");
    else if (lengths.count >= SIZE_MAX - lengths.shortest)
        printf("from %zu bytes on\n", lengths.shortest);
    else
        printf("for %zu to %zu bytes\n", lengths.shortest, lengths.shortest + lengths.count - 1);
}

static void check_measured(void)
{
    faster_believe(NULL);
    for (enum ersatz_mode mode = ERSATZ_CBC; mode <= ERSATZ_CCM; mode++) {
        size_t key_len = mode == ERSATZ_XTS ? 64 : 32;
        enum ersatz_kernel kernel = faster_kernel(mode, key_len, true);
        struct lengths lengths = faster_lengths(mode, key_len, true, kernel);

        print_range(mode, kernel, lengths);
        kernel_for(mode, true, 1024);
    }
}

int main(void)
{
    test_begin(60);
    if (!x86_is_available())
        SKIP("this processor has no AES instructions");
    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(3 * i);
    of_library = of_library_decrypting = 100;
    check_classes(ERSATZ_CTR, true);
    check_classes(ERSATZ_ECB, false);
    check_classes(ERSATZ_CFB, false);
    check_classes(ERSATZ_CCM, true);
    if (x86_has_vaes()) {
        check_classes(ERSATZ_GCM, true);
        check_classes(ERSATZ_XTS, true);
    }
    check_exceptions();
    check_library();
    check_measured();
    return 0;
}
