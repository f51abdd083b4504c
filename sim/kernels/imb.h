/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES by Intel's multi-buffer library (libipsec-mb), where it was there at build time and the processor has
 * AES instructions: many streams side by side, in the modes that chain their blocks; and GCM on processors
 * without VAES. imb_none.c stands for all of it where the library is missing.
 */
#ifndef ERSATZ_SIM_KERNELS_IMB_H
#define ERSATZ_SIM_KERNELS_IMB_H

#include "ersatz/device.h"

/* Whether the library was built in and this processor runs it. */
bool imb_is_available(void);

/* Lanes of a worker's. NULL: out of memory. */
struct imb;
struct imb *imb_new(void);
void imb_free(struct imb *imb); /* NULL is allowed */

/* As compute.h says of batch kernels: CBC and CFB to encrypt, and OFB, of which one stream alone leaves the
 * AES unit idle most of the time. */
uint32_t imb_compute(
    struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[], uint32_t open);

/* Cleanse what the batches so far have left in the lanes. */
void imb_cleanse(struct imb *imb);

/* ---------------------------------------------------------------------------------------------------- GCM */

/* A key, and the message under way. */
struct imb_gcm;

/* NULL: no memory, or no library. */
struct imb_gcm *imb_gcm_new(void);
struct imb_gcm *imb_gcm_dup(const struct imb_gcm *gcm);
void imb_gcm_free(struct imb_gcm *gcm); /* cleanses it; NULL is allowed */

void imb_gcm_set_key(struct imb_gcm *gcm, const uint8_t *key, size_t key_len);

/* A message: all of its associated data, text in pieces, tag. The caller has checked lengths and order. */
void imb_gcm_begin(struct imb_gcm *gcm, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len);
void imb_gcm_text(struct imb_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt);
void imb_gcm_end(struct imb_gcm *gcm, uint8_t tag[16]);

#endif
