/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CFB encryption and OFB, many streams side by side. The library has no lanes for these modes, but it has
 * lanes for CBC, and both can be computed as CBC. With E for the block cipher, S for the key stream and P for
 * the text:
 *
 *   CFB: S[i+1] = E(P[i] xor S[i])   which is CBC of the text,  with S[i] in the place of the IV
 *   OFB: S[i+1] = E(S[i])            which is CBC of zeros,     with S[i] in the place of the IV
 *
 * and S[0] = E(IV), which is CBC of one block of zeros. The key stream is made a chunk at a time.
 */
#include "imb_feedback.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[IMB_CHUNK];

struct stream {
    const uint8_t *in;
    uint8_t *out;
    size_t left;
    bool is_ofb;
    const struct x86_state *state;
    uint8_t *key_stream; /* IMB_CHUNK, and the block after it, which the next chunk begins with */
};

void imb_describe_cbc(IMB_JOB *job, const struct x86_state *state)
{
    memset(job, 0, sizeof(*job));
    job->enc_keys = state->keys.encrypt;
    job->dec_keys = state->keys.decrypt;
    job->key_len_in_bytes = state->key_len;
    job->iv_len_in_bytes = IMB_BLOCK;
    job->cipher_mode = IMB_CIPHER_CBC;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->hash_alg = IMB_AUTH_NULL;
    job->chain_order = IMB_ORDER_CIPHER_HASH;
}

static void describe(IMB_JOB *job, const struct stream *stream, const uint8_t *iv, const uint8_t *src,
    uint8_t *dst, size_t len)
{
    imb_describe_cbc(job, stream->state);
    job->iv = iv;
    job->src = src;
    job->dst = dst;
    job->msg_len_to_cipher_in_bytes = len;
}

static bool submit(struct imb *imb, IMB_JOB *jobs, unsigned count, unsigned key_len)
{
    unsigned done = 0;

    if (count > 0) {
        done = IMB_SUBMIT_CIPHER_BURST(
            imb->manager, jobs, count, IMB_CIPHER_CBC, IMB_DIR_ENCRYPT, (IMB_KEY_SIZE_BYTES)key_len);
        imb_clear_upper_halves();
    }
    return done == count;
}

static bool begin(struct imb *imb, struct stream *streams, const struct ersatz_op *const ops[],
    const unsigned *indices, unsigned count, unsigned key_len)
{
    IMB_JOB jobs[COMPUTE_BATCH_MAX];

    for (unsigned i = 0; i < count; i++) {
        const struct ersatz_op *op = ops[indices[i]];

        streams[i] = (struct stream){.in = op->u.cipher.in,
            .out = op->u.cipher.out,
            .left = op->u.cipher.len,
            .is_ofb = op->u.cipher.cipher->mode == ERSATZ_OFB,
            .state = op->u.cipher.cipher->x86,
            .key_stream = imb->key_streams[i]};
        describe(&jobs[i], &streams[i], op->u.cipher.iv, zeros, streams[i].key_stream, IMB_BLOCK);
    }
    return submit(imb, jobs, count, key_len);
}

/* Make the key stream of each stream's next chunk; the first block is there already. */
static bool make_chunks(struct imb *imb, const struct stream *streams, unsigned count, unsigned key_len)
{
    IMB_JOB jobs[COMPUTE_BATCH_MAX];
    unsigned jobs_count = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct stream *stream = &streams[i];
        size_t len = stream->left > IMB_CHUNK ? IMB_CHUNK : (stream->left - 1) / IMB_BLOCK * IMB_BLOCK;

        if (stream->left > 0 && len > 0)
            describe(&jobs[jobs_count++], stream, stream->key_stream, stream->is_ofb ? zeros : stream->in,
                stream->key_stream + IMB_BLOCK, len);
    }
    return submit(imb, jobs, jobs_count, key_len);
}

/* A word at a time: in may be out, so compilers do not vectorize a loop over bytes. */
static void apply(struct stream *stream)
{
    typedef uint64_t word __attribute__((vector_size(32)));
    size_t len = stream->left < IMB_CHUNK ? stream->left : IMB_CHUNK, i = 0;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        word text, key;

        memcpy(&text, stream->in + i, sizeof(word));
        memcpy(&key, stream->key_stream + i, sizeof(word));
        text ^= key;
        memcpy(stream->out + i, &text, sizeof(word));
    }
    for (; i < len; i++)
        stream->out[i] = stream->in[i] ^ stream->key_stream[i];
    stream->in += len;
    stream->out += len;
    stream->left -= len;
    if (stream->left > 0)
        memcpy(stream->key_stream, stream->key_stream + IMB_CHUNK, IMB_BLOCK);
}

uint32_t imb_feedback(struct imb *imb, const struct ersatz_op *const ops[], enum ersatz_result results[],
    uint32_t members, unsigned key_len)
{
    struct stream streams[COMPUTE_BATCH_MAX];
    unsigned indices[COMPUTE_BATCH_MAX], count = 0;
    size_t longest = 0;
    bool done = true;

    for (uint32_t rest = members; rest != 0; rest &= rest - 1)
        indices[count++] = (unsigned)__builtin_ctz(rest);
    if (imb->key_streams == NULL)
        imb->key_streams = malloc(COMPUTE_BATCH_MAX * sizeof(*imb->key_streams));
    if (imb->key_streams == NULL)
        return 0;
    imb->uncleansed |= 1u << key_len / 8;
    if (!begin(imb, streams, ops, indices, count, key_len)) {
        OPENSSL_cleanse(imb->key_streams, count * sizeof(*imb->key_streams));
        return 0;
    }
    for (unsigned i = 0; i < count; i++)
        longest = streams[i].left > longest ? streams[i].left : longest;
    for (size_t at = 0; at < longest && done; at += IMB_CHUNK) {
        done = make_chunks(imb, streams, count, key_len);
        for (unsigned i = 0; i < count && done; i++)
            apply(&streams[i]);
    }
    for (unsigned i = 0; i < count; i++)
        results[indices[i]] = done ? ERSATZ_OK : ERSATZ_COMPUTE_FAILED;
    OPENSSL_cleanse(imb->key_streams, count * sizeof(*imb->key_streams));
    return members;
}

#define LANES_MAX 16u

/* A lane keeps the last block that it computed, to go on from: of these modes, that is key stream. So it is
 * made to compute something that is no secret, by a key of zeros. */
static bool cleanse_lanes(struct imb *imb, unsigned key_len)
{
    const struct x86_state no_key = {.key_len = key_len};
    const struct stream stream = {.state = &no_key};
    uint8_t blocks[LANES_MAX][IMB_BLOCK];
    IMB_JOB jobs[LANES_MAX];

    for (unsigned i = 0; i < LANES_MAX; i++)
        describe(&jobs[i], &stream, zeros, zeros, blocks[i], IMB_BLOCK);
    return submit(imb, jobs, LANES_MAX, key_len);
}

void imb_cleanse(struct imb *imb)
{
    for (unsigned key_len = 16; key_len <= 32; key_len += 8) {
        if ((imb->uncleansed & 1u << key_len / 8) != 0 && cleanse_lanes(imb, key_len))
            imb->uncleansed &= ~(1u << key_len / 8);
    }
}
