/* SPDX-License-Identifier: Apache-2.0 */
/* CFB and OFB in lanes. */
#ifndef ERSATZ_SIM_KERNELS_IMB_FEEDBACK_H
#define ERSATZ_SIM_KERNELS_IMB_FEEDBACK_H

#include "aes_state.h"
#include "imb_manager.h"
#include "x86_state.h"

/* Compute the members of the batch, CFB encryption or OFB, all with keys of this length, none empty. Returns
 * those that have a result now. */
uint32_t imb_feedback(struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[],
    uint32_t members, unsigned key_len);

/* Describe a job of CBC encryption, all but its IV and text. */
void imb_describe_cbc(IMB_JOB *job, const struct x86_state *state);

#endif
