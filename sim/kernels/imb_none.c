/* SPDX-License-Identifier: Apache-2.0 */
/* Where libipsec-mb is missing: libcrypto does everything. See imb.h. */
#include "imb.h"

#include <stdlib.h>

bool imb_is_available(void)
{
    return false;
}

struct imb_state *imb_state_new(enum ersatz_mode mode, size_t key_len)
{
    (void)mode;
    (void)key_len;
    return NULL;
}

struct imb_state *imb_state_dup(const struct imb_state *state)
{
    (void)state;
    return NULL;
}

void imb_state_free(struct imb_state *state)
{
    (void)state;
}

/* There is no state, so none of these is called. */

void imb_state_set_key(struct imb_state *state, const uint8_t *key)
{
    (void)state;
    (void)key;
}

bool imb_compute_one(struct imb_state *state, const struct ersatz_op *op, bool encrypt)
{
    (void)state;
    (void)op;
    (void)encrypt;
    return false;
}

struct imb_short imb_short_for(const struct imb_state *state, bool encrypting)
{
    (void)state;
    (void)encrypting;
    return (struct imb_short){NULL, 0, 0};
}

void imb_gcm_begin(struct imb_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad,
    size_t aad_len, bool encrypt)
{
    (void)state;
    (void)iv;
    (void)iv_len;
    (void)aad;
    (void)aad_len;
    (void)encrypt;
}

bool imb_gcm_text(struct imb_state *state, uint8_t *out, const uint8_t *in, size_t len)
{
    (void)state;
    (void)out;
    (void)in;
    (void)len;
    return false;
}

void imb_gcm_end(struct imb_state *state, uint8_t tag[16])
{
    (void)state;
    (void)tag;
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
