/* SPDX-License-Identifier: Apache-2.0 */
/* On processors other than x86-64: libcrypto does everything. See x86.h. */
#include "x86.h"

bool x86_is_available(void)
{
    return false;
}

bool x86_has_vaes(void)
{
    return false;
}

void x86_forbid_vaes(void)
{
}

struct x86_state *x86_state_new(enum ersatz_mode mode, size_t key_len, enum ersatz_kernel kernel)
{
    (void)mode;
    (void)key_len;
    (void)kernel;
    return NULL;
}

struct x86_state *x86_state_dup(const struct x86_state *state)
{
    (void)state;
    return NULL;
}

void x86_state_free(struct x86_state *state)
{
    (void)state;
}

/* There is no state, so none of these is called. */

void x86_state_set_key(struct x86_state *state, const uint8_t *key)
{
    (void)state;
    (void)key;
}

struct x86_function x86_function_for(const struct x86_state *state, bool encrypt)
{
    (void)state;
    (void)encrypt;
    return (struct x86_function){0};
}

void x86_ccm(const struct x86_state *state, const struct ersatz_op *op, bool encrypt, uint8_t tag[16])
{
    (void)state;
    (void)op;
    (void)encrypt;
    (void)tag;
}

void x86_gcm_begin(
    struct x86_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    (void)state;
    (void)iv;
    (void)iv_len;
    (void)aad;
    (void)aad_len;
}

bool x86_gcm_text(struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    (void)state;
    (void)out;
    (void)in;
    (void)len;
    (void)encrypt;
    return false;
}

void x86_gcm_end(struct x86_state *state, uint8_t tag[16])
{
    (void)state;
    (void)tag;
}
