/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM, by x86_vaes_gcm.c or by Intel's library. */
#include "x86_state.h"

/* NIST SP 800-38D, 5.2.1.1: 2^39 - 256 bits */
#define TEXT_MAX ((UINT64_C(1) << 36) - 32)

void x86_gcm_begin(
    struct x86_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    struct x86_gcm *gcm = &state->gcm;

    gcm->text_len = 0;
    if (gcm->library != NULL)
        imb_gcm_begin(gcm->library, iv, iv_len, aad, aad_len);
    else
        vaes_gcm_begin(&gcm->key, &gcm->message, iv, iv_len, aad, aad_len);
}

bool x86_gcm_text(struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    struct x86_gcm *gcm = &state->gcm;

    if (len > TEXT_MAX - gcm->text_len)
        return false;
    gcm->text_len += len;
    if (gcm->library == NULL)
        return vaes_gcm_text(&gcm->key, &gcm->message, out, in, len, encrypt);
    imb_gcm_text(gcm->library, out, in, len, encrypt);
    return true;
}

void x86_gcm_end(struct x86_state *state, uint8_t tag[16])
{
    struct x86_gcm *gcm = &state->gcm;

    if (gcm->library != NULL)
        imb_gcm_end(gcm->library, tag);
    else
        vaes_gcm_end(&gcm->key, &gcm->message, tag);
}
