/* From an operation to the kernel that computes it. */
#include "compute.h"

#include <stdlib.h>

#include "cipher.h"
#include "rsa_key.h"

struct compute_lanes {
    unsigned none; /* no batch kernel yet */
};

struct compute_lanes *compute_lanes_new(void)
{
    return calloc(1, sizeof(struct compute_lanes));
}

void compute_lanes_free(struct compute_lanes *lanes)
{
    free(lanes);
}

/* Do op by itself; its cipher state has been entered. */
static enum ersatz_result compute_one(const struct ersatz_op *op, _Atomic uint64_t by_kernel[])
{
    enum ersatz_kernel kernel = ERSATZ_KERNEL_PORTABLE;
    enum ersatz_result result;

    if (op->kind == ERSATZ_CIPHER)
        result = cipher_compute(op, &kernel);
    else
        result = rsa_key_compute(op->u.rsa.key, op->kind == ERSATZ_RSA_PRIVATE, op->u.rsa.in, op->u.rsa.out);
    ersatz_count(&by_kernel[kernel], 1);
    return result;
}

void compute_batch(struct compute_lanes *lanes, const struct ersatz_op *const ops[],
    enum ersatz_result results[], unsigned count, struct ersatz_stats *stats)
{
    uint32_t open = (uint32_t)((UINT64_C(1) << count) - 1);

    (void)lanes;
    for (; open != 0; open &= open - 1) {
        unsigned i = (unsigned)__builtin_ctz(open);

        results[i] = compute_one(ops[i], stats->by_kernel);
    }
}

enum ersatz_result ersatz_compute(const struct ersatz_op *op, struct ersatz_stats *stats)
{
    enum ersatz_result result;

    if (op->kind != ERSATZ_CIPHER)
        return compute_one(op, stats->computed_inline);
    if (!cipher_enter(op->u.cipher.cipher))
        return ERSATZ_BUSY;
    result = compute_one(op, stats->computed_inline);
    cipher_leave(op->u.cipher.cipher);
    return result;
}

enum ersatz_request_name ersatz_op_name(const struct ersatz_op *op)
{
    static const enum ersatz_request_name by_mode[ERSATZ_MODES] = {
        [ERSATZ_CBC] = ERSATZ_REQUEST_AES_CBC,
        [ERSATZ_CTR] = ERSATZ_REQUEST_AES_CTR,
        [ERSATZ_GCM] = ERSATZ_REQUEST_AES_GCM,
        [ERSATZ_XTS] = ERSATZ_REQUEST_AES_XTS,
        [ERSATZ_ECB] = ERSATZ_REQUEST_AES_ECB,
        [ERSATZ_CFB] = ERSATZ_REQUEST_AES_CFB,
        [ERSATZ_OFB] = ERSATZ_REQUEST_AES_OFB,
        [ERSATZ_CCM] = ERSATZ_REQUEST_AES_CCM,
        [ERSATZ_CBC_HMAC_SHA1] = ERSATZ_REQUEST_AES_CBC_HMAC_SHA1,
        [ERSATZ_CBC_HMAC_SHA256] = ERSATZ_REQUEST_AES_CBC_HMAC_SHA256,
    };

    if (op->kind == ERSATZ_CIPHER)
        return by_mode[cipher_mode(op->u.cipher.cipher)];
    return op->kind == ERSATZ_RSA_PRIVATE ? ERSATZ_REQUEST_RSA_PRIV : ERSATZ_REQUEST_RSA_PUB;
}
