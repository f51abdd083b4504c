/* SPDX-License-Identifier: Apache-2.0 */
/* States of this kernel: made, keyed, copied, freed. */
#include "imb_state.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "imb_manager.h"

#define ALIGNMENT 64u /* what struct gcm_key_data asks for */

static struct imb_state *allocate(void)
{
    return aligned_alloc(ALIGNMENT, (sizeof(struct imb_state) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static bool is_for(enum ersatz_mode mode)
{
    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_CTR:
    case ERSATZ_GCM:
    case ERSATZ_XTS:
    case ERSATZ_ECB:
    case ERSATZ_CFB:
    case ERSATZ_OFB:
        return true;
    default:
        return false;
    }
}

struct imb_state *imb_state_new(enum ersatz_mode mode, size_t key_len)
{
    struct imb_state *state;

    if (!is_for(mode) || imb_functions() == NULL)
        return NULL;
    state = allocate();
    if (state == NULL)
        return NULL;
    memset(state, 0, sizeof(*state));
    state->mode = mode;
    state->block_key_len = mode == ERSATZ_XTS ? key_len / 2 : key_len;
    return state;
}

struct imb_state *imb_state_dup(const struct imb_state *state)
{
    struct imb_state *copy = allocate();

    if (copy != NULL)
        memcpy(copy, state, sizeof(*copy));
    return copy;
}

void imb_state_free(struct imb_state *state)
{
    if (state != NULL)
        OPENSSL_cleanse(state, sizeof(*state));
    free(state);
}

void imb_expand(const uint8_t *key, size_t len, uint32_t *encrypt_keys, uint32_t *decrypt_keys)
{
    const IMB_MGR *functions = imb_functions();

    switch (len) {
    case IMB_KEY_128_BYTES:
        IMB_AES_KEYEXP_128(functions, key, encrypt_keys, decrypt_keys);
        break;
    case IMB_KEY_192_BYTES:
        IMB_AES_KEYEXP_192(functions, key, encrypt_keys, decrypt_keys);
        break;
    default:
        IMB_AES_KEYEXP_256(functions, key, encrypt_keys, decrypt_keys);
    }
    imb_clear_upper_halves();
}

void imb_state_set_key(struct imb_state *state, const uint8_t *key)
{
    struct imb_blocks *blocks = &state->blocks;
    size_t len = state->block_key_len;

    if (state->mode == ERSATZ_GCM) {
        imb_gcm_set_key(&state->gcm, key, len);
        return;
    }
    if (state->mode ==
        ERSATZ_XTS) /* first, since the keys for decryption are made here too, and not needed */
        imb_expand(key + len, len, blocks->tweak_keys, blocks->decrypt_keys);
    imb_expand(key, len, blocks->encrypt_keys, blocks->decrypt_keys);
}
