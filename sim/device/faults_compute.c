/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of computation: operations that fail, requests that hang, and results that are wrong.
 *
 * A wrong result of a private RSA operation must not leave the card: with one wrong half of a CRT result and
 * the right input anybody finds the factors (Boneh, DeMillo, Lipton 1997). So the fault is put where hardware
 * would have it, into the arithmetic in front of the verification, by computing with a copy of the key that
 * has one wrong bit in one exponent; the kernel's verification is to find it, and to compute the result over.
 * Where nothing is verified, the result itself gets a wrong bit, and reaches the application.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "faults.h"
#include "faults_inside.h"
#include "kernels/aes_state.h"
#include "kernels/compute.h"
#include "kernels/rsa_key.h"
#include "model/fault_draw.h"

static void flip(uint8_t *bytes, size_t len, uint64_t draw)
{
    bytes[draw / 8 % len] ^= (uint8_t)(1u << draw % 8);
}

/* As if the text that was deciphered had a wrong tag. */
static enum ersatz_result refuse_text(const struct ersatz_op *op)
{
    if (op->u.cipher.len > 0)
        OPENSSL_cleanse(op->u.cipher.out, op->u.cipher.len);
    return ERSATZ_BAD_TAG;
}

/*
 * Turn a bit of the text or of the tag; the draw decides. When deciphering, a wrong tag does not match. Wrong
 * text does not match its tag where that is computed from the text (CCM, CBC with HMAC); GCM computes it from
 * the ciphertext, and the wrong text goes unnoticed.
 */
static enum ersatz_result corrupt_cipher(const struct ersatz_op *op, uint64_t draw, bool *done)
{
    const struct ersatz_cipher *cipher = op->u.cipher.cipher;
    bool has_mac = cipher_mode_has_mac_key(cipher->mode) && op->u.cipher.aad_len > 0;
    bool has_tag = op->u.cipher.tag != NULL;
    bool wants_tag = has_tag && (op->u.cipher.len == 0 || (draw & 1) != 0);

    *done = true;
    if (!cipher->encrypt && (wants_tag || has_mac || (has_tag && cipher->mode == ERSATZ_CCM)))
        return refuse_text(op);
    if (wants_tag)
        flip(op->u.cipher.tag, op->u.cipher.tag_len, draw >> 1);
    else if (op->u.cipher.len > 0)
        flip(op->u.cipher.out, op->u.cipher.len, draw >> 1);
    else
        *done = false; /* associated data alone: there is no result yet */
    return ERSATZ_OK;
}

/* The operation to compute for a request: its own, or a copy of it with a wrong key. */
struct planned {
    struct ersatz_op op;
    struct ersatz_rsa_key *wrong; /* or NULL */
};

static uint64_t draw_of(const struct faults *faults, const struct ersatz_request *request)
{
    return fault_draw(faults->seed, request->times.number, ERSATZ_FAULT_CORRUPT, FAULT_DRAW_WHERE);
}

static const struct ersatz_op *plan(
    struct faults *faults, const struct ersatz_request *request, struct planned *planned)
{
    planned->wrong = NULL;
    if (!request_is_struck(&request->faults, ERSATZ_FAULT_CORRUPT) || request->op.kind != ERSATZ_RSA_PRIVATE)
        return &request->op;
    planned->wrong = rsa_key_with_wrong_half(request->op.u.rsa.key, draw_of(faults, request));
    if (planned->wrong == NULL)
        return &request->op;
    fault_count(faults, ERSATZ_FAULT_CORRUPT);
    planned->op = request->op;
    planned->op.u.rsa.key = planned->wrong;
    return &planned->op;
}

static enum ersatz_result corrupt(
    struct faults *faults, const struct ersatz_request *request, enum ersatz_result result)
{
    uint64_t draw = draw_of(faults, request);
    bool done = true;

    if (result != ERSATZ_OK)
        return result;
    if (request->op.kind == ERSATZ_RSA_PRIVATE && rsa_key_has_halves(request->op.u.rsa.key))
        return result; /* there was no memory for a wrong key; a wrong result of CRT must not leave the card
                        */
    if (request->op.kind == ERSATZ_CIPHER)
        result = corrupt_cipher(&request->op, draw, &done);
    else /* the last bit: the number stays below the modulus */
        request->op.u.rsa.out[ersatz_rsa_key_size(request->op.u.rsa.key) - 1] ^= 1;
    if (done)
        fault_count(faults, ERSATZ_FAULT_CORRUPT);
    return result;
}

/* Take out the requests that are not to be computed: those that hang leave the batch, and those that fail get
 * their result. */
static unsigned take_up(
    struct faults *faults, struct ersatz_request *requests[], enum ersatz_result results[], unsigned count)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        struct ersatz_request *request = requests[i];
        bool hangs;
        enum ersatz_result result = faults_take_up(faults, request, &hangs);

        if (hangs)
            continue;
        if (result == ERSATZ_OK && request_is_struck(&request->faults, ERSATZ_FAULT_FAIL)) {
            fault_count(faults, ERSATZ_FAULT_FAIL);
            fault_blame(request, ERSATZ_FAULT_FAIL, request->times.number);
            result = ERSATZ_DEVICE_ERROR;
        }
        requests[kept] = request;
        results[kept++] = result;
    }
    return kept;
}

unsigned faults_compute(struct faults *faults, struct compute_lanes *lanes, struct ersatz_request *requests[],
    enum ersatz_result results[], unsigned count)
{
    const struct ersatz_op *ops[COMPUTE_BATCH_MAX];
    enum ersatz_result computed[COMPUTE_BATCH_MAX];
    struct planned planned[COMPUTE_BATCH_MAX];
    unsigned n = 0;

    count = take_up(faults, requests, results, count);
    for (unsigned i = 0; i < count; i++) {
        if (results[i] == ERSATZ_OK) {
            ops[n] = plan(faults, requests[i], &planned[n]);
            n++;
        }
    }
    compute_batch(lanes, ops, computed, n, device_stats(faults->device));
    n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (results[i] != ERSATZ_OK)
            continue;
        results[i] = computed[n];
        if (planned[n].wrong != NULL)
            ersatz_rsa_key_free(planned[n].wrong);
        else if (request_is_struck(&requests[i]->faults, ERSATZ_FAULT_CORRUPT))
            results[i] = corrupt(faults, requests[i], results[i]);
        n++;
    }
    return count;
}
