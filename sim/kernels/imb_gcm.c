/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM, by x86_vaes_gcm.c where the processor has what that takes, else by the library. The library's
 * functions for it work on nothing but what they are given, so no manager is needed.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "imb_manager.h"
#include "imb_state.h"

/* NIST SP 800-38D, 5.2.1.1: 2^39 - 256 bits */
#define TEXT_MAX ((UINT64_C(1) << 36) - 32)

static struct imb_gcm_functions functions_for(const IMB_MGR *all, size_t key_len)
{
    switch (key_len) {
    case IMB_KEY_128_BYTES:
        return (struct imb_gcm_functions){all->gcm128_pre, all->gcm128_init, all->gcm128_init_var_iv,
            all->gcm128_enc_update, all->gcm128_dec_update, all->gcm128_enc_finalize};
    case IMB_KEY_192_BYTES:
        return (struct imb_gcm_functions){all->gcm192_pre, all->gcm192_init, all->gcm192_init_var_iv,
            all->gcm192_enc_update, all->gcm192_dec_update, all->gcm192_enc_finalize};
    default:
        return (struct imb_gcm_functions){all->gcm256_pre, all->gcm256_init, all->gcm256_init_var_iv,
            all->gcm256_enc_update, all->gcm256_dec_update, all->gcm256_enc_finalize};
    }
}

static void set_wide_key(struct vaes_gcm_key *wide, const uint8_t *key, size_t key_len)
{
    uint32_t unused[IMB_ROUND_KEYS]; /* GCM only ever encrypts blocks */

    imb_expand(key, key_len, wide->round_keys, unused);
    OPENSSL_cleanse(unused, sizeof(unused));
    wide->rounds = imb_rounds(key_len);
    vaes_gcm_make_powers(wide);
}

void imb_gcm_set_key(struct imb_gcm *gcm, const uint8_t *key, size_t key_len)
{
    gcm->is_wide = imb_has_vaes();
    if (gcm->is_wide) {
        set_wide_key(&gcm->wide_key, key, key_len);
        return;
    }
    gcm->functions = functions_for(imb_functions(), key_len);
    gcm->functions.expand(key, &gcm->key);
    imb_clear_upper_halves();
}

void imb_gcm_begin(struct imb_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad,
    size_t aad_len, bool encrypt)
{
    struct imb_gcm *gcm = &state->gcm;

    gcm->encrypt = encrypt;
    if (gcm->is_wide)
        vaes_gcm_begin(&gcm->wide_key, &gcm->wide_context, iv, iv_len, aad, aad_len);
    else if (iv_len == 12)
        gcm->functions.init(&gcm->key, &gcm->context, iv, aad, aad_len);
    else
        gcm->functions.init_var_iv(&gcm->key, &gcm->context, iv, iv_len, aad, aad_len);
    imb_clear_upper_halves();
}

static uint64_t text_so_far(const struct imb_gcm *gcm)
{
    return gcm->is_wide ? gcm->wide_context.text_len : gcm->context.in_length;
}

bool imb_gcm_text(struct imb_state *state, uint8_t *out, const uint8_t *in, size_t len)
{
    struct imb_gcm *gcm = &state->gcm;

    if (len > TEXT_MAX - text_so_far(gcm))
        return false;
    if (gcm->is_wide)
        vaes_gcm_text(&gcm->wide_key, &gcm->wide_context, out, in, len, gcm->encrypt);
    else if (gcm->encrypt)
        gcm->functions.encrypt(&gcm->key, &gcm->context, out, in, len);
    else
        gcm->functions.decrypt(&gcm->key, &gcm->context, out, in, len);
    imb_clear_upper_halves();
    return true;
}

void imb_gcm_end(struct imb_state *state, uint8_t tag[16])
{
    struct imb_gcm *gcm = &state->gcm;

    if (gcm->is_wide)
        vaes_gcm_end(&gcm->wide_key, &gcm->wide_context, tag);
    else
        gcm->functions.finalize(&gcm->key, &gcm->context, tag, IMB_BLOCK);
    imb_clear_upper_halves();
    OPENSSL_cleanse(&gcm->context, sizeof(gcm->context)); /* either */
}
