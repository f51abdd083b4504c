/* SPDX-License-Identifier: Apache-2.0 */
/* TLS records for AES-CBC-HMAC contexts. */
#include "tls_records.h"

void record_keys_make_up(struct record_keys *keys, const EVP_CIPHER *cipher, struct numbers *numbers)
{
    keys->cipher = cipher;
    number_fill(numbers, keys->key, sizeof(keys->key));
    number_fill(numbers, keys->iv, sizeof(keys->iv));
    number_fill(numbers, keys->mac_key, sizeof(keys->mac_key));
    keys->mac_key_len = (int)number_below(numbers, sizeof(keys->mac_key) + 1);
}

void record_make_up(struct record *record, unsigned version, struct numbers *numbers)
{
    record->version = version;
    record->len = number_below(numbers, number_below(numbers, 2) == 0 ? 300 : RECORD_TEXT_MAX + 1);
    number_fill(numbers, record->sequence, sizeof(record->sequence));
    number_fill(numbers, record->text, record->len);
    number_fill(numbers, record->iv, sizeof(record->iv));
}

EVP_CIPHER_CTX *record_context(const struct record_keys *keys, struct card *impl, bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    CHECK(ways_cipher_init(impl, ctx, keys->cipher, keys->key, keys->iv, encrypt));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_MAC_KEY, keys->mac_key_len, (void *)keys->mac_key) == 1);
    return ctx;
}

static unsigned explicit_iv(const struct record *record)
{
    return record->version >= 0x0302 ? RECORD_IV : 0;
}

void record_announce(EVP_CIPHER_CTX *ctx, struct record *record)
{
    bool sealing = EVP_CIPHER_CTX_is_encrypting(ctx);
    unsigned len = sealing ? explicit_iv(record) + record->len : record->sealed_len;
    unsigned char aad[EVP_AEAD_TLS1_AAD_LEN];
    int more;

    memcpy(aad, record->sequence, 8);
    aad[8] = 23;
    aad[9] = (unsigned char)(record->version >> 8);
    aad[10] = (unsigned char)record->version;
    aad[11] = (unsigned char)(len >> 8);
    aad[12] = (unsigned char)len;
    more = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad);
    CHECK(more > 0);
    if (sealing) {
        memcpy(record->sealed, record->iv, explicit_iv(record));
        memcpy(record->sealed + explicit_iv(record), record->text, record->len);
        record->sealed_len = len + (unsigned)more;
    }
}

/* libcrypto's own answers with a length or -1, a cipher of an engine's with a truth value. */
static bool run(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, unsigned len)
{
    return EVP_Cipher(ctx, out, in, len) > 0;
}

bool record_seal(EVP_CIPHER_CTX *ctx, struct record *record)
{
    return run(ctx, record->sealed, record->sealed, record->sealed_len);
}

bool record_open(EVP_CIPHER_CTX *ctx, const struct record *record, unsigned char *out, bool in_place)
{
    if (in_place)
        memcpy(out, record->sealed, record->sealed_len);
    return run(ctx, out, in_place ? out : record->sealed, record->sealed_len);
}

bool record_is_open(const struct record *record, const unsigned char *out)
{
    return memcmp(out + explicit_iv(record), record->text, record->len) == 0;
}
