/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ersatz's own AES with the AES instructions of x86-64 processors: one operation at a time, on whichever
 * thread asks. It is there for two reasons. A short text takes libcrypto's provider less time than the way
 * into it. And where the processor has VAES, a register of 512 bits takes four blocks, which libcrypto uses
 * in few modes. What is not done here (other lengths, CBC with HMAC) is left to libcrypto, but for GCM
 * without VAES, which Intel's library does where it is there. x86_none.c stands for all of it on other
 * processors.
 */
#ifndef ERSATZ_SIM_KERNELS_X86_H
#define ERSATZ_SIM_KERNELS_X86_H

#include "ersatz/device.h"

/* Whether this processor has the instructions: AES and SSE4.1. */
bool x86_is_available(void);

/* Whether it has VAES, VPCLMULQDQ and AVX-512 too. */
bool x86_has_vaes(void);

/* For tests: do as if it had no VAES. Before anything else. */
void x86_forbid_vaes(void);

/* ---------------------------------------------------------------------------------------------- one state */

/* Expanded keys, and for GCM the message under way. Used only by the owner of the cipher state. */
struct x86_state;

/* A state for kernel, ERSATZ_KERNEL_X86, or ERSATZ_KERNEL_IPSEC_MB for GCM by Intel's library. NULL: there is
 * no such kernel here for this mode, or no memory: libcrypto does it. */
struct x86_state *x86_state_new(enum ersatz_mode mode, size_t key_len, enum ersatz_kernel kernel);
struct x86_state *x86_state_dup(const struct x86_state *state);

/* Cleanses it. NULL is allowed. */
void x86_state_free(struct x86_state *state);

/* Expand a key, of the length the state was made for. GCM: the message under way is dropped. */
void x86_state_set_key(struct x86_state *state, const uint8_t *key);

/* Computes a text, and makes iv the next one's: see ersatz_next_iv(). Returns 1 always, so that
 * ersatz_update_text() may end with it, whose parameters have this order, too. */
typedef int x86_text(const struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv);

/* Lengths of texts, in bytes: count of them, from the shortest on. */
struct lengths {
    size_t shortest, count;
};

static inline bool lengths_have(struct lengths lengths, size_t len)
{
    return len - lengths.shortest < lengths.count;
}

/* The functions that compute texts of a mode without associated data, with this key and in this direction. */
struct x86_function {
    x86_text *run;
    struct lengths lengths; /* that it takes, but not 0; none: there is no function */
    size_t forbidden;       /* bits that a text's length must not have */
    size_t few_blocks;      /* a text of 1 to so many whole blocks is short, */
    x86_text *run_few;      /* and this does it in narrow registers */
};
struct x86_function x86_function_for(const struct x86_state *state, bool encrypt);

static inline bool x86_function_takes(const struct x86_function *function, size_t len)
{
    return lengths_have(function->lengths, len) && (len & function->forbidden) == 0;
}

/* Whether a text is short, in one comparison: of a length that is no number of blocks, the last bits become
 * the first, and of no block at all, all of them. */
static inline bool x86_function_is_few(const struct x86_function *function, size_t len)
{
    size_t more = len - 16;

    return (more >> 4 | more << (8 * sizeof(more) - 4)) < function->few_blocks;
}

/* A text that it takes. */
static inline int x86_function_run(const struct x86_function *function, const struct x86_state *state,
    uint8_t *out, const uint8_t *in, size_t len, uint8_t *iv)
{
    x86_text *run = x86_function_is_few(function, len) ? function->run_few : function->run;

    return run(state, out, in, len, iv);
}

/* ---------------------------------------------------------------------------------------------------- CCM */

/* All of a message: nonce of 7 to 13 bytes, associated data, text, as op has them; op->tag is not looked at,
 * but its length. tag: the whole tag, of which the message has the first bytes. */
void x86_ccm(const struct x86_state *state, const struct ersatz_op *op, bool encrypt, uint8_t tag[16]);

/* ---------------------------------------------------------------------------------------------------- GCM */

/* Begin a message, with all of its associated data. The other two need one under way: this is not checked. */
void x86_gcm_begin(
    struct x86_state *state, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len);

/* More text, in either direction. False: the message becomes longer than GCM allows. */
bool x86_gcm_text(struct x86_state *state, uint8_t *out, const uint8_t *in, size_t len, bool encrypt);

/* The end of the message, and its tag. */
void x86_gcm_end(struct x86_state *state, uint8_t tag[16]);

#endif
