/* SPDX-License-Identifier: Apache-2.0 */
/* The batch kernel's own source, with simulated vectors: see kernel.c. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "simulated_kernel.h"

#include "../../sim/kernels/ifma_montgomery.c"

/* The one comparison there is of what was computed. */
#define _mm512_cmpeq_epi64_mask(a, b) kernel_verdict(_mm512_cmpeq_epi64_mask(a, b))
#define rsa_key_ifma kernel_key

#include "../../sim/kernels/rsa_ifma.c"
