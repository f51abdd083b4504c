/* SPDX-License-Identifier: Apache-2.0 */
/* AES states in the device's memory. */
#ifndef ERSATZ_SIM_KERNELS_AES_H
#define ERSATZ_SIM_KERNELS_AES_H

#include <endian.h>
#include <string.h>

#include "ersatz/device.h"

void cipher_reference(struct ersatz_cipher *cipher);

/* Claim the state for one request; false while another request has it. Release it when the computation is
 * over. */
bool cipher_claim(struct ersatz_cipher *cipher);

/* cipher_claim() where no other thread claims the state meanwhile: without locked instructions, which would
 * wait until all stores of a short operation are done. */
bool cipher_claim_alone(struct ersatz_cipher *cipher);
void cipher_release(struct ersatz_cipher *cipher);

/* Whether buffers of op's lengths can exist in memory; if so, sums of these lengths do not overflow. */
bool cipher_lengths_possible(const struct ersatz_op *op);

/* In the child of a fork, for a request of the parent's, of which nobody knows whether it was computed:
 * release the state, and drop the message that it carried. */
void cipher_release_lost(struct ersatz_cipher *cipher);

/* Whether a batch kernel does operations on such a state side by side: those of which each block waits for
 * the one before it. */
bool cipher_has_lanes(const struct ersatz_cipher *cipher);

/* Whether a single operation on such a state uses all that one core has, or nothing better is known. */
bool cipher_is_fastest_alone(const struct ersatz_cipher *cipher);

/* Whether the output of the state's operations, if they succeed, is ciphertext. */
bool cipher_writes_ciphertext(const struct ersatz_cipher *cipher);

enum ersatz_mode cipher_mode(const struct ersatz_cipher *cipher);

/* Add to a counter block, a number of 128 bits, the highest byte first. Written by one store, since the next
 * operation reads it by one load: a processor forwards only whole stores without a delay. */
static inline void counter_add(uint8_t counter[16], uint64_t blocks)
{
    typedef uint64_t pair __attribute__((vector_size(16)));
    pair words;
    uint64_t high, low;

    memcpy(&words, counter, sizeof(words));
    low = be64toh(words[1]) + blocks;
    high = be64toh(words[0]) + (low < blocks);
    words = (pair){htobe64(high), htobe64(low)};
    memcpy(counter, &words, sizeof(words));
}

#endif
