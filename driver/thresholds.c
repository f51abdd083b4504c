/* SPDX-License-Identifier: Apache-2.0 */
/* The offload thresholds, by cipher, and the list that sets them. */
#include "thresholds.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "error.h"

#define KEY_SIZES 3u
#define TEXT_MAX 1023u /* QAT_Engine's limit */
#define SHOWN_MAX 600  /* bytes of a list in an error: they leave room for the rest */

struct entry {
    unsigned mode, size, bytes; /* mode ERSATZ_MODES: an algorithm that the card does not have */
};

_Atomic int thresholds_from_default[ERSATZ_MODES][KEY_SIZES];
const _Atomic int thresholds_none = -(int)THRESHOLD_DEFAULT;

static bool has_no_192(enum ersatz_mode mode)
{
    return mode == ERSATZ_XTS || mode == ERSATZ_CBC_HMAC_SHA1 || mode == ERSATZ_CBC_HMAC_SHA256;
}

/* Only QAT_Engine has thresholds for these. A program written for it may set them, to no effect. */
static const char *const ignored[] = {
    "ChaCha20-Poly1305", "SM3", "SM4-CBC", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"};

static bool is_name(const char *known, const char *name, size_t len)
{
    return strlen(known) == len && strncasecmp(known, name, len) == 0;
}

static bool find_cipher(const char *name, size_t len, struct entry *entry)
{
    for (entry->mode = 0; entry->mode < ERSATZ_MODES; entry->mode++) {
        for (entry->size = 0; entry->size < KEY_SIZES; entry->size++) {
            char known[32], short_name[32]; /* libcrypto's, of GCM and CCM */
            unsigned bits = 128 + 64 * entry->size;

            if (entry->size == 1 && has_no_192(entry->mode))
                continue;
            snprintf(known, sizeof(known), "AES-%u-%s", bits, ersatz_mode_name(entry->mode));
            snprintf(short_name, sizeof(short_name), "id-aes%u-%s", bits, ersatz_mode_name(entry->mode));
            if (is_name(known, name, len) || is_name(short_name, name, len))
                return true;
        }
    }
    for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        if (is_name(ignored[i], name, len))
            return true; /* the mode is ERSATZ_MODES by now */
    }
    return false;
}

static bool refuse(struct ersatz_error *error, const char *what, size_t len)
{
    return error_set(error, ERSATZ_BAD_CONFIG,
        "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD: \"%.*s\" is not understood; expected CIPHER:BYTES,... "
        "with AES-{128,192,256}-{CBC,CTR,GCM,ECB,CFB,OFB,CCM} or "
        "AES-{128,256}-{XTS,CBC-HMAC-SHA1,CBC-HMAC-SHA256} and a number from 0 to %u",
        len < SHOWN_MAX ? (int)len : SHOWN_MAX, what, THRESHOLD_MAX);
}

/* A whole number, clamped to the range. False: the text is not a number. */
static bool parse_bytes(const char *text, size_t len, unsigned *bytes)
{
    bool negative = len > 0 && text[0] == '-';
    size_t first = negative || (len > 0 && text[0] == '+');
    unsigned number = 0;

    if (first == len)
        return false;
    for (size_t i = first; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text[i] - '0');
        number = number < THRESHOLD_MAX ? number : THRESHOLD_MAX; /* and no more digits make it overflow */
    }
    *bytes = negative ? 0 : number;
    return true;
}

static bool parse_one(const char *text, size_t len, struct entry *entry, struct ersatz_error *error)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon == NULL ? len : (size_t)(colon - text);

    if (colon == NULL || !find_cipher(text, name_len, entry) ||
        !parse_bytes(colon + 1, len - name_len - 1, &entry->bytes))
        return refuse(error, text, len);
    return true;
}

bool thresholds_set(const char *list, struct ersatz_error *error)
{
    struct entry entries[64];
    unsigned count = 0;

    if (strlen(list) > TEXT_MAX)
        return error_set(error, ERSATZ_BAD_CONFIG,
            "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD has %zu bytes; at most %u are expected", strlen(list),
            TEXT_MAX);
    for (const char *at = list;;) {
        size_t len = strcspn(at, ",");

        if (count == sizeof(entries) / sizeof(entries[0]))
            return refuse(error, at, len);
        if (!parse_one(at, len, &entries[count++], error))
            return false;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].mode < ERSATZ_MODES)
            atomic_store_explicit(&thresholds_from_default[entries[i].mode][entries[i].size],
                (int)entries[i].bytes - (int)THRESHOLD_DEFAULT, memory_order_relaxed);
    }
    return true;
}

void thresholds_reset(void)
{
    for (unsigned mode = 0; mode < ERSATZ_MODES; mode++) {
        for (unsigned size = 0; size < KEY_SIZES; size++)
            atomic_store_explicit(&thresholds_from_default[mode][size], 0, memory_order_relaxed);
    }
}
