/* From an operation to the kernel that computes it. */
#include "compute.h"

#include "cipher.h"
#include "rsa_key.h"

enum ersatz_result compute_op(const struct ersatz_op *op)
{
    if (op->kind == ERSATZ_CIPHER)
        return cipher_compute(op);
    return rsa_key_compute(op->u.rsa.key, op->kind == ERSATZ_RSA_PRIVATE, op->u.rsa.in, op->u.rsa.out);
}

enum ersatz_result ersatz_compute(const struct ersatz_op *op)
{
    enum ersatz_result result;

    if (op->kind != ERSATZ_CIPHER)
        return compute_op(op);
    if (!cipher_enter(op->u.cipher.cipher))
        return ERSATZ_BUSY;
    result = compute_op(op);
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
