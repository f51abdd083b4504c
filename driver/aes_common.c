/* SPDX-License-Identifier: Apache-2.0 */
/* What the AES modes share. */
#include "aes_common.h"

#include <openssl/async.h>
#include <sys/types.h>

#include "card.h"
#include "error.h"

static bool refuse_key(enum ersatz_mode mode, enum ersatz_result result)
{
    if (mode == ERSATZ_XTS && result == ERSATZ_BAD_KEY)
        error_raise(REASON_INPUT, "the two halves of the XTS key are equal; they must differ (IEEE 1619)");
    else
        error_raise_result(result);
    return false;
}

/* The random generator's keys have this length (drbg_ctr.c in libcrypto, unless it was told another). */
static bool may_be_generators(enum ersatz_mode mode, size_t key_len)
{
    return (mode == ERSATZ_ECB || mode == ERSATZ_CTR) && key_len == 32;
}

/* OFFLOAD:fastest holds for calling cores, too. */
static enum ersatz_result set_key(
    struct ersatz_cipher *state, const uint8_t *key, size_t key_len, bool encrypt)
{
    ersatz_cipher_go_by_speed(state, atomic_load_explicit(&card_policy()->fastest, memory_order_relaxed));
    return ersatz_cipher_set_key(state, key, key_len, encrypt);
}

bool aes_set_key(
    struct ersatz_cipher **state, enum ersatz_mode mode, const uint8_t *key, size_t key_len, bool encrypt)
{
    enum ersatz_result result = ERSATZ_OK;

    if (key == NULL) {
        if (*state != NULL)
            result = ersatz_cipher_set_direction(*state, encrypt);
        return result == ERSATZ_OK || refuse_key(mode, result);
    }
    if (!may_be_generators(mode, key_len))
        card_note_asked();
    if (*state != NULL) {
        result = set_key(*state, key, key_len, encrypt);
        if (result == ERSATZ_OK)
            return true;
        if (result != ERSATZ_BUSY)
            return refuse_key(mode, result);
        ersatz_cipher_free(*state);
    }
    result = ersatz_cipher_new(mode, (unsigned)key_len * 8 / (mode == ERSATZ_XTS ? 2 : 1), state);
    if (result == ERSATZ_OK) {
        ersatz_cipher_tell_failures(*state, error_raise_result);
        result = set_key(*state, key, key_len, encrypt);
    }
    return result == ERSATZ_OK || refuse_key(mode, result);
}

bool aes_dup_state(struct ersatz_cipher *from, struct ersatz_cipher **to)
{
    enum ersatz_result result;

    *to = NULL;
    if (from == NULL)
        return true;
    result = ersatz_cipher_dup(from, to);
    error_raise_result(result);
    return result == ERSATZ_OK;
}

bool aes_refuse_length(size_t len)
{
    error_raise(REASON_INPUT, "a length of %zd bytes; expected 0 to %d", (ssize_t)len, INT_MAX);
    return false;
}

bool aes_random(uint8_t *out, size_t len, bool secret)
{
    enum ersatz_result result;

    /* The generator takes a lock, and its seed may come by way of other engines. */
    ASYNC_block_pause();
    result = ersatz_random(out, len, secret);
    ASYNC_unblock_pause();
    error_raise_result(result);
    return result == ERSATZ_OK;
}
