/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the AES modes share. The files aes_*.c keep what a message needs between the calls of a front door:
 * key, IV, associated data, tag, and how far the message has come. They know nothing of EVP's contexts. Their
 * own are plain structs in memory of the caller's; only one thread at a time may use one. Unless a function
 * says otherwise it returns false when it failed, with an error on OpenSSL's queue.
 */
#ifndef ERSATZ_DRIVER_AES_COMMON_H
#define ERSATZ_DRIVER_AES_COMMON_H

#include <limits.h>

#include "ersatz/device.h"

#define AES_PIPES_MAX 32u /* messages that go to the card together: EVP_MAX_PIPES, SSL_MAX_PIPELINES */

/* Set the key of *state, the device's cipher state. Makes the state if it is NULL, and makes another if an
 * abandoned request still uses it. With key NULL the key stays, and is used for this direction from now on.
 * key_len: that of the mode, for XTS of both halves. */
bool aes_set_key(
    struct ersatz_cipher **state, enum ersatz_mode mode, const uint8_t *key, size_t key_len, bool encrypt);

/* Make *to a copy of from, which may be NULL. On failure *to is NULL. */
bool aes_dup_state(struct ersatz_cipher *from, struct ersatz_cipher **to);

/* Raise an error about a length that is too long. Returns false. */
bool aes_refuse_length(size_t len);

/* Whether an int can hold len. EVP hands a negative length on as a huge one. */
static inline bool aes_takes_length(size_t len)
{
    return len <= INT_MAX || aes_refuse_length(len);
}

/*
 * Random bytes. They come from the device's generator and not from libcrypto's for the default library
 * context: an application that has a library context of its own may have left no working generator in the
 * default one. No job pauses in here. secret: the bytes become a key.
 */
bool aes_random(uint8_t *out, size_t len, bool secret);

#endif
