/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES by Intel's multi-buffer library (libipsec-mb), where it was there at build time and the processor has
 * AES instructions: many chained streams side by side, and single ones with the widest vectors there are.
 * What it cannot do, or not better, is left to libcrypto. imb_none.c stands for all of it where the library
 * is missing.
 */
#ifndef ERSATZ_SIM_KERNELS_IMB_H
#define ERSATZ_SIM_KERNELS_IMB_H

#include "ersatz/device.h"

/* Whether the library was built in and this processor runs it. */
bool imb_is_available(void);

/* ---------------------------------------------------------------------------------------------- one state */

/* What a cipher state has for this kernel: expanded keys, and for GCM the message under way. Used by whoever
 * has entered the cipher state. */
struct imb_state;

/* NULL: no such mode here, or no memory: libcrypto does it. */
struct imb_state *imb_state_new(enum ersatz_mode mode, size_t key_len);
struct imb_state *imb_state_dup(const struct imb_state *state);

/* Cleanses it. NULL is allowed. */
void imb_state_free(struct imb_state *state);

/* Expand a key, of the length the state was made for. GCM: the message under way is dropped. */
void imb_state_set_key(struct imb_state *state, const uint8_t *key);

/* Every mode but GCM: one operation, whose length was checked, and which is too long for the short way.
 * False: not for this kernel, nothing was touched. */
bool imb_compute_one(struct imb_state *state, const struct ersatz_op *op, bool encrypt);

/* The way past the library for a short text of such a mode, with this key and in this direction. */
struct imb_short {
    enum ersatz_result (*run)(/* ERSATZ_OK always, so that a caller may end with it */
        const struct imb_state *state, const uint8_t *iv, uint8_t *out, const uint8_t *in, size_t len);
    size_t longest; /* in bytes; 0: there is no such way */
    size_t rest;    /* bits that the length must not have */
};
struct imb_short imb_short_for(const struct imb_state *state, bool encrypting);

/* Not a length of 0. */
static inline bool imb_short_takes(const struct imb_short *way, size_t len)
{
    return len - 1 < way->longest && (len & way->rest) == 0;
}

/* ---------------------------------------------------------------------------------------------------- GCM */

/* Begin a message, with all of its associated data. The other two need one under way: imb does not look. */
void imb_gcm_begin(struct imb_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad,
    size_t aad_len, bool encrypt);

/* More text. False: the message becomes longer than GCM allows. */
bool imb_gcm_text(struct imb_state *state, uint8_t *out, const uint8_t *in, size_t len);

/* The end of the message, and its tag. */
void imb_gcm_end(struct imb_state *state, uint8_t tag[16]);

/* -------------------------------------------------------------------------------------------- whole batches
 */

/* Lanes of a worker's. NULL: out of memory. */
struct imb;
struct imb *imb_new(void);
void imb_free(struct imb *imb); /* NULL is allowed */

/* As compute.h says of batch kernels: modes that chain their blocks, of which one stream alone cannot be
 * hastened. */
uint32_t imb_compute(
    struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[], uint32_t open);

#endif
