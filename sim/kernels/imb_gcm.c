/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM, by x86_vaes_gcm.c where the processor has what that takes, else by the library. The library's
 * functions for it work on nothing but what they are given, so no manager is needed. A message's IV and
 * associated data wait here until its text begins, or its end: the library takes them together.
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
    gcm->phase = IMB_GCM_NONE;
    gcm->is_wide = imb_has_vaes();
    if (gcm->is_wide) {
        set_wide_key(&gcm->wide_key, key, key_len);
        return;
    }
    gcm->functions = functions_for(imb_functions(), key_len);
    gcm->functions.expand(key, &gcm->key);
    imb_clear_upper_halves();
}

void imb_gcm_begin(struct imb_state *state, const uint8_t *iv, size_t iv_len, bool encrypt)
{
    struct imb_gcm *gcm = &state->gcm;

    memcpy(gcm->iv, iv, iv_len);
    gcm->iv_len = iv_len;
    gcm->aad_len = 0;
    gcm->phase = IMB_GCM_BEFORE_TEXT;
    gcm->encrypt = encrypt;
}

static void begin_text(struct imb_gcm *gcm, const uint8_t *aad, size_t aad_len)
{
    if (gcm->is_wide)
        vaes_gcm_begin(&gcm->wide_key, &gcm->wide_context, gcm->iv, gcm->iv_len, aad, aad_len);
    else if (gcm->iv_len == 12)
        gcm->functions.init(&gcm->key, &gcm->context, gcm->iv, aad, aad_len);
    else
        gcm->functions.init_var_iv(&gcm->key, &gcm->context, gcm->iv, gcm->iv_len, aad, aad_len);
    imb_clear_upper_halves();
    gcm->phase = IMB_GCM_TEXT;
}

/* Whether there is a message, in its text from now on. */
static bool in_text(struct imb_gcm *gcm)
{
    if (gcm->phase == IMB_GCM_BEFORE_TEXT)
        begin_text(gcm, gcm->aad, gcm->aad_len);
    return gcm->phase == IMB_GCM_TEXT;
}

enum imb_aad imb_gcm_aad(struct imb_state *state, const uint8_t *aad, size_t len, bool last)
{
    struct imb_gcm *gcm = &state->gcm;

    if (gcm->phase != IMB_GCM_BEFORE_TEXT)
        return IMB_AAD_TOO_LATE;
    if (last && gcm->aad_len == 0) {
        begin_text(gcm, aad, len);
        return IMB_AAD_TAKEN;
    }
    if (len > IMB_GCM_AAD_KEPT - gcm->aad_len)
        return IMB_AAD_TOO_MUCH;
    memcpy(gcm->aad + gcm->aad_len, aad, len);
    gcm->aad_len += len;
    return IMB_AAD_TAKEN;
}

void imb_gcm_kept(const struct imb_state *state, struct ersatz_bytes *iv, struct ersatz_bytes *aad)
{
    *iv = (struct ersatz_bytes){state->gcm.iv, state->gcm.iv_len};
    *aad = (struct ersatz_bytes){state->gcm.aad, state->gcm.aad_len};
}

static uint64_t text_so_far(const struct imb_gcm *gcm)
{
    return gcm->is_wide ? gcm->wide_context.text_len : gcm->context.in_length;
}

bool imb_gcm_text(struct imb_state *state, uint8_t *out, const uint8_t *in, size_t len)
{
    struct imb_gcm *gcm = &state->gcm;

    if (!in_text(gcm) || len > TEXT_MAX - text_so_far(gcm))
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

bool imb_gcm_end(struct imb_state *state, uint8_t tag[16])
{
    struct imb_gcm *gcm = &state->gcm;

    if (!in_text(gcm))
        return false;
    if (gcm->is_wide)
        vaes_gcm_end(&gcm->wide_key, &gcm->wide_context, tag);
    else
        gcm->functions.finalize(&gcm->key, &gcm->context, tag, IMB_BLOCK);
    imb_clear_upper_halves();
    gcm->phase = IMB_GCM_NONE;
    OPENSSL_cleanse(&gcm->context, sizeof(gcm->context)); /* either */
    return true;
}
