/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS 1.2 record in AES-GCM or AES-CCM. */
#include "aes_record.h"

#include <string.h>

#include "ersatz/assertion.h"

bool aes_record_set_aad(
    uint8_t aad[AES_RECORD_AAD], const uint8_t *in, size_t len, bool encrypt, size_t tag_len)
{
    size_t around = AES_RECORD_EXPLICIT_IV + (encrypt ? 0 : tag_len), text_len;

    if (len != AES_RECORD_AAD || in == NULL)
        return false;
    memcpy(aad, in, AES_RECORD_AAD);
    text_len = (size_t)aad[AES_RECORD_AAD - 2] << 8 | aad[AES_RECORD_AAD - 1];
    if (text_len < around)
        return false;
    text_len -= around;
    aad[AES_RECORD_AAD - 2] = (uint8_t)(text_len >> 8);
    aad[AES_RECORD_AAD - 1] = (uint8_t)text_len;
    return true;
}

struct ersatz_op aes_record_op(const uint8_t aad[AES_RECORD_AAD], uint8_t *record, size_t len, size_t tag_len)
{
    uint8_t *text = record + AES_RECORD_EXPLICIT_IV;
    size_t text_len = len - AES_RECORD_EXPLICIT_IV - tag_len;

    ASSERT(aes_record_is_whole(record, record, len, tag_len));
    return (struct ersatz_op){.kind = ERSATZ_CIPHER,
        .u.cipher = {
            .aad = aad,
            .aad_len = AES_RECORD_AAD,
            .in = text,
            .out = text,
            .len = text_len,
            .tag = text + text_len,
            .tag_len = tag_len,
        }};
}
