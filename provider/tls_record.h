/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of TLS 1.0 to 1.2 and DTLS in CBC mode with the MAC inside, where the provider pads and unpads: see
 * "CBC mode" in life_cycle-cipher(7) and EVP_CIPHER_CTX_set_params(3), "tls-version", "tls-mac-size",
 * "tls-mac".
 *
 * Where padding and MAC end is a secret until the MAC was checked (Vaudenay 2002; AlFardan and Paterson,
 * "Lucky Thirteen", 2013). So nothing here branches on it, or takes an address from it.
 */
#ifndef ERSATZ_PROVIDER_TLS_RECORD_H
#define ERSATZ_PROVIDER_TLS_RECORD_H

#include <openssl/core.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_MAC_MAX 64u

struct tls_record {
    unsigned version;         /* 0: not of TLS */
    size_t mac_len;           /* 0: encrypt-then-MAC */
    uint8_t mac[TLS_MAC_MAX]; /* of the record that was opened last */
};

/* Take what there is in params. False: it has a wrong type or value. */
bool tls_record_set_params(struct tls_record *record, const OSSL_PARAM params[]);

/* Answer "tls-mac". */
bool tls_record_get_params(const struct tls_record *record, OSSL_PARAM params[]);

/* Add the padding to a record of *len bytes, in a buffer of that size. False: it has no room. */
bool tls_record_pad(uint8_t *text, size_t *len, size_t size);

/*
 * Take padding and MAC off a decrypted record of *len bytes, which has an explicit IV in front from TLS 1.1
 * on. *len becomes the length of its text, without that IV. Wrong padding gives a random MAC, and is no
 * error: whoever checks the MAC finds it wrong. False: the record is too short, or with encrypt-then-MAC its
 * padding is wrong, which everybody may know; or there are no random numbers.
 */
bool tls_record_open(struct tls_record *record, const uint8_t *text, size_t *len);

#endif
