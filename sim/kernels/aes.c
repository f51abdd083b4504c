/* SPDX-License-Identifier: Apache-2.0 */
/* AES states, and the portable kernel for them: libcrypto's provider, on a context that belongs to the
 * device. */
#include "aes.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "aes_state.h"
#include "base/fork.h"

#define BLOCK 16u

/* A state for these functions, without a context of libcrypto's; NULL: no memory. */
static struct ersatz_cipher *make(
    enum ersatz_mode mode, size_t key_len, const struct libcrypto_cipher *functions)
{
    struct ersatz_cipher *cipher = calloc(1, sizeof(*cipher));

    if (cipher == NULL)
        return NULL;
    atomic_init(&cipher->references, 1);
    atomic_init(&cipher->owner, CIPHER_IDLE);
    cipher->mode = mode;
    cipher->key_len = key_len;
    cipher->allowed = ERSATZ_KERNELS_ALL;
    cipher->functions = functions;
    return cipher;
}

static bool make_context(struct ersatz_cipher *cipher)
{
    if (cipher->context == NULL)
        cipher->context = cipher->functions->newctx(cipher->functions->provider_context);
    return cipher->context != NULL;
}

/* Whether libcrypto's context is given something before its first key: CCM's lengths, the key of the HMAC. */
static bool needs_context_at_once(enum ersatz_mode mode)
{
    return mode == ERSATZ_CCM || cipher_mode_has_mac_key(mode);
}

void ersatz_cipher_go_by_speed(struct ersatz_cipher *cipher, bool by_speed)
{
    cipher->by_speed = by_speed; /* read on the caller's side only, when a key or a direction is set */
}

void ersatz_cipher_tell_failures(struct ersatz_cipher *cipher, void (*tell)(enum ersatz_result result))
{
    cipher->tell = tell;
}

bool ersatz_cipher_is_available(enum ersatz_mode mode, unsigned key_bits)
{
    return libcrypto_cipher_find(mode, key_bits) != NULL;
}

enum ersatz_result ersatz_cipher_new(enum ersatz_mode mode, unsigned key_bits, struct ersatz_cipher **out)
{
    const struct libcrypto_cipher *functions;
    struct ersatz_cipher *cipher;

    *out = NULL;
    if ((key_bits != 128 && key_bits != 192 && key_bits != 256) ||
        (key_bits == 192 && (mode == ERSATZ_XTS || cipher_mode_has_mac_key(mode))))
        return ERSATZ_BAD_KEY;
    functions = libcrypto_cipher_find(mode, key_bits);
    if (functions == NULL)
        return ERSATZ_COMPUTE_FAILED;
    cipher = make(mode, key_bits / 8 * (mode == ERSATZ_XTS ? 2 : 1), functions);
    if (cipher != NULL && needs_context_at_once(mode) && !make_context(cipher)) {
        free(cipher);
        cipher = NULL;
    }
    *out = cipher;
    return cipher == NULL ? ERSATZ_NO_MEMORY : ERSATZ_OK;
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
    if (cipher->context != NULL)
        cipher->functions->freectx(cipher->context); /* cleanses the key */
    x86_state_free(cipher->x86);
    OPENSSL_cleanse(&cipher->ccm, sizeof(cipher->ccm));
    OPENSSL_cleanse(cipher->waiting_key, sizeof(cipher->waiting_key));
    OPENSSL_cleanse(cipher->next_iv, sizeof(cipher->next_iv));
    free(cipher);
}

/* Nobody knows what the state was at. */
static void lose_message(struct ersatz_cipher *cipher)
{
    cipher->message = MESSAGE_LOST;
    cipher->has_next_iv = false;
}

void cipher_release_lost(struct ersatz_cipher *cipher)
{
    lose_message(cipher);
    cipher_release(cipher);
}

/* After claiming a state that owner had: in the child of a fork, a worker of the parent may have been in the
 * middle of an operation on it. */
static void note_previous_owner(struct ersatz_cipher *cipher, unsigned owner)
{
    if (owner != CIPHER_IDLE)
        lose_message(cipher);
}

bool cipher_claim(struct ersatz_cipher *cipher)
{
    unsigned self = process_generation();
    unsigned owner = atomic_load_explicit(&cipher->owner, memory_order_relaxed);

    if (owner == self || !atomic_compare_exchange_strong_explicit(
                             &cipher->owner, &owner, self, memory_order_acquire, memory_order_relaxed))
        return false;
    note_previous_owner(cipher, owner);
    return true;
}

bool cipher_claim_alone(struct ersatz_cipher *cipher)
{
    unsigned self = process_generation();
    unsigned owner = atomic_load_explicit(&cipher->owner, memory_order_acquire);

    if (owner == self)
        return false;
    atomic_store_explicit(&cipher->owner, self, memory_order_relaxed);
    note_previous_owner(cipher, owner);
    return true;
}

void cipher_release(struct ersatz_cipher *cipher)
{
    atomic_store_explicit(&cipher->owner, CIPHER_IDLE, memory_order_release);
}

bool cipher_has_lanes(const struct ersatz_cipher *cipher)
{
    switch (cipher->mode) {
    case ERSATZ_CBC:
    case ERSATZ_CFB:
        return cipher->encrypt;
    case ERSATZ_OFB:
        return true;
    default:
        return false;
    }
}

bool cipher_is_fastest_alone(const struct ersatz_cipher *cipher)
{
    return !cipher_has_lanes(cipher) && !cipher_mode_has_mac_key(cipher->mode);
}

bool cipher_writes_ciphertext(const struct ersatz_cipher *cipher)
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

    cipher->has_next_iv = false;
    if (key == NULL && cipher->key_pending)
        key = cipher->waiting_key;
    done = make_context(cipher) &&
           init(cipher->context, key, key == NULL ? 0 : cipher->key_len, iv, iv_len, NULL) == 1;
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

bool cipher_checked_piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
    bool done;

    ERR_set_mark();
    done = cipher_piece(cipher, out, in, len);
    if (done)
        ERR_clear_last_mark();
    else
        ERR_pop_to_mark();
    return done;
}

static bool may_use(const struct ersatz_cipher *cipher, enum ersatz_kernel kernel)
{
    return kernel_in_use(kernel) && (cipher->allowed & 1u << kernel) != 0;
}

/* Whether the kernel is one to be measured: not one that KERNELS names. */
static bool goes_by_speed(const struct ersatz_cipher *cipher, enum ersatz_kernel kernel)
{
    return cipher->by_speed && !cipher_mode_has_mac_key(cipher->mode) && kernel_in_use(kernel) &&
           !kernel_is_forced(kernel);
}

/* The kernel for single operations in this mode; *useful: whether it is in use, or the state is of use to
 * Intel's library, whose lanes take their keys from it. */
static enum ersatz_kernel choose_kernel(const struct ersatz_cipher *cipher, bool *useful)
{
    bool x86 = may_use(cipher, ERSATZ_KERNEL_X86), library = may_use(cipher, ERSATZ_KERNEL_IPSEC_MB);

    *useful = x86 || library;
    if (cipher->mode != ERSATZ_GCM)
        return ERSATZ_KERNEL_X86;
    if (x86 && x86_has_vaes() && library && goes_by_speed(cipher, ERSATZ_KERNEL_X86))
        return faster_kernel(ERSATZ_GCM, cipher->key_len, true); /* for both directions */
    return x86 && (x86_has_vaes() || !library) ? ERSATZ_KERNEL_X86 : ERSATZ_KERNEL_IPSEC_MB;
}

static void drop_x86(struct ersatz_cipher *cipher)
{
    x86_state_free(cipher->x86);
    cipher->x86 = NULL;
}

/* False: libcrypto does everything; there may be no memory for anything else. */
static bool set_x86_key(struct ersatz_cipher *cipher, const uint8_t *key)
{
    bool useful;
    enum ersatz_kernel kernel = choose_kernel(cipher, &useful);

    if (!useful || cipher->kernel != kernel)
        drop_x86(cipher);
    if (useful && cipher->x86 == NULL)
        cipher->x86 = x86_state_new(cipher->mode, cipher->key_len, kernel);
    cipher->kernel = kernel;
    if (cipher->x86 != NULL)
        x86_state_set_key(cipher->x86, key);
    return cipher->x86 != NULL;
}

/* Many a program sets the same key for every message. */
static bool has_key_already(const struct ersatz_cipher *cipher, const uint8_t *key)
{
    return cipher->keyed && cipher->key_pending && cipher->x86 != NULL && kernel_in_use(cipher->kernel) &&
           CRYPTO_memcmp(cipher->waiting_key, key, cipher->key_len) == 0;
}

/* Texts of which lengths are for cipher->x86. */
static struct lengths own_lengths(const struct ersatz_cipher *cipher)
{
    if (goes_by_speed(cipher, cipher->kernel))
        return faster_lengths(cipher->mode, cipher->key_len, cipher->encrypt, cipher->kernel);
    return (struct lengths){0, SIZE_MAX};
}

static struct lengths common_lengths(struct lengths a, struct lengths b)
{
    size_t first = a.shortest > b.shortest ? a.shortest : b.shortest;
    size_t last_a = a.shortest + (a.count - 1), last_b = b.shortest + (b.count - 1);
    size_t last = last_a < last_b ? last_a : last_b;

    if (a.count == 0 || b.count == 0 || last < first)
        return (struct lengths){0, 0};
    return (struct lengths){first, last - first + 1};
}

/* Whenever key or direction have changed. */
static void select_function(struct ersatz_cipher *cipher)
{
    cipher->function = (struct x86_function){0};
    if (!cipher->keyed || cipher->x86 == NULL)
        return;
    cipher->own = own_lengths(cipher);
    cipher->function = x86_function_for(cipher->x86, cipher->encrypt);
    cipher->function.lengths = common_lengths(cipher->function.lengths, cipher->own);
    if (!lengths_have(cipher->function.lengths, BLOCK) ||
        !lengths_have(cipher->function.lengths, cipher->function.few_blocks * BLOCK))
        cipher->function.few_blocks = 0;
}

static bool set_key(struct ersatz_cipher *cipher, const uint8_t *key)
{
    bool has_x86;

    if (has_key_already(cipher, key)) {
        cipher->message = MESSAGE_NONE;
        return true;
    }
    has_x86 = set_x86_key(cipher, key);

    cipher->key_pending = cipher->has_next_iv = false;
    cipher->message = MESSAGE_NONE;
    if (cipher->mode == ERSATZ_CCM) {
        memcpy(cipher->ccm.key, key, cipher->key_len);
        cipher->ccm.iv_len = cipher->ccm.tag_len = 0;
        return true;
    }
    if (!has_x86 || cipher->mode == ERSATZ_XTS) /* of which libcrypto refuses some keys */
        return cipher_init(cipher, key, NULL, 0);
    memcpy(cipher->waiting_key, key, cipher->key_len);
    cipher->key_pending = true;
    return true;
}

enum ersatz_result ersatz_cipher_set_key(
    struct ersatz_cipher *cipher, const uint8_t *key, size_t key_len, bool encrypt)
{
    enum ersatz_result result = ERSATZ_OK;

    if (key_len != cipher->key_len)
        return ERSATZ_BAD_KEY;
    if (!cipher_claim(cipher))
        return ERSATZ_BUSY;
    cipher->encrypt = encrypt;
    cipher->keyed = set_key(cipher, key);
    if (!cipher->keyed)
        result = cipher_init_error(cipher, ERSATZ_BAD_KEY);
    select_function(cipher);
    cipher_release(cipher);
    return result;
}

struct ersatz_cipher *cipher_new_for_kernel(
    enum ersatz_mode mode, const uint8_t *key, size_t key_len, bool encrypt, enum ersatz_kernel kernel)
{
    struct ersatz_cipher *cipher;
    bool done;

    if (ersatz_cipher_new(mode, (unsigned)key_len * 8 / (mode == ERSATZ_XTS ? 2 : 1), &cipher) != ERSATZ_OK)
        return NULL;
    cipher->allowed = 1u << kernel;
    done = ersatz_cipher_set_key(cipher, key, key_len, encrypt) == ERSATZ_OK;
    if (done && (kernel == ERSATZ_KERNEL_PORTABLE || (cipher->x86 != NULL && cipher->kernel == kernel)))
        return cipher;
    ersatz_cipher_free(cipher);
    return NULL;
}

/* The caller has claimed the state. */
static enum ersatz_result dup(const struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    struct ersatz_cipher *copy = make(cipher->mode, cipher->key_len, cipher->functions);

    if (copy == NULL)
        return ERSATZ_NO_MEMORY;
    if (cipher->context != NULL)
        copy->context = cipher->functions->dupctx(cipher->context);
    if (cipher->x86 != NULL)
        copy->x86 = x86_state_dup(cipher->x86);
    /* Without a state of its own, the copy knows nothing of a message that the x86 kernel has. */
    if ((cipher->context != NULL && copy->context == NULL) ||
        (cipher->message == MESSAGE_X86 && copy->x86 == NULL)) {
        ersatz_cipher_free(copy);
        return ERSATZ_NO_MEMORY;
    }
    copy->encrypt = cipher->encrypt;
    copy->keyed = cipher->keyed;
    copy->by_speed = cipher->by_speed;
    copy->tell = cipher->tell;
    copy->kernel = cipher->kernel;
    select_function(copy);
    copy->message = cipher->message;
    copy->key_pending = cipher->key_pending;
    memcpy(copy->waiting_key, cipher->waiting_key, sizeof(cipher->waiting_key));
    *out = copy;
    return ERSATZ_OK;
}

/* CCM: by its key, since the context that libcrypto keeps for it points into itself. */
static enum ersatz_result dup_ccm(const struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    enum ersatz_result result = ersatz_cipher_new(ERSATZ_CCM, (unsigned)cipher->key_len * 8, out);

    if (result == ERSATZ_OK) {
        (*out)->by_speed = cipher->by_speed;
        (*out)->tell = cipher->tell;
    }
    if (result == ERSATZ_OK && cipher->keyed)
        result = ersatz_cipher_set_key(*out, cipher->ccm.key, cipher->key_len, cipher->encrypt);
    return result;
}

enum ersatz_result ersatz_cipher_set_direction(struct ersatz_cipher *cipher, bool encrypt)
{
    enum ersatz_result result = ERSATZ_OK;

    if (cipher->encrypt == encrypt)
        return ERSATZ_OK; /* written on the caller's side only, never by a worker */
    if (!cipher_claim(cipher))
        return ERSATZ_BUSY;
    cipher->encrypt = encrypt;
    cipher->has_next_iv = false;
    select_function(cipher);
    cipher->ccm.iv_len = 0; /* libcrypto sets CCM's key up for one direction */
    if (cipher->message == MESSAGE_PORTABLE && !cipher_init(cipher, NULL, NULL, 0))
        result = ERSATZ_COMPUTE_FAILED;
    cipher_release(cipher);
    return result;
}

enum ersatz_result ersatz_cipher_dup(struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    enum ersatz_result result;

    *out = NULL;
    if (cipher->mode != ERSATZ_CCM && cipher->functions->dupctx == NULL)
        return ERSATZ_COMPUTE_FAILED;
    if (!cipher_claim(cipher))
        return ERSATZ_BUSY;
    result = cipher->mode == ERSATZ_CCM ? dup_ccm(cipher, out) : dup(cipher, out);
    cipher_release(cipher);
    return result;
}

bool cipher_lengths_possible(const struct ersatz_op *op)
{
    return ((op->u.cipher.len | op->u.cipher.aad_len | op->u.cipher.iv_len | op->u.cipher.tag_len) &
               ~(SIZE_MAX >> 3)) == 0;
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

void ersatz_next_iv(const struct ersatz_cipher *cipher, uint8_t iv[BLOCK], const uint8_t last_in[BLOCK],
    const uint8_t last_out[BLOCK], size_t len)
{
    switch (cipher->mode) {
    case ERSATZ_CBC:
    case ERSATZ_CFB: /* the last ciphertext */
        memcpy(iv, cipher->encrypt ? last_out : last_in, BLOCK);
        break;
    case ERSATZ_OFB: /* the last key stream */
        for (unsigned i = 0; i < BLOCK; i++)
            iv[i] = last_in[i] ^ last_out[i];
        break;
    case ERSATZ_CTR:
        counter_add(iv, len / BLOCK);
        break;
    default:
        break;
    }
}
