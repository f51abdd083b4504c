/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an AES state, for aes.c and the files of the modes. */
#ifndef ERSATZ_SIM_KERNELS_AES_STATE_H
#define ERSATZ_SIM_KERNELS_AES_STATE_H

#include <openssl/crypto.h>
#include <stdatomic.h>

#include "aes.h"
#include "faster.h"
#include "openssl_aes.h"
#include "selection.h"
#include "x86.h"

#define CIPHER_KEY_MAX 32u /* of the modes that keep their key */
#define CIPHER_IDLE 0u     /* no request has claimed the state */

struct ersatz_cipher {
    _Atomic unsigned references;
    /* CIPHER_IDLE, or the generation of the process whose request has claimed the state: in the child of a
     * fork the parent's request does not count. Acquire when claimed, release when released: an operation
     * reads what the one before it wrote. */
    _Atomic unsigned owner;
    struct x86_function function; /* for its key and direction; none while it has no key */
    enum ersatz_mode mode;
    size_t key_len;
    bool encrypt, keyed;
    bool by_speed;                           /* kernels are chosen by measuring, from the next key on */
    unsigned allowed;                        /* the kernels that may compute for this state, as a set */
    void (*tell)(enum ersatz_result result); /* see ersatz_cipher_tell_failures() */
    const struct libcrypto_cipher *functions;
    void *context;                       /* libcrypto's; used only by the thread that has claimed the state,
                                          * made when first needed */
    uint8_t waiting_key[CIPHER_KEY_MAX]; /* to be given to libcrypto's context when that is first needed */
    bool key_pending;                    /* it was not given yet */
    uint8_t next_iv[16];                 /* CBC, CFB: where libcrypto's context stands after whole blocks, */
    bool has_next_iv;                    /* if this is set: a text with that IV needs no other */
    struct x86_state *x86;               /* NULL: libcrypto does everything */
    enum ersatz_kernel kernel;           /* that x86 is for: x86, or ipsec-mb for GCM by Intel's library */
    struct lengths own;                  /* of texts that x86 is for; libcrypto has the others */
    enum {
        MESSAGE_NONE,
        MESSAGE_PORTABLE,
        MESSAGE_X86,
        MESSAGE_LOST /* in any mode: at a fork, a request of the parent's had the state */
    } message;       /* GCM: whose the one under way is, to its end */
    struct {
        uint8_t key[CIPHER_KEY_MAX]; /* kept until an operation brings its lengths */
        size_t iv_len, tag_len;      /* that the key was set up for; 0: none yet */
    } ccm;
};

/* libcrypto's init function. key NULL: keep the key; iv NULL: keep the IV. Makes the context, if there is
 * none. */
bool cipher_init(struct ersatz_cipher *cipher, const uint8_t *key, const uint8_t *iv, size_t iv_len);

/* What came of cipher_init() if it failed: this, or that there was no memory for the context. */
static inline enum ersatz_result cipher_init_error(
    const struct ersatz_cipher *cipher, enum ersatz_result refused)
{
    return cipher->context == NULL ? ERSATZ_NO_MEMORY : refused;
}

/* One piece of text. out NULL: associated data; in NULL: the end of the message. */
bool cipher_piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len);

/* The same where libcrypto checks a tag: if that is wrong, the thread's error queue does not say so. */
bool cipher_checked_piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len);

/* Whether operations that begin now, on so many bytes, are for cipher->x86. */
static inline bool cipher_has_x86(const struct ersatz_cipher *cipher, size_t len)
{
    return cipher->x86 != NULL && lengths_have(cipher->own, len) && kernel_in_use(cipher->kernel);
}

/* Whether no request has the state, nor had it when the process forked. */
static inline bool cipher_is_idle(const struct ersatz_cipher *cipher)
{
    return atomic_load_explicit(&cipher->owner, memory_order_acquire) == CIPHER_IDLE;
}

#define CIPHER_TAG_MAX 16u

/* Compare the tag of an opened message with the first len bytes of what it should be, which is cleansed
 * unless the caller knows all of it: of a forged message, it is secret. Whole tags, the usual ones, are
 * compared without a call, which would take as long as a block. */
static inline enum ersatz_result cipher_compare_tags(
    uint8_t wanted[CIPHER_TAG_MAX], const uint8_t *tag, size_t len)
{
    uint64_t a[2], b[2];
    bool same;

    if (len == CIPHER_TAG_MAX) {
        memcpy(a, wanted, CIPHER_TAG_MAX);
        memcpy(b, tag, CIPHER_TAG_MAX);
        same = ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
        if (same)
            return ERSATZ_OK;
    } else {
        same = CRYPTO_memcmp(wanted, tag, len) == 0;
    }
    OPENSSL_cleanse(wanted, CIPHER_TAG_MAX);
    return same ? ERSATZ_OK : ERSATZ_BAD_TAG;
}

/* A state with this key for which one kernel alone computes. NULL: that kernel does not compute this mode, or
 * there is no memory. */
struct ersatz_cipher *cipher_new_for_kernel(
    enum ersatz_mode mode, const uint8_t *key, size_t key_len, bool encrypt, enum ersatz_kernel kernel);

/* The modes' own kernels. */
enum ersatz_result cipher_gcm(const struct ersatz_op *op, enum ersatz_kernel *kernel);
enum ersatz_result cipher_ccm(const struct ersatz_op *op, enum ersatz_kernel *kernel);
enum ersatz_result cipher_cbc_hmac(const struct ersatz_op *op);

static inline bool cipher_mode_has_mac_key(enum ersatz_mode mode)
{
    return mode == ERSATZ_CBC_HMAC_SHA1 || mode == ERSATZ_CBC_HMAC_SHA256;
}

#endif
