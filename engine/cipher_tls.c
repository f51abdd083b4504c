/* SPDX-License-Identifier: Apache-2.0 */
/* What the ciphers' TLS 1.2 forms share. */
#include "cipher_tls.h"

#include <openssl/evp.h>

bool cipher_tls_aad_of_text(unsigned char *aad, unsigned around)
{
    unsigned char *length = aad + EVP_AEAD_TLS1_AAD_LEN - 2;
    unsigned text = (unsigned)length[0] << 8 | length[1];

    if (text < around)
        return false;
    text -= around;
    length[0] = (unsigned char)(text >> 8);
    length[1] = (unsigned char)text;
    return true;
}
