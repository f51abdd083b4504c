/* AES states, and the portable kernel for them: libcrypto's provider, on a context that belongs to the
 * device. */
#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "libcrypto_ciphers.h"
#include "process.h"

#define BLOCK 16u
#define XTS_LEN_MAX ((size_t)1 << 24) /* 2^20 blocks a data unit: IEEE 1619-2018, 5.1 */
#define GCM_IV_MAX 128u               /* what OpenSSL's provider takes */
#define IDLE 0u

struct ersatz_cipher {
    _Atomic unsigned references;
    /* IDLE, or the generation of the process whose request has the state: in the child of a fork the parent's
     * request does not count. Acquire on entering, release on leaving: what one operation wrote the next one
     * reads. */
    _Atomic unsigned owner;
    enum ersatz_mode mode;
    size_t key_len;
    bool encrypt, keyed;
    const struct libcrypto_cipher *functions;
    void *context; /* libcrypto's; touched by whoever has entered, or by set_key and dup on the caller's
                      thread */
};

static enum ersatz_result allocate(struct ersatz_cipher **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return ERSATZ_NO_MEMORY;
    atomic_init(&(*out)->references, 1);
    atomic_init(&(*out)->owner, IDLE);
    return ERSATZ_OK;
}

enum ersatz_result ersatz_cipher_new(enum ersatz_mode mode, unsigned key_bits, struct ersatz_cipher **out)
{
    void *provider_context = NULL;
    const struct libcrypto_cipher *functions;
    enum ersatz_result result;

    *out = NULL;
    if ((key_bits != 128 && key_bits != 192 && key_bits != 256) || (mode == ERSATZ_XTS && key_bits == 192))
        return ERSATZ_BAD_KEY;
    functions = libcrypto_cipher_find(mode, key_bits, &provider_context);
    if (functions == NULL)
        return ERSATZ_COMPUTE_FAILED;
    result = allocate(out);
    if (result != ERSATZ_OK)
        return result;
    (*out)->mode = mode;
    (*out)->key_len = key_bits / 8 * (mode == ERSATZ_XTS ? 2 : 1);
    (*out)->functions = functions;
    (*out)->context = functions->newctx(provider_context);
    if ((*out)->context == NULL) {
        free(*out);
        *out = NULL;
        return ERSATZ_NO_MEMORY;
    }
    return ERSATZ_OK;
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
    free(cipher);
}

bool cipher_enter(struct ersatz_cipher *cipher)
{
    unsigned self = process_generation();
    unsigned owner = atomic_load_explicit(&cipher->owner, memory_order_relaxed);

    return owner != self && atomic_compare_exchange_strong_explicit(
                                &cipher->owner, &owner, self, memory_order_acquire, memory_order_relaxed);
}

void cipher_leave(struct ersatz_cipher *cipher)
{
    atomic_store_explicit(&cipher->owner, IDLE, memory_order_release);
}

enum ersatz_mode cipher_mode(const struct ersatz_cipher *cipher)
{
    return cipher->mode;
}

static int init(struct ersatz_cipher *cipher, const uint8_t *key, const uint8_t *iv, size_t iv_len)
{
    size_t key_len = key == NULL ? 0 : cipher->key_len;

    return cipher->encrypt ? cipher->functions->encrypt_init(cipher->context, key, key_len, iv, iv_len, NULL)
                           : cipher->functions->decrypt_init(cipher->context, key, key_len, iv, iv_len, NULL);
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
    set = init(cipher, key, NULL, 0) == 1;
    cipher->keyed = set;
    cipher_leave(cipher);
    return set ? ERSATZ_OK : ERSATZ_BAD_KEY;
}

enum ersatz_result ersatz_cipher_dup(struct ersatz_cipher *cipher, struct ersatz_cipher **out)
{
    enum ersatz_result result;

    *out = NULL;
    if (cipher->functions->dupctx == NULL)
        return ERSATZ_COMPUTE_FAILED;
    if (!cipher_enter(cipher))
        return ERSATZ_BUSY;
    result = allocate(out);
    if (result == ERSATZ_OK) {
        (*out)->mode = cipher->mode;
        (*out)->key_len = cipher->key_len;
        (*out)->encrypt = cipher->encrypt;
        (*out)->keyed = cipher->keyed;
        (*out)->functions = cipher->functions;
        (*out)->context = cipher->functions->dupctx(cipher->context);
        if ((*out)->context == NULL) {
            free(*out);
            *out = NULL;
            result = ERSATZ_NO_MEMORY;
        }
    }
    cipher_leave(cipher);
    return result;
}

/* One piece. out NULL: associated data; in NULL: the end of the message. */
static bool piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
    size_t out_len = 0;

    return cipher->functions->cipher(cipher->context, out, &out_len, len, in, len) == 1;
}

static enum ersatz_result gcm_end(struct ersatz_cipher *cipher, uint8_t *tag, size_t tag_len)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_len),
        OSSL_PARAM_construct_end()};

    if (!cipher->encrypt) {
        if (cipher->functions->set_ctx_params(cipher->context, params) != 1)
            return ERSATZ_BAD_INPUT;
        return piece(cipher, NULL, NULL, 0) ? ERSATZ_OK : ERSATZ_BAD_TAG;
    }
    if (!piece(cipher, NULL, NULL, 0) || cipher->functions->get_ctx_params(cipher->context, params) != 1)
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}

static enum ersatz_result gcm(const struct ersatz_op *op)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;
    enum ersatz_result result = ERSATZ_OK;

    if (op->u.cipher.long_iv != NULL) {
        if (op->u.cipher.iv_len < 1 || op->u.cipher.iv_len > GCM_IV_MAX)
            return ERSATZ_BAD_INPUT;
        if (init(cipher, NULL, op->u.cipher.long_iv, op->u.cipher.iv_len) != 1)
            return ERSATZ_COMPUTE_FAILED;
    }
    if (op->u.cipher.aad_len > 0 && !piece(cipher, NULL, op->u.cipher.aad, op->u.cipher.aad_len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.len > 0 && !piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    if (op->u.cipher.tag != NULL)
        result = gcm_end(cipher, op->u.cipher.tag, op->u.cipher.tag_len);
    /* What this operation deciphered must not be used; earlier pieces of a message are the caller's already.
     */
    if (result == ERSATZ_BAD_TAG && op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return result;
}

static bool length_fits(enum ersatz_mode mode, size_t len)
{
    switch (mode) {
    case ERSATZ_CBC:
        return len % BLOCK == 0;
    case ERSATZ_XTS:
        return len >= BLOCK && len <= XTS_LEN_MAX;
    default:
        return true;
    }
}

enum ersatz_result cipher_compute(const struct ersatz_op *op)
{
    struct ersatz_cipher *cipher = op->u.cipher.cipher;

    if (!cipher->keyed)
        return ERSATZ_BAD_KEY;
    if (!length_fits(cipher->mode, op->u.cipher.len))
        return ERSATZ_BAD_INPUT;
    if (cipher->mode == ERSATZ_GCM)
        return gcm(op);
    if (op->u.cipher.len == 0)
        return ERSATZ_OK;
    if (init(cipher, NULL, op->u.cipher.iv, BLOCK) != 1 ||
        !piece(cipher, op->u.cipher.out, op->u.cipher.in, op->u.cipher.len))
        return ERSATZ_COMPUTE_FAILED;
    return ERSATZ_OK;
}
