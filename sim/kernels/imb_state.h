/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this kernel share: a state from within. */
#ifndef ERSATZ_SIM_KERNELS_IMB_STATE_H
#define ERSATZ_SIM_KERNELS_IMB_STATE_H

#include <intel-ipsec-mb.h>

#include "imb.h"
#include "x86_vaes_gcm.h"

#define IMB_ROUND_KEYS (15 * 4) /* words, of the longest key */

struct imb_gcm_functions {
    aes_gcm_pre_t expand;
    aes_gcm_init_t init; /* with an IV of 12 bytes */
    aes_gcm_init_var_iv_t init_var_iv;
    aes_gcm_enc_dec_update_t encrypt, decrypt;
    aes_gcm_enc_dec_finalize_t finalize; /* the same for both directions */
};

struct imb_gcm {
    bool is_wide; /* x86_vaes_gcm.c does it */
    union {
        struct gcm_key_data key; /* aligned by its own declaration */
        struct vaes_gcm_key wide_key;
    };
    struct imb_gcm_functions functions;
    union { /* of the message under way */
        struct gcm_context_data context;
        struct vaes_gcm wide_context;
    };
    bool encrypt; /* the message under way */
};

struct imb_blocks {
    _Alignas(16) uint32_t encrypt_keys[IMB_ROUND_KEYS];
    _Alignas(16) uint32_t decrypt_keys[IMB_ROUND_KEYS];
    _Alignas(16) uint32_t tweak_keys[IMB_ROUND_KEYS]; /* XTS */
};

struct imb_state {
    union {
        struct imb_gcm gcm;       /* GCM */
        struct imb_blocks blocks; /* every other mode */
    };
    enum ersatz_mode mode;
    size_t block_key_len; /* of the block cipher: for XTS, half of the key */
};

static inline unsigned imb_rounds(size_t block_key_len)
{
    return (unsigned)block_key_len / 4 + 6;
}

/* imb_state.c: the round keys of a key, in the order of use for each direction. */
void imb_expand(const uint8_t *key, size_t len, uint32_t *encrypt_keys, uint32_t *decrypt_keys);

/* imb_gcm.c */
void imb_gcm_set_key(struct imb_gcm *gcm, const uint8_t *key, size_t key_len);

#endif
