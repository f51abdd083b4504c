/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC with HMAC.
 *
 * The records of a pipeline begin with the same IV of the context, where libcrypto's would be chained. The
 * other side sees no difference: pipelines are for TLS 1.1 and later, where a record begins with a block of
 * random numbers, which, enciphered, is the IV of the rest.
 */
#include "aes_cbc_hmac.h"

#include <openssl/crypto.h>
#include <openssl/tls1.h>
#include <string.h>

#include "aes_common.h"
#include "error.h"
#include "ersatz/assertion.h"
#include "offload.h"
#include "thresholds.h"

#define BLOCK 16u

static unsigned mac_size(const struct aes_cbc_hmac *hmac)
{
    return hmac->mode == ERSATZ_CBC_HMAC_SHA1 ? 20 : 32;
}

/* When a key changes: they have the old one. */
static void drop_copies(struct aes_cbc_hmac *hmac)
{
    for (unsigned i = 1; i < AES_PIPES_MAX; i++) {
        ersatz_cipher_free(hmac->states[i]);
        hmac->states[i] = NULL;
    }
}

static void drop_records(struct aes_cbc_hmac *hmac)
{
    hmac->aads = hmac->pipes = 0;
    hmac->outs = hmac->ins = NULL;
    hmac->lens = NULL;
}

void aes_cbc_hmac_init(struct aes_cbc_hmac *hmac, enum ersatz_mode mode, size_t key_len, uint8_t *iv)
{
    ASSERT(mode == ERSATZ_CBC_HMAC_SHA1 || mode == ERSATZ_CBC_HMAC_SHA256);
    *hmac = (struct aes_cbc_hmac){
        .iv = iv, .mode = mode, .key_size = threshold_size((unsigned)key_len * 8), .key_len = key_len};
}

void aes_cbc_hmac_cleanup(struct aes_cbc_hmac *hmac)
{
    drop_copies(hmac);
    ersatz_cipher_free(hmac->states[0]);
    OPENSSL_cleanse(hmac, sizeof(*hmac));
}

bool aes_cbc_hmac_dup(const struct aes_cbc_hmac *from, struct aes_cbc_hmac *to)
{
    for (unsigned i = 1; i < AES_PIPES_MAX; i++)
        to->states[i] = NULL;
    return aes_dup_state(from->states[0], &to->states[0]);
}

static bool refuse(const char *why)
{
    error_raise(REASON_INPUT, "AES-CBC-HMAC: %s", why);
    return false;
}

/* --------------------------------------------------------------------------------------- keys and records */

bool aes_cbc_hmac_set_key(struct aes_cbc_hmac *hmac, const uint8_t *key, bool encrypt)
{
    hmac->encrypt = encrypt;
    if (key != NULL || hmac->pipes > 0)
        drop_records(hmac); /* the way out of a pipeline that was refused; an announced record stays */
    if (key == NULL) {
        hmac->keyed = hmac->states[0] != NULL && hmac->key_encrypts == encrypt;
        return true;
    }
    drop_copies(hmac);
    hmac->key_encrypts = encrypt;
    hmac->keyed = aes_set_key(&hmac->states[0], hmac->mode, key, hmac->key_len, encrypt);
    return hmac->keyed;
}

bool aes_cbc_hmac_set_mac_key(struct aes_cbc_hmac *hmac, const uint8_t *key, size_t len)
{
    enum ersatz_result result;

    if (hmac->states[0] == NULL) {
        error_raise(REASON_INPUT, "set the cipher's key before the MAC key");
        return false;
    }
    if ((ssize_t)len < 0 || (len > 0 && key == NULL)) {
        error_raise(REASON_INPUT, "the MAC key has %zd bytes at %p; expected an address and a length",
            (ssize_t)len, (const void *)key);
        return false;
    }
    drop_copies(hmac);
    result = ersatz_cipher_set_mac_key(hmac->states[0], key, len);
    error_raise_result(result);
    return result == ERSATZ_OK;
}

static unsigned growth_of(const struct aes_cbc_hmac *hmac, const uint8_t *aad)
{
    unsigned version = (unsigned)aad[9] << 8 | aad[10];
    unsigned len = (unsigned)aad[11] << 8 | aad[12];

    if (!hmac->encrypt)
        return mac_size(hmac);
    if (version >= TLS1_1_VERSION && len < BLOCK)
        return 0; /* the explicit IV: one block, which makes no difference to the padding */
    return ((len + mac_size(hmac) + BLOCK) & ~(BLOCK - 1)) - len;
}

bool aes_cbc_hmac_add_record_aad(struct aes_cbc_hmac *hmac, const uint8_t *aad, size_t len, unsigned *growth)
{
    if (len != AES_RECORD_AAD || aad == NULL || hmac->aads == AES_PIPES_MAX)
        return false;
    memcpy(hmac->aad[hmac->aads++], aad, AES_RECORD_AAD);
    *growth = growth_of(hmac, aad);
    return true;
}

static bool set_pipes(struct aes_cbc_hmac *hmac, size_t pipes)
{
    if (pipes < 1 || pipes > AES_PIPES_MAX)
        return false;
    hmac->pipes = (unsigned)pipes;
    return true;
}

bool aes_cbc_hmac_set_outs(struct aes_cbc_hmac *hmac, uint8_t **outs, size_t pipes)
{
    if (!set_pipes(hmac, pipes))
        return false;
    hmac->outs = outs;
    return true;
}

bool aes_cbc_hmac_set_ins(struct aes_cbc_hmac *hmac, uint8_t **ins, size_t pipes)
{
    if (!set_pipes(hmac, pipes))
        return false;
    hmac->ins = ins;
    return true;
}

bool aes_cbc_hmac_set_lens(struct aes_cbc_hmac *hmac, const size_t *lens, size_t pipes)
{
    if (!set_pipes(hmac, pipes))
        return false;
    hmac->lens = lens;
    return true;
}

/* --------------------------------------------------------------------------------------------- operations */

static bool have_states(struct aes_cbc_hmac *hmac, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (hmac->states[i] == NULL && !aes_dup_state(hmac->states[0], &hmac->states[i]))
            return false;
    }
    return true;
}

static bool run(struct aes_cbc_hmac *hmac, const struct ersatz_op *ops, unsigned count)
{
    enum ersatz_result result;
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += ops[i].u.cipher.len;
    result = offload(ops, count, threshold_keeps(hmac->mode, hmac->key_size, size));
    /* On the card, refused text never left the card's memory; but the caller shall see no difference. */
    for (unsigned i = 0; i < count && result == ERSATZ_BAD_TAG; i++)
        OPENSSL_cleanse(ops[i].u.cipher.out, ops[i].u.cipher.len);
    return result == ERSATZ_OK;
}

/* The context's IV is always the last block of ciphertext. */
static bool run_and_keep_iv(struct aes_cbc_hmac *hmac, const struct ersatz_op *ops, unsigned count)
{
    const struct ersatz_op *last = &ops[count - 1];
    size_t at = last->u.cipher.len - BLOCK;
    uint8_t iv[BLOCK] = {0};

    if (!hmac->encrypt)
        memcpy(iv, last->u.cipher.in + at, BLOCK); /* in may be out */
    if (!run(hmac, ops, count))
        return false;
    memcpy(hmac->iv, hmac->encrypt ? last->u.cipher.out + at : iv, BLOCK);
    return true;
}

static bool run_records(struct aes_cbc_hmac *hmac, uint8_t *const *outs, const uint8_t *const *ins,
    const size_t *lens, unsigned count)
{
    struct ersatz_op ops[AES_PIPES_MAX];
    unsigned i = 0;

    ASSERT(count >= 1 && count <= AES_PIPES_MAX);
    do { /* so that gcc sees that ops has one at least */
        if (!aes_takes_length(lens[i]))
            return false;
        if (lens[i] == 0 || lens[i] % BLOCK != 0)
            return refuse("a record's length must be a multiple of 16");
        ops[i] = (struct ersatz_op){.kind = ERSATZ_CIPHER,
            .u.cipher = {
                .cipher = hmac->states[i],
                .aad = hmac->aads > 0 ? hmac->aad[i] : NULL,
                .aad_len = hmac->aads > 0 ? AES_RECORD_AAD : 0,
                .in = ins[i],
                .out = outs[i],
                .len = lens[i],
            }};
        memcpy(ops[i].u.cipher.iv, hmac->iv, BLOCK);
    } while (++i < count);
    return run_and_keep_iv(hmac, ops, count);
}

static bool run_all(struct aes_cbc_hmac *hmac, uint8_t *out, const uint8_t *in, size_t len)
{
    if (!hmac->keyed)
        return refuse("no key was set for this direction");
    if (hmac->pipes == 0) {
        if (hmac->aads > 1)
            return refuse("associated data was set for several records, but only one record was given");
        return (hmac->aads == 0 && len == 0) || run_records(hmac, &out, &in, &len, 1);
    }
    return have_states(hmac, hmac->pipes) &&
           run_records(hmac, hmac->outs, (const uint8_t *const *)hmac->ins, hmac->lens, hmac->pipes);
}

static bool lacks_something(const struct aes_cbc_hmac *hmac)
{
    return hmac->pipes > 0 &&
           (hmac->aads != hmac->pipes || hmac->outs == NULL || hmac->ins == NULL || hmac->lens == NULL);
}

bool aes_cbc_hmac_update(struct aes_cbc_hmac *hmac, uint8_t *out, const uint8_t *in, size_t len)
{
    bool ok;

    if (lacks_something(hmac)) /* it may still come, as with QAT_Engine */
        return refuse("each record of a pipeline needs associated data, input, output and length");
    ok = run_all(hmac, out, in, len);
    drop_records(hmac);
    return ok;
}
