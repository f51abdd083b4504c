/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many operations side by side, in the modes that chain their blocks: a single stream leaves the processor's
 * AES unit idle most of the time, sixteen streams fill it.
 */
#include <string.h>

#include "imb.h"
#include "imb_feedback.h"

/* The library computes two streams, or short ones, no faster than they are computed one after the other. */
#define STREAMS_MIN 3
#define LENGTH_MIN 256u

/* The library's lanes count bytes in 16 bits, and it refuses a whole batch if one member is longer. */
#define SLICE 32768u

#define KEY_LENGTHS 3u /* 16, 24, 32 bytes */

static const struct x86_state *state_of(const struct ersatz_op *op)
{
    return op->u.cipher.cipher->x86;
}

/* Whether the state has keys, and the text is long enough for lanes. */
static bool is_long(const struct ersatz_op *op)
{
    return op->kind == ERSATZ_CIPHER && op->u.cipher.cipher->keyed && state_of(op) != NULL &&
           op->u.cipher.len >= LENGTH_MIN;
}

static bool is_cbc(const struct ersatz_op *op)
{
    const struct ersatz_cipher *cipher = op->u.cipher.cipher;

    return cipher->mode == ERSATZ_CBC && cipher->encrypt && op->u.cipher.len % IMB_BLOCK == 0;
}

static bool is_feedback(const struct ersatz_op *op)
{
    const struct ersatz_cipher *cipher = op->u.cipher.cipher;

    return cipher->mode == ERSATZ_OFB || (cipher->mode == ERSATZ_CFB && cipher->encrypt);
}

/* The slice of the operation that begins at this place; its IV is the last block of the slice before. */
static void describe(IMB_JOB *job, const struct ersatz_op *op, size_t at)
{
    size_t left = op->u.cipher.len - at;

    imb_describe_cbc(job, state_of(op));
    job->src = op->u.cipher.in + at;
    job->dst = op->u.cipher.out + at;
    job->msg_len_to_cipher_in_bytes = left < SLICE ? left : SLICE;
    job->iv = at == 0 ? op->u.cipher.iv : op->u.cipher.out + at - IMB_BLOCK;
}

/* Compute one slice of each member. Returns the members for which that failed. */
static uint32_t compute_slices(
    IMB_MGR *manager, unsigned key_len, const struct ersatz_op *const ops[], uint32_t members, size_t at)
{
    IMB_JOB jobs[COMPUTE_BATCH_MAX];
    unsigned indices[COMPUTE_BATCH_MAX], count = 0;
    uint32_t failed = 0;

    for (; members != 0; members &= members - 1) {
        indices[count] = (unsigned)__builtin_ctz(members);
        describe(&jobs[count], ops[indices[count]], at);
        count++;
    }
    IMB_SUBMIT_CIPHER_BURST(
        manager, jobs, count, IMB_CIPHER_CBC, IMB_DIR_ENCRYPT, (IMB_KEY_SIZE_BYTES)key_len);
    imb_clear_upper_halves();
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].status != IMB_STATUS_COMPLETED)
            failed |= UINT32_C(1) << indices[i];
    }
    return failed;
}

/* Compute the members of the batch, all with keys of one length. Returns those that have a result now: a
 * member that failed after its first slice has one too, since its output is no longer as it was. */
static uint32_t compute_class(IMB_MGR *manager, unsigned key_len, const struct ersatz_op *const ops[],
    enum ersatz_result results[], uint32_t members)
{
    uint32_t done = members;

    for (size_t at = 0; members != 0; at += SLICE) {
        uint32_t failed = compute_slices(manager, key_len, ops, members, at), longer = 0;

        if (at == 0)
            done &= ~failed;
        for (uint32_t rest = members; rest != 0; rest &= rest - 1) {
            unsigned i = (unsigned)__builtin_ctz(rest);
            bool good = (failed >> i & 1) == 0;

            if (good || at > 0)
                results[i] = good ? ERSATZ_OK : ERSATZ_COMPUTE_FAILED;
            if (good && ops[i]->u.cipher.len - at > SLICE)
                longer |= UINT32_C(1) << i;
        }
        members = longer;
    }
    return done;
}

uint32_t imb_compute(
    struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[], uint32_t open)
{
    uint32_t cbc[KEY_LENGTHS] = {0}, feedback[KEY_LENGTHS] = {0}, done = 0;

    for (; open != 0; open &= open - 1) {
        unsigned i = (unsigned)__builtin_ctz(open);

        if (!is_long(ops[i]))
            continue;
        if (is_cbc(ops[i]))
            cbc[state_of(ops[i])->key_len / 8 - 2] |= UINT32_C(1) << i;
        else if (is_feedback(ops[i]))
            feedback[state_of(ops[i])->key_len / 8 - 2] |= UINT32_C(1) << i;
    }
    for (unsigned i = 0; i < KEY_LENGTHS; i++) {
        unsigned key_len = 16 + 8 * i;

        if (__builtin_popcount(cbc[i]) >= STREAMS_MIN && imb_make_ready(imb))
            done |= compute_class(imb->manager, key_len, ops, results, cbc[i]);
        if (__builtin_popcount(feedback[i]) >= STREAMS_MIN && imb_make_ready(imb))
            done |= imb_feedback(imb, ops, results, feedback[i], key_len);
    }
    return done;
}
