/* SPDX-License-Identifier: Apache-2.0 */
/* AES states in the device's memory. */
#ifndef ERSATZ_SIM_KERNELS_AES_H
#define ERSATZ_SIM_KERNELS_AES_H

#include "ersatz/device.h"

void cipher_reference(struct ersatz_cipher *cipher);

/* Claim the state for one request; false while another has it. Leave it when the computation is over. */
bool cipher_enter(struct ersatz_cipher *cipher);
void cipher_leave(struct ersatz_cipher *cipher);

/* False: of lengths that nothing in memory has, and whose sum is none. */
bool cipher_lengths_exist(const struct ersatz_op *op);

/* In the child of a fork, for a request of the parent's: whether it was computed is not known. Leaves the
 * state, without the message it carried. */
void cipher_lose(struct ersatz_cipher *cipher);

/* op->u.cipher on op->u.cipher.cipher: start, associated data, text, end, as far as op asks for them.
 * *kernel: which one computed it. */
enum ersatz_result cipher_compute(const struct ersatz_op *op, enum ersatz_kernel *kernel);

/* The same on the calling core: enters the state, and leaves it. No other thread enters it meanwhile, so this
 * is done without locked instructions, which would wait for all that a short operation has written. */
enum ersatz_result cipher_compute_alone(const struct ersatz_op *op, enum ersatz_kernel *kernel);

/* Whether a block can be computed before the one in front of it is. */
bool cipher_is_parallel(const struct ersatz_cipher *cipher);

/* Whether what the state's operations write, if they succeed, is ciphertext. */
bool cipher_leaves_ciphertext(const struct ersatz_cipher *cipher);

enum ersatz_mode cipher_mode(const struct ersatz_cipher *cipher);

#endif
