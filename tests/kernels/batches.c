/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches on the card: 1 to 64 requests of mixed modes, keys, directions and lengths at once, against
 * libcrypto's answers.
 *
 * batches vaes | ARCHITECTURE of the library
 */
#include "pairs.h"

#include "kernels/x86.h"

#define BATCH_MAX 64u
#define ROUNDS 4u
#define TEXT_MAX 70000u

static struct ersatz_stats stats;
static struct ersatz_waker *waker;

struct member {
    struct pair pair;
    struct ersatz_op op;
    struct ersatz_request *request;
    uint8_t in[TEXT_MAX], wanted[TEXT_MAX], out[TEXT_MAX], tag[16], wanted_tag[16], iv[16], aad[13];
};

static struct member members[BATCH_MAX];

static size_t random_length(enum ersatz_mode mode)
{
    size_t len = pair_random(64) == 0  ? 65400 + pair_random(4000)
                 : pair_random(8) == 0 ? 16300 + pair_random(200)
                 : pair_random(2)      ? pair_random(300)
                                       : 2000 + pair_random(3000);

    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_ECB:
        return len - len % 16;
    case ERSATZ_XTS:
        return len + 16;
    default:
        return len;
    }
}

/* A request, and its answer by libcrypto. */
static void make(struct member *member, enum ersatz_mode mode, size_t len, bool encrypt)
{
    unsigned bits = 128 + 64 * pair_random(3);
    bool is_sealed = mode == ERSATZ_GCM || mode == ERSATZ_CCM;
    struct ersatz_op op;

    if (mode == ERSATZ_XTS && bits == 192)
        bits = 256;
    member->pair = pair_new(mode, bits, encrypt || is_sealed); /* what opens is forged, most of the time */
    pair_random_bytes(member->in, len);
    pair_random_bytes(member->iv, sizeof(member->iv));
    op = (struct ersatz_op){.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = member->pair.portable, .in = member->in, .out = member->wanted, .len = len}};
    memcpy(op.u.cipher.iv, member->iv, 16);
    if (is_sealed) {
        op.u.cipher.long_iv = member->iv;
        op.u.cipher.iv_len = mode == ERSATZ_CCM ? 7 + pair_random(7) : 12;
        op.u.cipher.aad = member->aad;
        op.u.cipher.aad_len = sizeof(member->aad);
        op.u.cipher.tag = member->wanted_tag;
        op.u.cipher.tag_len = 4 + 2 * pair_random(7);
        if (mode == ERSATZ_CCM)
            op.u.cipher.len %= 60000;
    }
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    CHECK_EQ(ersatz_compute(&op, &pair_stats), ERSATZ_OK);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    op.u.cipher.cipher = member->pair.fast;
    op.u.cipher.out = member->out;
    if (is_sealed)
        op.u.cipher.tag = member->tag;
    if (is_sealed && !encrypt) { /* the other way: what was sealed is opened */
        CHECK_EQ(ersatz_cipher_set_direction(member->pair.fast, false), ERSATZ_OK);
        memcpy(member->out, member->wanted, op.u.cipher.len);
        memcpy(member->wanted, member->in, op.u.cipher.len);
        memcpy(member->in, member->out, op.u.cipher.len);
        memcpy(member->tag, member->wanted_tag, 16);
    }
    member->op = op;
}

static void make_any(struct member *member, enum ersatz_mode mode, bool encrypt)
{
    make(member, mode, random_length(mode), encrypt);
}

static bool is_right(const struct member *member)
{
    return memcmp(member->out, member->wanted, member->op.u.cipher.len) == 0 &&
           memcmp(member->tag, member->wanted_tag, member->op.u.cipher.tag_len) == 0;
}

/* All at once, copied or not: held back until the one worker finds them together. */
static void run(struct ersatz_device *device, unsigned count, bool copy)
{
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(ersatz_request_new(device, &members[i].op, copy, &members[i].request), ERSATZ_OK);
        if (i > 0)
            ersatz_request_join(members[0].request, members[i].request);
    }
    CHECK_EQ(ersatz_submit_fd(members[0].request, waker), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    while (!ersatz_request_is_done(members[0].request))
        ersatz_request_wait(members[0].request, -1);
    CHECK_EQ(ersatz_request_finish(members[0].request), ERSATZ_OK);
    for (unsigned i = 0; i < count; i++) {
        if (!is_right(&members[i])) {
            fprintf(stderr, "AES-%s, %zu bytes, %u of %u\n", ersatz_mode_name(members[i].pair.mode),
                members[i].op.u.cipher.len, i, count);
            FAIL("the card's answer is not libcrypto's");
        }
        pair_free(&members[i].pair);
    }
}

static uint64_t done_by(enum ersatz_kernel kernel)
{
    return ersatz_stats_by_kernel(&stats, kernel);
}

static void check_mixed(struct ersatz_device *device)
{
    static const enum ersatz_mode modes[] = {ERSATZ_CBC, ERSATZ_CBC, ERSATZ_CBC, ERSATZ_CTR, ERSATZ_GCM,
        ERSATZ_XTS, ERSATZ_ECB, ERSATZ_CFB, ERSATZ_CFB, ERSATZ_OFB, ERSATZ_CCM};

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned count = 1; count <= BATCH_MAX; count++) {
            for (unsigned i = 0; i < count; i++)
                make_any(
                    &members[i], modes[pair_random(sizeof(modes) / sizeof(modes[0]))], pair_random(3) > 0);
            run(device, count, pair_random(2) == 0);
        }
    }
    CHECK(done_by(ERSATZ_KERNEL_IPSEC_MB) > 0);
}

/* Streams of one mode: that the kernel takes them is seen in the statistics. */
static void check_streams(
    struct ersatz_device *device, enum ersatz_mode mode, bool encrypt, enum ersatz_kernel kernel)
{
    uint64_t before = done_by(kernel);

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < BATCH_MAX; i++)
            make_any(&members[i], mode, encrypt);
        run(device, BATCH_MAX, true);
    }
    printf("AES-%s, %s: %llu of %u by %s\n", ersatz_mode_name(mode), encrypt ? "encrypt" : "decrypt",
        (unsigned long long)(done_by(kernel) - before), 3 * BATCH_MAX, ersatz_kernel_name(kernel));
    CHECK(done_by(kernel) - before > BATCH_MAX);
}

/* Longer than the lanes can count, among others that are not; as long as two and three slices to the byte. */
static void check_long(struct ersatz_device *device)
{
    static const size_t lengths[] = {65536, 2048, 69984, 32768, 65520, 32784, 65552, 16384};

    for (unsigned copy = 0; copy <= 1; copy++) {
        uint64_t before = done_by(ERSATZ_KERNEL_IPSEC_MB);

        for (unsigned i = 0; i < 48; i++)
            make(&members[i], ERSATZ_CBC, lengths[i % 8], true);
        run(device, 48, copy != 0);
        printf("AES-CBC up to %zu bytes: %llu of 48 by the library\n", lengths[2],
            (unsigned long long)(done_by(ERSATZ_KERNEL_IPSEC_MB) - before));
        CHECK(done_by(ERSATZ_KERNEL_IPSEC_MB) - before > 32);
    }
}

int main(int argc, char **argv)
{
    enum ersatz_kernel gcm;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    test_begin(240);
    CHECK_EQ(argc, 2);
    pair_use_code(argv[1]);
    gcm = x86_has_vaes() ? ERSATZ_KERNEL_X86 : ERSATZ_KERNEL_IPSEC_MB;
    ersatz_config_init(&config, &stats);
    config.workers = config.instances = 1;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    check_streams(device, ERSATZ_CBC, true, ERSATZ_KERNEL_IPSEC_MB);
    check_streams(device, ERSATZ_CFB, true, ERSATZ_KERNEL_IPSEC_MB);
    check_streams(device, ERSATZ_OFB, true, ERSATZ_KERNEL_IPSEC_MB);
    check_streams(device, ERSATZ_CBC, false, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_CFB, false, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_CTR, true, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_ECB, true, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_CCM, true, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_CCM, false, ERSATZ_KERNEL_X86);
    check_streams(device, ERSATZ_GCM, true, gcm);
    check_streams(device, ERSATZ_GCM, false, gcm);
    check_long(device);
    check_mixed(device);
    ersatz_waker_free(waker);
    ersatz_device_free(device);
    return 0;
}
