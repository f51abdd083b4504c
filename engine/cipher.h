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

/* Fill in what the modes have of their own: functions, flags, size of the data they keep in an
 * EVP_CIPHER_CTX. */
int cipher_blocks_define(EVP_CIPHER *cipher, enum ersatz_mode mode);
int cipher_gcm_define(EVP_CIPHER *cipher);
int cipher_ccm_define(EVP_CIPHER *cipher);
int cipher_cbc_hmac_define(EVP_CIPHER *cipher);

/* Of GCM and CCM. */
#define CIPHER_AEAD_FLAGS                                                                                    \
    (EVP_CIPH_FLAG_AEAD_CIPHER | EVP_CIPH_FLAG_CUSTOM_CIPHER | EVP_CIPH_FLAG_DEFAULT_ASN1 |                  \
        EVP_CIPH_CUSTOM_IV | EVP_CIPH_CUSTOM_IV_LENGTH | EVP_CIPH_ALWAYS_CALL_INIT | EVP_CIPH_CTRL_INIT |    \
        EVP_CIPH_CUSTOM_COPY | EVP_CIPH_RAND_KEY)

/* The same as EVP_CIPHER_CTX_get_key_length(3), which asks a provider first, for ciphers of one key length.
 */
static inline int cipher_key_length(const EVP_CIPHER_CTX *ctx)
{
    return EVP_CIPHER_get_key_length(EVP_CIPHER_CTX_get0_cipher(ctx));
}

/* For the modes that EVP hands every length on to: false, with an error raised, for one that an int does not
 * hold. A negative one becomes that on its way here; libcrypto looks for it in later versions only. */
bool cipher_takes_length(size_t len);

/* For EVP_CTRL_GET_IVLEN. */
int cipher_tell(int *out, int value);

/*
 * Random bytes. Not from libcrypto's generator for the default library context, of which an application that
 * has a context of its own may have left nothing. Nothing pauses inside. False, with an error raised: there
 * are none to be had. cipher_random_key(): for EVP_CTRL_RAND_KEY.
 */
bool cipher_random(unsigned char *out, int len, bool secret);
int cipher_random_key(EVP_CIPHER_CTX *ctx, unsigned char *out);

/* For cipher_blocks_define(): the modes in cipher_feedback.c. */
int cipher_cfb(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len);
int cipher_ofb(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len);

/* The IV that the context has now, to read and write. */
unsigned char *cipher_blocks_iv(EVP_CIPHER_CTX *ctx);

/* One operation of a mode that cipher_blocks_define() defined, with the IV that the context has now. here: on
 * the calling core, whatever its size. False: an error was raised. */
bool cipher_blocks_run(EVP_CIPHER_CTX *ctx, enum ersatz_mode mode, unsigned char *out,
    const unsigned char *in, size_t len, bool here);

/* Set the key of *state, which is made if it is NULL, and made anew if a request nobody waits for still has
 * it; key NULL keeps the key, for this direction from now on. 0, with an error raised, if the key is refused.
 */
int cipher_set_key(
    struct ersatz_cipher **state, enum ersatz_mode mode, const unsigned char *key, int key_len, int encrypt);

/* What a cleanup function returns, after it has done its own. When libcrypto has been taken apart, libcrypto
 * is kept from giving back the context's reference to the engine: see there. */
int cipher_cleaned_up(EVP_CIPHER_CTX *ctx);

/* For EVP_CTRL_COPY: give the copy a state of its own. 0, with an error raised: it has none then. */
int cipher_copy(struct ersatz_cipher *from, struct ersatz_cipher **to);

#endif
