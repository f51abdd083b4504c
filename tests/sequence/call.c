/* SPDX-License-Identifier: Apache-2.0 */
/* See call.h. */
#include "call.h"

#include <stdio.h>
#include <string.h>

/* Of what EVP_Cipher() returns only the lowest number is the same for all ciphers: 1 or the length of the
 * text, which is 0 in an empty record; -1 for a failure, or 0. */
static bool direct(EVP_CIPHER_CTX *ctx, struct call *call, int least)
{
    bool done = EVP_Cipher(ctx, call->out, call->in, (unsigned)call->len) >= least;

    call->got = done ? call->len : 0;
    return done;
}

static bool record(EVP_CIPHER_CTX *ctx, struct call *call)
{
    unsigned char aad[EVP_AEAD_TLS1_AAD_LEN]; /* libcrypto may write to it */

    memcpy(aad, call->aad, sizeof(aad));
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad) <= 0)
        return false;
    return call->direct ? direct(ctx, call, 0)
                        : EVP_CipherUpdate(ctx, call->out, &call->got, call->in, call->len) > 0;
}

static void look(EVP_CIPHER_CTX *ctx, struct call *call)
{
    unsigned char iv[EVP_MAX_IV_LENGTH] = {0};
    const unsigned char *now = call->with_iv ? EVP_CIPHER_CTX_iv(ctx) : iv;
    const unsigned char *original = call->with_iv ? EVP_CIPHER_CTX_original_iv(ctx) : iv;
    int used = snprintf((char *)call->out, CALL_LOOK_MAX,
        "nid %d, block %d, key %d, IV %d, mode %d, num %d, encrypting %d, updated IV %d, original IV %d, tag "
        "%d; ",
        EVP_CIPHER_CTX_get_nid(ctx), EVP_CIPHER_CTX_get_block_size(ctx), EVP_CIPHER_CTX_get_key_length(ctx),
        EVP_CIPHER_CTX_get_iv_length(ctx), (int)EVP_CIPHER_CTX_get_mode(ctx), EVP_CIPHER_CTX_get_num(ctx),
        EVP_CIPHER_CTX_is_encrypting(ctx), EVP_CIPHER_CTX_get_updated_iv(ctx, iv, sizeof(iv)),
        EVP_CIPHER_CTX_get_original_iv(ctx, iv, sizeof(iv)), EVP_CIPHER_CTX_get_tag_length(ctx));

    for (int i = 0; i < EVP_MAX_IV_LENGTH; i++)
        used += snprintf(
            (char *)call->out + used, (size_t)(CALL_LOOK_MAX - used), "%02x%02x", now[i], original[i]);
    call->got = used;
}

static bool copy(EVP_CIPHER_CTX **to, const EVP_CIPHER_CTX *from)
{
    EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();

    if (made == NULL || EVP_CIPHER_CTX_copy(made, from) <= 0) {
        EVP_CIPHER_CTX_free(made);
        return false;
    }
    EVP_CIPHER_CTX_free(*to);
    *to = made;
    return true;
}

bool call_make(EVP_CIPHER_CTX **ctx, const struct implementation *whose, struct call *call)
{
    call->got = 0;
    switch (call->kind) {
    case CALL_START:
        return EVP_CipherInit_ex(*ctx, whose->cipher, whose->engine, call->key, call->iv, call->number) > 0;
    case CALL_INIT:
        return EVP_CipherInit_ex(*ctx, NULL, NULL, call->key, call->iv, call->number) > 0;
    case CALL_UPDATE:
        return EVP_CipherUpdate(*ctx, call->out, &call->got, call->in, call->len) > 0;
    case CALL_FINAL:
        return EVP_CipherFinal_ex(*ctx, call->out, &call->got) > 0;
    case CALL_COMMAND:
        return EVP_CIPHER_CTX_ctrl(*ctx, call->number, call->len, call->out) > 0;
    case CALL_RECORD:
        return record(*ctx, call);
    case CALL_DIRECT:
        return direct(*ctx, call, 1);
    case CALL_LOOK:
        look(*ctx, call);
        return true;
    case CALL_COPY:
        return copy(call->to, *ctx);
    case CALL_PADDING:
        return EVP_CIPHER_CTX_set_padding(*ctx, call->number) > 0;
    }
    return false;
}
