/* SPDX-License-Identifier: Apache-2.0 */
/* See tls_record.h. */
#include "tls_record.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/ssl3.h>
#include <openssl/tls1.h>
#include <string.h>

#include "driver/aes_common.h"
#include "params.h"

#define BLOCK 16u
#define PADDING_MAX 256u /* with its length byte */

/* ----------------------------------------------------------------------------------------------- masks */

/* All ones where it is true, all zeros where not; for numbers below 2^63. The empty asm keeps the compiler
 * from finding out that it is one of the two, and making a branch of it. */
static size_t hidden(size_t mask)
{
    __asm__("" : "+r"(mask));
    return mask;
}

static size_t is_below(size_t a, size_t b)
{
    return hidden(0 - ((a - b) >> (8 * sizeof(size_t) - 1)));
}

static size_t is_equal(size_t a, size_t b)
{
    return ~(is_below(a, b) | is_below(b, a));
}

static uint8_t choose(size_t mask, uint8_t a, uint8_t b)
{
    return (uint8_t)((mask & a) | (~mask & b));
}

/* ------------------------------------------------------------------------------------------ parameters */

/* What is refused changes nothing: the context may be used all the same. */
bool tls_record_set_params(struct tls_record *record, const OSSL_PARAM params[])
{
    unsigned version = record->version;
    size_t mac_len = record->mac_len;
    const OSSL_PARAM *p;

    p = cipher_param_const(params, OSSL_CIPHER_PARAM_TLS_VERSION);
    if (p != NULL && (!OSSL_PARAM_get_uint(p, &version) || version == SSL3_VERSION))
        return false;
    p = cipher_param_const(params, OSSL_CIPHER_PARAM_TLS_MAC_SIZE);
    if (p != NULL && (!OSSL_PARAM_get_size_t(p, &mac_len) || mac_len > TLS_MAC_MAX))
        return false;
    record->version = version;
    record->mac_len = mac_len;
    return true;
}

bool tls_record_get_params(const struct tls_record *record, OSSL_PARAM params[])
{
    OSSL_PARAM *p = cipher_param(params, OSSL_CIPHER_PARAM_TLS_MAC);

    return p == NULL || OSSL_PARAM_set_octet_ptr(p, record->mac, record->mac_len);
}

/* --------------------------------------------------------------------------------------------- records */

bool tls_record_pad(uint8_t *text, size_t *len, size_t size)
{
    size_t padding = BLOCK - *len % BLOCK;

    if (size < padding || size - padding < *len)
        return false;
    memset(text + *len, (int)(padding - 1), padding);
    *len += padding;
    return true;
}

/* Copy the mac_len bytes from text[start] on, which lie somewhere in text[from] to text[len - 1], by a walk
 * over all of these. What is found goes round in `mac` and is then turned by as much as it began late. */
static void copy_mac(uint8_t *mac, size_t mac_len, const uint8_t *text, size_t from, size_t len, size_t start)
{
    uint8_t turned[TLS_MAC_MAX];
    size_t turn = 0, place = 0;

    memset(mac, 0, mac_len);
    for (size_t i = from; i < len; i++) {
        size_t inside = ~is_below(i, start) & is_below(i, start + mac_len);

        turn |= place & is_equal(i, start);
        mac[place] |= (uint8_t)(text[i] & inside);
        place = place + 1 == mac_len ? 0 : place + 1;
    }
    for (size_t step = 1; step < mac_len; step *= 2) {
        size_t by_step = ~is_equal(turn & step, 0);

        for (size_t i = 0; i < mac_len; i++)
            turned[i] = choose(by_step, mac[(i + step) % mac_len], mac[i]);
        memcpy(mac, turned, mac_len);
    }
    OPENSSL_cleanse(turned, sizeof(turned));
}

static bool has_explicit_iv(unsigned version)
{
    return version != TLS1_VERSION;
}

bool tls_record_open(struct tls_record *record, const uint8_t *text, size_t *len)
{
    size_t total = *len, mac_len = record->mac_len, padding, good, checked, from, end;
    uint8_t random[TLS_MAC_MAX];

    if (has_explicit_iv(record->version)) {
        if (total < BLOCK)
            return false;
        text += BLOCK;
        total -= BLOCK;
    }
    if (total < mac_len + 1)
        return false;

    padding = text[total - 1]; /* bytes of that value before this one */
    good = ~is_below(total, mac_len + 1 + padding);
    checked = total < PADDING_MAX ? total : PADDING_MAX;
    for (size_t i = 0; i < checked; i++)
        good &= is_below(padding, i) | is_equal(text[total - 1 - i], padding);
    end = total - (good & (padding + 1)); /* of text and MAC */
    if (mac_len == 0) {
        *len = end;
        return good != 0;
    }
    *len = end - mac_len;
    if (!aes_random(random, mac_len, true))
        return false;
    from = total > mac_len + PADDING_MAX ? total - mac_len - PADDING_MAX : 0;
    copy_mac(record->mac, mac_len, text, from, total, end - mac_len);
    for (size_t i = 0; i < mac_len; i++)
        record->mac[i] = choose(good, record->mac[i], random[i]);
    OPENSSL_cleanse(random, sizeof(random));
    return true;
}
