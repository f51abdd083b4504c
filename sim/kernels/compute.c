/* SPDX-License-Identifier: Apache-2.0 */
/* From an operation to the kernel that computes it. */
#include "compute.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "aes_state.h"
#include "base/clock.h"
#include "base/stats.h"
#include "ersatz/undisturbed.h"
#include "imb.h"
#include "openssl_context.h"
#include "rsa_ifma.h"
#include "rsa_key.h"
#include "selection.h"

#define BLOCK 16u
#define XTS_LEN_MAX ((size_t)1 << 24) /* 2^20 blocks a data unit: IEEE 1619-2018, 5.1 */

/* NULL: this machine does not run that kernel. */
struct compute_lanes {
    struct imb *imb;
    struct rsa_ifma *ifma;
};

struct compute_lanes *compute_lanes_new(void)
{
    struct compute_lanes *lanes = calloc(1, sizeof(*lanes));

    if (lanes == NULL)
        return NULL;
    if (kernel_is_available(ERSATZ_KERNEL_IPSEC_MB) && (lanes->imb = imb_new()) == NULL) {
        compute_lanes_free(lanes);
        return NULL;
    }
    if (kernel_is_available(ERSATZ_KERNEL_IFMA) && (lanes->ifma = rsa_ifma_new()) == NULL) {
        compute_lanes_free(lanes);
        return NULL;
    }
    return lanes;
}

void compute_lanes_free(struct compute_lanes *lanes)
{
    if (lanes == NULL)
        return;
    imb_free(lanes->imb);
    rsa_ifma_free(lanes->ifma);
    free(lanes);
}

void compute_lanes_cleanse(struct compute_lanes *lanes)
{
    if (lanes->imb != NULL)
        imb_cleanse(lanes->imb);
}

static void count_batch(struct ersatz_stats *stats, enum ersatz_kernel kernel, uint32_t done)
{
    if (done != 0)
        stats_count_by_kernel(stats, kernel, (uint64_t)__builtin_popcount(done));
}

static bool length_fits(enum ersatz_mode mode, size_t len)
{
    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_ECB:
    case ERSATZ_CBC_HMAC_SHA1:
    case ERSATZ_CBC_HMAC_SHA256:
        return len % BLOCK == 0;
    case ERSATZ_XTS:
        return len >= BLOCK && len <= XTS_LEN_MAX;
    default:
        return true;
    }
}

/* A text in a mode without a tag. Texts often follow one another; where the IV of the next is the last block
 * of ciphertext, libcrypto's context need not be set up again. In CFB the text may be zeros, which become key
 * stream, so what is compared may be a secret. */
static enum ersatz_result compute_by_libcrypto(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    size_t len = op->u.cipher.len;
    bool goes_on = (cipher->mode == ERSATZ_CBC || cipher->mode == ERSATZ_CFB) && len % BLOCK == 0;
    uint8_t next_iv[BLOCK];

    if (!(cipher->has_next_iv && CRYPTO_memcmp(cipher->next_iv, op->u.cipher.iv, BLOCK) == 0) &&
        !cipher_init(cipher, NULL, op->u.cipher.iv, BLOCK))
        return cipher_init_error(cipher, ERSATZ_COMPUTE_FAILED);
    cipher->has_next_iv = false;
    if (goes_on && !cipher->encrypt)
        memcpy(next_iv, op->u.cipher.in + len - BLOCK, BLOCK); /* in may be out */
    if (!cipher_piece(cipher, op->u.cipher.out, op->u.cipher.in, len))
        return ERSATZ_COMPUTE_FAILED;
    if (goes_on) {
        memcpy(cipher->next_iv, cipher->encrypt ? op->u.cipher.out + len - BLOCK : next_iv, BLOCK);
        cipher->has_next_iv = true;
    }
    return ERSATZ_OK;
}

/* Compute op on its state, which the caller has claimed: start, associated data, text, end, as far as op
 * asks for them. */
static enum ersatz_result compute_cipher(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;

    *kernel = ERSATZ_KERNEL_PORTABLE;
    if (!cipher->keyed)
        return ERSATZ_BAD_KEY;
    if (!cipher_lengths_possible(op) || !length_fits(cipher->mode, op->u.cipher.len))
        return ERSATZ_BAD_INPUT;
    if (cipher->mode == ERSATZ_GCM)
        return cipher_gcm(op, kernel);
    if (cipher->mode == ERSATZ_CCM)
        return cipher_ccm(op, kernel);
    if (cipher_mode_has_mac_key(cipher->mode))
        return cipher_cbc_hmac(op);
    if (op->u.cipher.len == 0)
        return ERSATZ_OK;
    if (cipher_has_x86(cipher, op->u.cipher.len) && x86_function_takes(&cipher->function, op->u.cipher.len)) {
        uint8_t iv[BLOCK];

        memcpy(iv, op->u.cipher.iv, BLOCK);
        *kernel = ERSATZ_KERNEL_X86;
        x86_function_run(
            &cipher->function, cipher->x86, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len, iv);
        return ERSATZ_OK;
    }
    return compute_by_libcrypto(cipher, op);
}

static enum ersatz_result compute_cipher_here(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result;

    *kernel = ERSATZ_KERNEL_PORTABLE;
    if (!cipher_claim_alone(cipher))
        return ERSATZ_BUSY;
    result = compute_cipher(op, kernel);
    cipher_release(cipher);
    return result;
}

/* Compute one operation; its cipher state has been claimed. */
static enum ersatz_result compute_one(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    if (op->kind == ERSATZ_CIPHER)
        return compute_cipher(op, kernel);
    *kernel = ERSATZ_KERNEL_PORTABLE;
    return rsa_key_compute(op);
}

/* An RSA operation; the batch kernel learns how long the portable kernel takes for it. */
static enum ersatz_result compute_timed(
    struct rsa_ifma *ifma, const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    uint64_t begin = clock_thread_cpu();
    enum ersatz_result result = compute_one(op, kernel);

    rsa_ifma_portable_took(ifma, op, clock_thread_cpu() - begin);
    return result;
}

unsigned compute_lanes_for(const struct ersatz_op *op)
{
    if (op->kind == ERSATZ_CIPHER)
        return kernel_in_use(ERSATZ_KERNEL_IPSEC_MB) && cipher_has_lanes(op->u.cipher.cipher) ? 8 : 1;
    if (!kernel_in_use(ERSATZ_KERNEL_IFMA))
        return 1;
    return op->kind == ERSATZ_RSA_PRIVATE ? 4 : 8;
}

bool compute_is_portable(const struct ersatz_op *op)
{
    return op->kind != ERSATZ_CIPHER && !kernel_is_forced(ERSATZ_KERNEL_IFMA);
}

/* RSA on any thread. The random numbers for blinding come from the device's generator, as for a worker: the
 * thread may belong to the card and be in a callback, and a generator of its own could hold a reference to
 * the engine, which waits for the thread to end. */
static enum ersatz_result compute_rsa_here(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    OSSL_LIB_CTX *before;
    enum ersatz_result result;

    if (op->kind == ERSATZ_RSA_PUBLIC)
        return compute_one(op, kernel); /* nothing is blinded */
    before = library_context_enter();
    result = compute_one(op, kernel);
    library_context_leave(before);
    return result;
}

enum ersatz_result compute_alone(const struct ersatz_op *op, struct ersatz_stats *stats)
{
    enum ersatz_kernel kernel;
    enum ersatz_result result =
        op->kind == ERSATZ_CIPHER ? compute_one(op, &kernel) : compute_rsa_here(op, &kernel);

    stats_count_by_kernel(stats, kernel, 1);
    return result;
}

void compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats)
{
    uint32_t open = (uint32_t)((UINT64_C(1) << count) - 1), done;

    if (kernel_in_use(ERSATZ_KERNEL_IFMA)) {
        done = rsa_ifma_compute(lanes->ifma, ops, results, open, !kernel_is_forced(ERSATZ_KERNEL_IFMA));
        count_batch(stats, ERSATZ_KERNEL_IFMA, done);
        open &= ~done;
    }
    if (count > 1 && kernel_in_use(ERSATZ_KERNEL_IPSEC_MB)) {
        done = imb_compute(lanes->imb, ops, results, open);
        count_batch(stats, ERSATZ_KERNEL_IPSEC_MB, done);
        open &= ~done;
    }
    for (; open != 0; open &= open - 1) {
        unsigned i = (unsigned)__builtin_ctz(open);
        enum ersatz_kernel kernel;

        if (ops[i]->kind != ERSATZ_CIPHER && kernel_in_use(ERSATZ_KERNEL_IFMA))
            results[i] = compute_timed(lanes->ifma, ops[i], &kernel);
        else
            results[i] = compute_one(ops[i], &kernel);
        stats_count_by_kernel(stats, kernel, 1);
    }
}

/* A signal handler that does not return would leave the thread in the device's library context. */
static enum ersatz_result compute_private_here(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_undisturbed before;
    enum ersatz_result result;

    ersatz_undisturbed_begin(&before);
    result = compute_rsa_here(op, kernel);
    ersatz_undisturbed_end(&before);
    return result;
}

enum ersatz_result ersatz_compute(const struct ersatz_op *op, struct ersatz_stats *stats)
{
    enum ersatz_kernel kernel;
    enum ersatz_result result;

    if (op->kind == ERSATZ_CIPHER)
        result = compute_cipher_here(op, &kernel);
    else if (op->kind == ERSATZ_RSA_PUBLIC)
        result = compute_rsa_here(op, &kernel);
    else
        result = compute_private_here(op, &kernel);
    if (result != ERSATZ_BUSY)
        stats_count_inline(stats, kernel);
    return result;
}

/* Not inlined, so that the path of a short text past it is short. */
static __attribute__((noinline)) int update_long(struct ersatz_cipher *cipher, uint8_t *out,
    const uint8_t *in, size_t len, uint8_t iv[BLOCK], struct ersatz_stats *stats)
{
    struct ersatz_op op = ersatz_text_op(cipher, iv, out, in, len);
    uint8_t last[BLOCK];
    bool whole = len > 0 && len % BLOCK == 0;
    enum ersatz_result result;

    if (whole)
        memcpy(last, in + len - BLOCK, BLOCK); /* in may be out */
    result = ersatz_compute(&op, stats);
    if (whole && result == ERSATZ_OK)
        ersatz_next_iv(cipher, iv, last, out + len - BLOCK, len);
    OPENSSL_cleanse(last, BLOCK); /* it may be plaintext */
    if (result != ERSATZ_OK && cipher->tell != NULL)
        cipher->tell(result);
    return result == ERSATZ_OK;
}

/* Whether the calling thread may compute this at once, and then counts it. Not in the child of a fork, where
 * a request of the parent's had the state: update_long() then claims it. */
static inline bool may_compute(const struct ersatz_cipher *cipher, struct ersatz_stats *stats)
{
    return cipher_is_idle(cipher) && kernel_was_found(ERSATZ_KERNEL_X86) &&
           stats_count_own(stats, ERSATZ_KERNEL_X86);
}

int ersatz_update_text(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len,
    uint8_t iv[BLOCK], struct ersatz_stats *stats)
{
    if (x86_function_is_few(&cipher->function, len)) {
        if (may_compute(cipher, stats))
            return cipher->function.run_few(cipher->x86, out, in, len, iv);
    } else if (x86_function_takes(&cipher->function, len) && may_compute(cipher, stats)) {
        return cipher->function.run(cipher->x86, out, in, len, iv);
    }
    return update_long(cipher, out, in, len, iv, stats);
}

bool ersatz_op_is_fastest_alone(const struct ersatz_op *op)
{
    return op->kind == ERSATZ_CIPHER && cipher_is_fastest_alone(op->u.cipher.cipher);
}

enum ersatz_request_name ersatz_op_name(const struct ersatz_op *op)
{
    if (op->kind == ERSATZ_CIPHER)
        return ERSATZ_REQUEST_AES_CBC + (enum ersatz_request_name)cipher_mode(op->u.cipher.cipher);
    return op->kind == ERSATZ_RSA_PRIVATE ? ERSATZ_REQUEST_RSA_PRIV : ERSATZ_REQUEST_RSA_PUB;
}
