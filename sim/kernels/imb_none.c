/* SPDX-License-Identifier: Apache-2.0 */
/* Where libipsec-mb is missing: no AES is done in batches, and no GCM here. See imb.h. */
#include "imb.h"

#include <stdlib.h>

bool imb_is_available(void)
{
    return false;
}

/* Lanes have nothing in them. */
struct imb {
    char nothing;
};

struct imb *imb_new(void)
{
    return malloc(sizeof(struct imb));
}

void imb_free(struct imb *imb)
{
    free(imb);
}

uint32_t imb_compute(
    struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[], uint32_t open)
{
    (void)imb;
    (void)ops;
    (void)results;
    (void)open;
    return 0;
}

void imb_cleanse(struct imb *imb)
{
    (void)imb;
}

struct imb_gcm *imb_gcm_new(void)
{
    return NULL;
}

struct imb_gcm *imb_gcm_dup(const struct imb_gcm *gcm)
{
    (void)gcm;
    return NULL;
}

void imb_gcm_free(struct imb_gcm *gcm)
{
    (void)gcm;
}

/* There is no struct imb_gcm, so none of these is called. */

void imb_gcm_set_key(struct imb_gcm *gcm, const uint8_t *key, size_t key_len)
{
    (void)gcm;
    (void)key;
    (void)key_len;
}

void imb_gcm_begin(struct imb_gcm *gcm, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    (void)gcm;
    (void)iv;
    (void)iv_len;
    (void)aad;
    (void)aad_len;
}

void imb_gcm_text(struct imb_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    (void)gcm;
    (void)out;
    (void)in;
    (void)len;
    (void)encrypt;
}

void imb_gcm_end(struct imb_gcm *gcm, uint8_t tag[16])
{
    (void)gcm;
    (void)tag;
}
