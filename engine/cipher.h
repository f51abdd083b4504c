/* SPDX-License-Identifier: Apache-2.0 */
/* AES as EVP_CIPHERs of the engine. */
#ifndef ERSATZ_ENGINE_CIPHER_H
#define ERSATZ_ENGINE_CIPHER_H

#include <openssl/engine.h>
#include <openssl/evp.h>

#include "ersatz/device.h"

/* For ENGINE_set_ciphers(). */
int cipher_list(ENGINE *engine, const EVP_CIPHER **cipher, const int **nids, int nid);

/* Make the EVP_CIPHERs, and free them. 0: out of memory. */
int cipher_list_create(void);
void cipher_list_destroy(void);

/* Fill in what differs between modes: functions, flags, size of the data in an EVP_CIPHER_CTX. Each is an
 * adaptor to the file of driver/ that keeps the mode's messages. */
int cipher_text_define(EVP_CIPHER *cipher, enum ersatz_mode mode);
int cipher_gcm_define(EVP_CIPHER *cipher);
int cipher_ccm_define(EVP_CIPHER *cipher);
int cipher_cbc_hmac_define(EVP_CIPHER *cipher);

/* Of GCM and CCM. */
#define CIPHER_AEAD_FLAGS                                                                                    \
    (EVP_CIPH_FLAG_AEAD_CIPHER | EVP_CIPH_FLAG_CUSTOM_CIPHER | EVP_CIPH_FLAG_DEFAULT_ASN1 |                  \
        EVP_CIPH_CUSTOM_IV | EVP_CIPH_CUSTOM_IV_LENGTH | EVP_CIPH_ALWAYS_CALL_INIT | EVP_CIPH_CTRL_INIT |    \
        EVP_CIPH_CUSTOM_COPY | EVP_CIPH_RAND_KEY)

/* As EVP_CIPHER_CTX_get_key_length(3), but without asking a provider first. Every cipher here has one key
 * length. */
static inline int cipher_key_length(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_get_key_length(EVP_CIPHER_CTX_get0_cipher(ctx));
}

/* For EVP_CTRL_GET_IVLEN. */
int cipher_tell(int *out, int value);

/* For EVP_CTRL_RAND_KEY. */
int cipher_random_key(EVP_CIPHER_CTX *ctx, unsigned char *out);

/* What a cleanup function returns, after it has freed what the context's data point to. When libcrypto has
 * been taken apart, it keeps libcrypto from giving back the context's reference to the engine: see there. */
int cipher_cleaned_up(EVP_CIPHER_CTX *ctx);

#endif
