/* SPDX-License-Identifier: Apache-2.0 */
/* See pairs.h. */
#include "pairs.h"

#include "kernels/x86.h"
#include "lots.h"
#ifdef HAVE_IPSEC_MB
#include "kernels/imb_manager.h"
#endif

struct ersatz_stats pair_stats;

static uint64_t state = 0x20261124u;

uint32_t pair_random(uint32_t below)
{
    return lots_below(&state, below);
}

void pair_random_bytes(uint8_t *out, size_t len)
{
    lots_fill(&state, out, len);
}

static enum ersatz_result told; /* by ersatz_update_text() */

static void tell(enum ersatz_result result)
{
    told = result;
}

static struct ersatz_cipher *keyed(
    enum ersatz_mode mode, unsigned bits, const uint8_t *key, bool encrypt, unsigned kernels)
{
    struct ersatz_cipher *cipher;

    ersatz_kernels_choose(kernels);
    CHECK_EQ(ersatz_cipher_new(mode, bits, &cipher), ERSATZ_OK);
    ersatz_cipher_tell_failures(cipher, tell);
    CHECK_EQ(ersatz_cipher_set_key(cipher, key, bits / 8 * (mode == ERSATZ_XTS ? 2 : 1), encrypt), ERSATZ_OK);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    return cipher;
}

struct pair pair_new(enum ersatz_mode mode, unsigned bits, bool encrypt)
{
    struct pair pair = {.mode = mode, .encrypt = encrypt};
    uint8_t key[64];

    pair_random_bytes(key, sizeof(key));
    pair.portable = keyed(mode, bits, key, encrypt, 1u << ERSATZ_KERNEL_PORTABLE);
    pair.fast = keyed(mode, bits, key, encrypt, ERSATZ_KERNELS_ALL);
    return pair;
}

void pair_free(struct pair *pair)
{
    ersatz_cipher_free(pair->portable);
    ersatz_cipher_free(pair->fast);
}

/* One state's answer, in memory of its own; a byte behind it must stay as it was. */
struct answer {
    enum ersatz_result result;
    uint8_t text[PAIR_TEXT_MAX + 1], tag[17], iv[16]; /* iv: the next one, where it is defined */
};

/* The functions that compute an operation, as far as it is one for them. */
enum way { BY_OP, BY_TEXT, BY_GCM_TEXT, BY_GCM_END };

static enum way random_way(enum ersatz_mode mode, const struct ersatz_op *op)
{
    bool is_end = op->u.cipher.long_iv == NULL && op->u.cipher.aad_len == 0 && op->u.cipher.len == 0;

    if (pair_random(2) == 0)
        return BY_OP;
    if (mode == ERSATZ_GCM && op->u.cipher.tag != NULL)
        return is_end ? BY_GCM_END : BY_OP;
    if (mode == ERSATZ_GCM)
        return op->u.cipher.len > 0 && (op->u.cipher.long_iv != NULL || op->u.cipher.aad_len == 0)
                   ? BY_GCM_TEXT
                   : BY_OP;
    return op->u.cipher.long_iv == NULL && op->u.cipher.aad == NULL && op->u.cipher.tag == NULL ? BY_TEXT
                                                                                                : BY_OP;
}

static enum ersatz_result update_text(struct ersatz_op *op)
{
    int done;

    told = ERSATZ_OK;
    done = ersatz_update_text(op->u.cipher.cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len,
        op->u.cipher.iv, &pair_stats);
    CHECK_EQ(done, told == ERSATZ_OK);
    return told;
}

static enum ersatz_result compute_by(enum way way, struct ersatz_op *op)
{
    struct ersatz_gcm_piece piece = {op->u.cipher.long_iv, op->u.cipher.iv_len, op->u.cipher.aad,
        op->u.cipher.aad_len, op->u.cipher.in, op->u.cipher.out, op->u.cipher.len};

    switch (way) {
    case BY_TEXT:
        return update_text(op);
    case BY_GCM_TEXT:
        if (piece.iv == NULL)
            return ersatz_compute_gcm_more(op->u.cipher.cipher, piece.out, piece.in, piece.len, &pair_stats);
        return ersatz_compute_gcm_text(op->u.cipher.cipher, &piece, &pair_stats);
    case BY_GCM_END:
        return ersatz_compute_gcm_end(
            op->u.cipher.cipher, op->u.cipher.tag, op->u.cipher.tag_len, &pair_stats);
    default:
        return ersatz_compute(op, &pair_stats);
    }
}

static void compute(struct ersatz_cipher *cipher, const struct ersatz_op *asked, bool in_place, enum way way,
    struct answer *answer)
{
    struct ersatz_op op = *asked;
    size_t len = op.u.cipher.len;

    CHECK(len <= PAIR_TEXT_MAX);
    memset(answer->text, 0xA5, sizeof(answer->text));
    memset(answer->tag, 0xA5, sizeof(answer->tag));
    if (in_place && len > 0) {
        memcpy(answer->text, op.u.cipher.in, len);
        op.u.cipher.in = answer->text;
    }
    if (op.u.cipher.tag != NULL) {
        memcpy(answer->tag, op.u.cipher.tag, op.u.cipher.tag_len);
        op.u.cipher.tag = answer->tag;
    }
    op.u.cipher.out = answer->text;
    op.u.cipher.cipher = cipher;
    memset(answer->iv, 0, sizeof(answer->iv));
    answer->result = compute_by(way, &op);
    if (way == BY_TEXT && len % 16 == 0)
        memcpy(answer->iv, op.u.cipher.iv, 16);
    CHECK_EQ(answer->text[len], 0xA5);
    if (op.u.cipher.tag != NULL && op.u.cipher.tag_len <= 16)
        CHECK_EQ(answer->tag[op.u.cipher.tag_len], 0xA5);
}

enum ersatz_result pair_compute(struct pair *pair, struct ersatz_op op, bool in_place)
{
    static struct answer portable, fast;
    size_t len = op.u.cipher.len;
    enum way way = random_way(pair->mode, &op);

    compute(pair->portable, &op, in_place, way, &portable);
    compute(pair->fast, &op, in_place, way, &fast);
    if (portable.result != fast.result || memcmp(portable.text, fast.text, len) != 0 ||
        memcmp(portable.iv, fast.iv, sizeof(fast.iv)) != 0 ||
        memcmp(portable.tag, fast.tag, sizeof(fast.tag)) != 0) {
        fprintf(stderr, "AES-%s, %s, %zu bytes, %s, IV of %zu, %zu associated, tag of %zu: %d, not %d\n",
            ersatz_mode_name(pair->mode), pair->encrypt ? "encrypt" : "decrypt", len,
            in_place ? "in place" : "apart", op.u.cipher.iv_len, op.u.cipher.aad_len, op.u.cipher.tag_len,
            fast.result, portable.result);
        FAIL("the kernels differ");
    }
    if (op.u.cipher.out != NULL)
        memcpy(op.u.cipher.out, fast.text, len);
    if (op.u.cipher.tag != NULL && pair->encrypt)
        memcpy(op.u.cipher.tag, fast.tag, op.u.cipher.tag_len);
    return fast.result;
}

uint64_t pair_fast_count(void)
{
    return ersatz_stats_inline(&pair_stats, ERSATZ_KERNEL_X86) +
           ersatz_stats_inline(&pair_stats, ERSATZ_KERNEL_IPSEC_MB);
}

#ifdef HAVE_IPSEC_MB
static bool use_library(const char *name)
{
    static const struct {
        const char *name;
        IMB_ARCH architecture;
    } known[] = {{"sse", IMB_ARCH_SSE},
#ifdef IMB_CPUFLAGS_AVX /* later versions have none */
        {"avx", IMB_ARCH_AVX},
#endif
        {"avx2", IMB_ARCH_AVX2}, {"avx512", IMB_ARCH_AVX512}};

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name) == 0)
            return imb_use_architecture(known[i].architecture);
    }
    FAIL("expected aes, vaes, sse, avx, avx2 or avx512");
}
#else
static bool use_library(const char *name)
{
    (void)name;
    FAIL("expected aes or vaes");
}
#endif

void pair_use_code(const char *name)
{
    bool runs;

    if (strcmp(name, "vaes") != 0)
        x86_forbid_vaes();
    if (strcmp(name, "aes") == 0)
        runs = x86_is_available();
    else
        runs = strcmp(name, "vaes") == 0 ? x86_has_vaes() : use_library(name);
    if (!runs)
        SKIP("this processor does not run that code");
}
