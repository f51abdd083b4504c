/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS 1.2 record in AES-GCM or AES-CCM (RFC 5288, RFC 6655): explicit part of the IV, text, tag, in
 * place. */
#ifndef ERSATZ_DRIVER_AES_RECORD_H
#define ERSATZ_DRIVER_AES_RECORD_H

#include "ersatz/device.h"

#define AES_RECORD_AAD 13u
#define AES_RECORD_EXPLICIT_IV 8u

/*
 * RFC 5246, 6.2.3.3: libssl gives the associated data with the length of the record in the last two bytes;
 * what is authenticated is the length of the text. Copy them to aad with that length, which is less by the
 * explicit IV and, where a record is opened, by the tag. False: in is NULL, len is not AES_RECORD_AAD, or the
 * record is too short.
 */
bool aes_record_set_aad(
    uint8_t aad[AES_RECORD_AAD], const uint8_t *in, size_t len, bool encrypt, size_t tag_len);

/* Whether out and in are one record, long enough for explicit IV and tag. */
static inline bool aes_record_is_whole(const uint8_t *out, const uint8_t *in, size_t len, size_t tag_len)
{
    return out == in && len >= AES_RECORD_EXPLICIT_IV + tag_len;
}

/* The operation on a whole record, but for cipher and IV. */
struct ersatz_op aes_record_op(
    const uint8_t aad[AES_RECORD_AAD], uint8_t *record, size_t len, size_t tag_len);

#endif
