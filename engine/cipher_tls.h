/* SPDX-License-Identifier: Apache-2.0 */
/* What the ciphers' TLS 1.2 forms share. */
#ifndef ERSATZ_ENGINE_CIPHER_TLS_H
#define ERSATZ_ENGINE_CIPHER_TLS_H

#include <stdbool.h>

/*
 * RFC 5246, 6.2.3.3: libssl hands over a record's associated data with the length of the record; what is
 * authenticated is the length of the text in it, which is less by `around`: the explicit part of the IV and,
 * in a record that was received, the tag. False: the record is too short for these.
 */
bool cipher_tls_aad_of_text(unsigned char *aad, unsigned around);

#endif
