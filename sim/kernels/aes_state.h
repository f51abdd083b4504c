/* SPDX-License-Identifier: Apache-2.0 */
/* An AES state from within: what aes.c keeps and the modes' own files work on. */
#ifndef ERSATZ_SIM_KERNELS_AES_STATE_H
#define ERSATZ_SIM_KERNELS_AES_STATE_H

#include <stdatomic.h>

#include "aes.h"
#include "imb.h"
#include "openssl_aes.h"
#include "selection.h"

#define CIPHER_KEY_MAX 32u /* of the modes that keep their key */

struct ersatz_cipher {
    _Atomic unsigned references;
    /* IDLE, or the generation of the process whose request has the state: in the child of a fork the parent's
     * request does not count. Acquire on entering, release on leaving: what one operation wrote the next one
     * reads. */
    _Atomic unsigned owner;
    struct imb_short way; /* as set up for its key and direction; none while it has no key */
    enum ersatz_mode mode;
    size_t key_len;
    bool encrypt, keyed;
    const struct libcrypto_cipher *functions;
    void *context; /* libcrypto's; touched by whoever has entered, or by set_key and dup on the caller's
                      thread */
    uint8_t waiting_key[CIPHER_KEY_MAX]; /* for libcrypto's context, which may never be needed beside imb */
    bool key_pending;
    struct imb_state *imb; /* NULL: libcrypto does everything */
    enum {
        MESSAGE_NONE,
        MESSAGE_PORTABLE,
        MESSAGE_IMB,
        MESSAGE_LOST /* in any mode: at a fork, a request of the parent's had the state */
    } message;       /* GCM: whose the one under way is, to its end */
    struct {
        uint8_t key[CIPHER_KEY_MAX];
        size_t iv_len, tag_len; /* that the key was set up for; 0: none yet */
    } ccm;
};

/* libcrypto's init function. key NULL: keep the key; iv NULL: keep the IV. */
bool cipher_init(struct ersatz_cipher *cipher, const uint8_t *key, const uint8_t *iv, size_t iv_len);

/* One piece of text. out NULL: associated data; in NULL: the end of the message. */
bool cipher_piece(struct ersatz_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len);

/* Whether operations that begin now may be imb's. */
static inline bool cipher_has_imb(const struct ersatz_cipher *cipher)
{
    return cipher->imb != NULL && kernel_in_use(ERSATZ_KERNEL_IPSEC_MB);
}

/* The modes' own kernels. */
enum ersatz_result cipher_gcm(const struct ersatz_op *op, enum ersatz_kernel *kernel);
enum ersatz_result cipher_ccm(const struct ersatz_op *op);
enum ersatz_result cipher_cbc_hmac(const struct ersatz_op *op);

static inline bool cipher_mode_has_mac_key(enum ersatz_mode mode)
{
    return mode == ERSATZ_CBC_HMAC_SHA1 || mode == ERSATZ_CBC_HMAC_SHA256;
}

/* CCM keeps the key until an operation brings its lengths, and copies a state by its key: the context that
 * libcrypto keeps for it points into itself. */
void cipher_ccm_set_key(struct ersatz_cipher *cipher, const uint8_t *key);
enum ersatz_result cipher_ccm_dup(const struct ersatz_cipher *cipher, struct ersatz_cipher **out);

#endif
