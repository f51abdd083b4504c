/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto's AES, reached without EVP. EVP_CipherInit_ex(3) asks the table of engines even for a fetched
 * cipher, so a card that computed with EVP could land in the engine in front of it. The default provider's
 * own functions (OSSL_PROVIDER_query_operation(3), provider-cipher(7)) are the same code one layer below.
 */
#ifndef ERSATZ_SIM_KERNELS_OPENSSL_AES_H
#define ERSATZ_SIM_KERNELS_OPENSSL_AES_H

#include <openssl/core_dispatch.h>

#include "ersatz/device.h"

struct libcrypto_cipher {
    void *provider_context; /* the argument of newctx */
    OSSL_FUNC_cipher_newctx_fn *newctx;
    OSSL_FUNC_cipher_freectx_fn *freectx;
    OSSL_FUNC_cipher_dupctx_fn *dupctx; /* NULL for GCM in some early 3.0 releases */
    OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
    OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
    OSSL_FUNC_cipher_update_fn *update; /* CCM: the only way to give the length; other modes may buffer */
    OSSL_FUNC_cipher_cipher_fn *cipher; /* one piece, no padding, no buffering */
    OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
    OSSL_FUNC_cipher_set_ctx_params_fn *set_ctx_params;
};

/* The functions of AES in this mode with keys of that many bits. NULL: the default provider cannot be loaded
 * or has no such cipher. Valid until the process ends. */
const struct libcrypto_cipher *libcrypto_cipher_find(enum ersatz_mode mode, unsigned key_bits);

#endif
