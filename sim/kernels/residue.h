/* SPDX-License-Identifier: Apache-2.0 */
/* What computing on secrets leaves behind where no variable of ours is: below on the stack, and in registers.
 */
#ifndef ERSATZ_SIM_KERNELS_RESIDUE_H
#define ERSATZ_SIM_KERNELS_RESIDUE_H

/* Clear the stack below the caller's frame, as deep as the batch kernel for RSA goes, and the vector
 * registers that a call may change. For a processor with AVX-512. */
void residue_clear(void);

#endif
