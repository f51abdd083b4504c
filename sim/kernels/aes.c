/* SPDX-License-Identifier: Apache-2.0 */
/* AES states, and the portable kernel for them: libcrypto's provider, on a context that belongs to the
 * device. */
#include "aes.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "aes_state.h"
#include "base/fork.h"
#include "base/stats.h"

#define BLOCK 16u
#define XTS_LEN_MAX ((size_t)1 << 24) /* 2^20 blocks a data unit: IEEE 1619-2018, 5.1 */
#define IDLE 0u

/* A state for these functions. Takes over libcrypto's context; NULL: there was no memory for it. */
static enum ersatz_result make(enum ersatz_mode mode, size_t key_len,
    const struct libcrypto_cipher *functions, void *context, struct ersatz_cipher **out)
{
    struct ersatz_cipher *cipher = context == NULL ? NULL : calloc(1, sizeof(*cipher));

    *out = cipher;
    if (cipher == NULL) {
        if (context != NULL)
            functions->freectx(context);
        return ERSATZ_NO_MEMORY;
    }
    atomic_init(&cipher->references, 1);
    atomic_init(&cipher->owner, IDLE);
    cipher->mode = mode;
    cipher->key_len = key_len;
    cipher->functions = functions;
    cipher->context = context;
    return ERSATZ_OK;
}

bool ersatz_cipher_is_available(enum ersatz_mode mode, unsigned key_bits)
{
    void *provider_context;

    return libcrypto_cipher_find(mode, key_bits, &provider_context) != NULL;
}

enum ersatz_result ersatz_cipher_new(enum ersatz_mode mode, unsigned key_bits, struct ersatz_cipher **out)
{
    void *provider_context = NULL;
    const struct libcrypto_cipher *functions;

    *out = NULL;
    if ((key_bits != 128 && key_bits != 192 && key_bits != 256) ||
        (key_bits == 192 && (mode == ERSATZ_XTS || cipher_mode_has_mac_key(mode))))
        return ERSATZ_BAD_KEY;
    functions = libcrypto_cipher_find(mode, key_bits, &provider_context);
    if (functions == NULL)
        return ERSATZ_COMPUTE_FAILED;
    return make(mode, key_bits / 8 * (mode == ERSATZ_XTS ? 2 : 1), functions,
        functions->newctx(provider_context), out);
}

void cipher_reference(struct ersatz_cipher *cipher)
{
    atomic_fetch_add_explicit(&cipher->references, 1, memory_order_relaxed);
}

void ersatz_cipher_free(struct ersatz_cipher *cipher)
{
    /* Acquire and release: the last one sees what the others did to the state. */
    if (cipher == NULL || atomic_fetch_sub_explicit(&cipher->references, 1, memory_order_acq_rel) != 1)
        return;
    cipher->functions->freectx(cipher->context); /* cleanses the key */
    imb_state_free(cipher->imb);
    OPENSSL_cleanse(&cipher->ccm, sizeof(cipher->ccm));
    OPENSSL_cleanse(cipher->waiting_key, sizeof(cipher->waiting_key));
    free(cipher);
}

void cipher_lose(struct ersatz_cipher *cipher)
{
    cipher->message = MESSAGE_LOST;
    cipher_leave(cipher);
}

/* After entering a state that owner had: in the child of a fork it may be a worker's of the parent, and the
 * message somewhere in between. */
static void look_at_owner(struct ersatz_cipher *cipher, unsigned owner)
{
    if (owner != IDLE)
        cipher->message = MESSAGE_LOST;
}

bool cipher_enter(struct ersatz_cipher *cipher)
{
    unsigned self = process_generation();
    unsigned owner = atomic_load_explicit(&cipher->owner, memory_order_relaxed);

    if (owner == self || !atomic_compare_exchange_strong_explicit(
                             &cipher->owner, &owner, self, memory_order_acquire, memory_order_relaxed))
        return false;
    look_at_owner(cipher, owner);
    return true;
}

void cipher_leave(struct ersatz_cipher *cipher)
{
    atomic_store_explicit(&cipher->owner, IDLE, memory_order_release);
}

bool cipher_is_parallel(const struct ersatz_cipher *cipher)
{
    switch (cipher->mode) {
    case ERSATZ_CTR:
    case ERSATZ_GCM:
    case ERSATZ_XTS:
    case ERSATZ_ECB:
        return true;
    case ERSATZ_CBC:
    case ERSATZ_CFB:
        return !cipher->encrypt;
    default:
        return false;
    }
}

bool cipher_leaves_ciphertext(const struct ersatz_cipher *cipher)
{
    /* In CTR and OFB both directions are the same, and some programs say to encrypt when they decrypt. */
    return cipher->encrypt && cipher->mode != ERSATZ_CTR && cipher->mode != ERSATZ_OFB;
}

enum ersatz_mode cipher_mode(const struct ersatz_cipher *cipher)
{
    return cipher->mode;
}

bool cipher_init(struct ersatz_cipher *cipher, const uint8_t *key, const uint8_t *iv, size_t iv_len)
{
    OSSL_FUNC_cipher_encrypt_init_fn *init =
        cipher->encrypt ? cipher->functions->encrypt_init : cipher->functions->decrypt_init;
    bool done;

    if (key == NULL && cipher->key_pending)
        key = cipher->waiting_key;
    done = init(cipher->context, key, key == NULL ? 0 : cipher->key_len, iv, iv_len, NULL) == 1;
    if (done && key == cipher->waiting_key) {
        cipher->key_pending = false;
        OPENSSL_cleanse(cipher->waiting_key, sizeof(cipher->waiting_key));
    }
    return done;
}

bool cipher_piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
    size_t out_len = 0;

    return cipher->functions->cipher(cipher->context, out, &out_len, len, in, len) == 1;
}

/* False: libcrypto is to do all by itself; there may be no memory for anything else. */
static bool set_imb_key(struct ersatz_cipher *cipher, const uint8_t *key)
{
    if (!kernel_in_use(ERSATZ_KERNEL_IPSEC_MB)) {
        imb_state_free(cipher->imb);
        cipher->imb = NULL;
        return false;
    }
    if (cipher->imb == NULL)
        cipher->imb = imb_state_new(cipher->mode, cipher->key_len);
    if (cipher->imb != NULL)
        imb_state_set_key(cipher->imb, key);
    return cipher->imb != NULL;
}

/* Many a program sets the same key for every message. */
static bool has_key_already(const struct ersatz_cipher *cipher, const uint8_t *key)
{
    return cipher->keyed && cipher->key_pending && cipher_has_imb(cipher) &&
           CRYPTO_memcmp(cipher->waiting_key, key, cipher->key_len) == 0;
}

/* Whenever key or direction have changed. */
static void select_short_path(struct ersatz_cipher *cipher)
{
    cipher->way = cipher->keyed && cipher->imb != NULL ? imb_short_for(cipher->imb, cipher->encrypt)
                                                       : (struct imb_short){NULL, 0, 0};
}

static bool set_key(struct ersatz_cipher *cipher, const uint8_t *key)
{
    bool has_imb;

    if (has_key_already(cipher, key)) {
        cipher->message = MESSAGE_NONE;
        return true;
    }
    has_imb = set_imb_key(cipher, key);

    cipher->key_pending = false;
    cipher->message = MESSAGE_NONE;
    if (cipher->mode == ERSATZ_CCM) {
        cipher_ccm_set_key(cipher, key);
        return true;
    }
    if (!has_imb || cipher->mode == ERSATZ_XTS) /* of which libcrypto refuses some keys */
        return cipher_init(cipher, key, NULL, 0);
    memcpy(cipher->waiting_key, key, cipher->key_len);
    cipher->key_pending = true;
    return true;
}

enum ersatz_result ersatz_cipher_set_key(
    struct ersatz_cipher *cipher, const uint8_t *key, size_t key_len, bool encrypt)
{
    bool set;

    if (key_len != cipher->key_len)
        return ERSATZ_BAD_KEY;
    if (!cipher_enter(cipher))
        return ERSATZ_BUSY;
    cipher->encrypt = encrypt;
    set = set_key(cipher, key);
    cipher->keyed = set;
    select_short_path(cipher);
    cipher_leave(cipher);
    return set ? ERSATZ_OK : ERSATZ_BAD_KEY;
}

/* The caller has entered the state. */
static enum ersatz_result dup(const struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    enum ersatz_result result = make(
        cipher->mode, cipher->key_len, cipher->functions, cipher->functions->dupctx(cipher->context), out);

    if (result == ERSATZ_OK) {
        (*out)->encrypt = cipher->encrypt;
        (*out)->keyed = cipher->keyed;
        if (cipher->imb != NULL)
            (*out)->imb = imb_state_dup(cipher->imb);
        select_short_path(*out);
        (*out)->message = cipher->message;
        (*out)->key_pending = cipher->key_pending;
        memcpy((*out)->waiting_key, cipher->waiting_key, sizeof(cipher->waiting_key));
        if (cipher->message == MESSAGE_IMB &&
            (*out)->imb == NULL) { /* libcrypto knows nothing of the message */
            ersatz_cipher_free(*out);
            *out = NULL;
            result = ERSATZ_NO_MEMORY;
        }
    }
    return result;
}

enum ersatz_result ersatz_cipher_turn(struct ersatz_cipher *cipher, bool encrypt)
{
    if (cipher->encrypt == encrypt)
        return ERSATZ_OK; /* written on the caller's side only, never by a worker */
    if (!cipher_enter(cipher))
        return ERSATZ_BUSY;
    cipher->encrypt = encrypt;
    select_short_path(cipher);
    cipher->ccm.iv_len = 0; /* libcrypto sets CCM's key up for one direction */
    cipher_leave(cipher);
    return ERSATZ_OK;
}

enum ersatz_result ersatz_cipher_dup(struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    enum ersatz_result result;

    *out = NULL;
    if (cipher->mode != ERSATZ_CCM && cipher->functions->dupctx == NULL)
        return ERSATZ_COMPUTE_FAILED;
    if (!cipher_enter(cipher))
        return ERSATZ_BUSY;
    result = cipher->mode == ERSATZ_CCM ? cipher_ccm_dup(cipher, out) : dup(cipher, out);
    cipher_leave(cipher);
    return result;
}

bool cipher_lengths_exist(const struct ersatz_op *op)
{
    return ((op->u.cipher.len | op->u.cipher.aad_len | op->u.cipher.iv_len | op->u.cipher.tag_len) &
               ~(SIZE_MAX >> 3)) == 0;
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

/* False: libcrypto is to do it. */
static bool compute_imb(struct ersatz_cipher *cipher, const struct ersatz_op *op)
{
    size_t len = op->u.cipher.len;

    if (!imb_short_takes(&cipher->way, len))
        return imb_compute_one(cipher->imb, op, cipher->encrypt);
    cipher->way.run(cipher->imb, op->u.cipher.iv, op->u.cipher.out, op->u.cipher.in, len);
    return true;
}

enum ersatz_result cipher_compute(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;

    *kernel = ERSATZ_KERNEL_PORTABLE;
    if (!cipher->keyed)
        return ERSATZ_BAD_KEY;
    if (!cipher_lengths_exist(op) || !length_fits(cipher->mode, op->u.cipher.len))
        return ERSATZ_BAD_INPUT;
    if (cipher->mode == ERSATZ_GCM)
        return cipher_gcm(op, kernel);
    if (cipher->mode == ERSATZ_CCM)
        return cipher_ccm(op);
    if (cipher_mode_has_mac_key(cipher->mode))
        return cipher_cbc_hmac(op);
    if (op->u.cipher.len == 0)
        return ERSATZ_OK;
    if (cipher_has_imb(cipher) && compute_imb(cipher, op)) {
        *kernel = ERSATZ_KERNEL_IPSEC_MB;
        return ERSATZ_OK;
    }
    if (!cipher_init(cipher, NULL, op->u.cipher.iv, BLOCK) ||
        !cipher_piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

static bool is_in_flight(struct ersatz_cipher *cipher)
{
    return atomic_load_explicit(&cipher->owner, memory_order_acquire) == process_generation();
}

/* False: a request in flight has the state. The caller is known to be alone with it but for that. */
static bool enter_alone(struct ersatz_cipher *cipher)
{
    unsigned self = process_generation();
    unsigned owner = atomic_load_explicit(&cipher->owner, memory_order_acquire);

    if (owner == self)
        return false;
    atomic_store_explicit(&cipher->owner, self, memory_order_relaxed);
    look_at_owner(cipher, owner);
    return true;
}

enum ersatz_result cipher_compute_alone(const struct ersatz_op *op, enum ersatz_kernel *kernel)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result;

    *kernel = ERSATZ_KERNEL_PORTABLE;
    if (!enter_alone(cipher))
        return ERSATZ_BUSY;
    result = cipher_compute(op, kernel);
    cipher_leave(cipher);
    return result;
}

struct ersatz_op ersatz_text_op(
    struct ersatz_cipher *cipher, const uint8_t iv[BLOCK], uint8_t *out, const uint8_t *in, size_t len)
{
    struct ersatz_op op = {
        .kind = ERSATZ_CIPHER, .u.cipher = {.cipher = cipher, .in = in, .out = out, .len = len}};

    if (iv != NULL)
        memcpy(op.u.cipher.iv, iv, BLOCK);
    return op;
}

/* Apart, so that a short text's way past it is short. */
static __attribute__((noinline)) enum ersatz_result compute_long(struct ersatz_cipher *cipher,
    const uint8_t iv[BLOCK], uint8_t *out, const uint8_t *in, size_t len, struct ersatz_stats *stats)
{
    struct ersatz_op op = ersatz_text_op(cipher, iv, out, in, len);

    return ersatz_compute(&op, stats);
}

enum ersatz_result ersatz_compute_text(struct ersatz_cipher *cipher, const uint8_t iv[BLOCK], uint8_t *out,
    const uint8_t *in, size_t len, struct ersatz_stats *stats)
{
    if (!imb_short_takes(&cipher->way, len) || is_in_flight(cipher) ||
        !kernel_was_found(ERSATZ_KERNEL_IPSEC_MB))
        return compute_long(cipher, iv, out, in, len, stats);
    stats_count_inline(stats, ERSATZ_KERNEL_IPSEC_MB);
    return cipher->way.run(cipher->imb, iv, out, in, len);
}
