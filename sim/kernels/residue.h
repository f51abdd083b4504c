/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that a computation leaves where no variable is: on the stack below the caller, and in registers. */
#ifndef ERSATZ_SIM_KERNELS_RESIDUE_H
#define ERSATZ_SIM_KERNELS_RESIDUE_H

/* Bytes. The kernel goes less than 10 KiB deep, by gcc and by clang: up to 4 of them place its stack. */
#define RESIDUE_DEPTH 12288u

/* Clear the stack below the caller's frame, as deep as the batch kernel for RSA goes, and the vector
 * registers that a call may change. For a processor with AVX-512. */
void residue_clear(void);

#endif
