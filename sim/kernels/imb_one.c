/* SPDX-License-Identifier: Apache-2.0 */
/* One operation by itself, in the modes whose blocks do not wait for each other. */
#include "imb_manager.h"
#include "imb_state.h"

/* The library counts in the last 32 bits of the counter block and does not carry further; OpenSSL does. */
static bool counter_wraps(const uint8_t *counter, size_t len)
{
    uint64_t low =
        (uint64_t)counter[12] << 24 | (uint64_t)counter[13] << 16 | (uint64_t)counter[14] << 8 | counter[15];

    return low + len / IMB_BLOCK + (len % IMB_BLOCK != 0) > UINT64_C(1) << 32;
}

static void describe(IMB_JOB *job, const struct imb_state *state, const struct ersatz_op *op)
{
    job->enc_keys = state->blocks.encrypt_keys;
    job->dec_keys = state->blocks.decrypt_keys;
    job->key_len_in_bytes = state->block_key_len;
    job->src = op->u.cipher.in;
    job->dst = op->u.cipher.out;
    job->cipher_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = op->u.cipher.len;
    job->iv = op->u.cipher.iv;
    job->iv_len_in_bytes = IMB_BLOCK;
    job->hash_alg = IMB_AUTH_NULL;
    job->chain_order = IMB_ORDER_CIPHER_HASH;
}

static bool burst(IMB_MGR *manager, const struct imb_state *state, const struct ersatz_op *op,
    IMB_CIPHER_MODE mode, IMB_CIPHER_DIRECTION direction)
{
    IMB_JOB job;

    describe(&job, state, op);
    job.cipher_mode = mode;
    job.cipher_direction = direction;
    return IMB_SUBMIT_CIPHER_BURST(
               manager, &job, 1, mode, direction, (IMB_KEY_SIZE_BYTES)state->block_key_len) == 1;
}

static bool ecb(IMB_MGR *manager, const struct imb_state *state, const struct ersatz_op *op, bool encrypt)
{
    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

    describe(job, state, op);
    job->iv_len_in_bytes = 0;
    job->cipher_mode = IMB_CIPHER_ECB;
    job->cipher_direction = encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job = IMB_SUBMIT_JOB(manager);
    return job != NULL && job->status == IMB_STATUS_COMPLETED;
}

bool imb_compute_one(struct imb_state *state, const struct ersatz_op *op, bool encrypt)
{
    struct imb *imb;
    bool done;

    if (state->mode == ERSATZ_CTR && counter_wraps(op->u.cipher.iv, op->u.cipher.len))
        return false;
    if (state->mode == ERSATZ_XTS || (state->mode == ERSATZ_CBC && encrypt))
        return false;
    imb = imb_own();
    if (imb == NULL)
        return false;
    switch (state->mode) {
    case ERSATZ_CBC:
        done = burst(imb->manager, state, op, IMB_CIPHER_CBC, IMB_DIR_DECRYPT);
        break;
    case ERSATZ_CTR:
        done = burst(imb->manager, state, op, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT);
        break;
    case ERSATZ_ECB:
        done = ecb(imb->manager, state, op, encrypt);
        break;
    default:
        done = false;
    }
    imb_clear_upper_halves();
    return done;
}
