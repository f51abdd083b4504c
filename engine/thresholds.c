/* The offload thresholds, by cipher, and the command that sets them. */
#include "thresholds.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "error.h"

#define KEY_SIZES 3u
#define TEXT_MAX 1023u /* QAT_Engine's limit */

struct entry {
    unsigned mode, size, bytes;
};

_Atomic int thresholds_from_default[ERSATZ_MODES][KEY_SIZES];

static const char *const modes[ERSATZ_MODES] = {
    [ERSATZ_CBC] = "CBC",
    [ERSATZ_CTR] = "CTR",
    [ERSATZ_GCM] = "GCM",
    [ERSATZ_XTS] = "XTS",
    [ERSATZ_ECB] = "ECB",
    [ERSATZ_CFB] = "CFB",
    [ERSATZ_OFB] = "OFB",
    [ERSATZ_CCM] = "CCM",
    [ERSATZ_CBC_HMAC_SHA1] = "CBC-HMAC-SHA1",
    [ERSATZ_CBC_HMAC_SHA256] = "CBC-HMAC-SHA256",
};

static bool has_no_192(enum ersatz_mode mode)
{
    return mode == ERSATZ_XTS || mode == ERSATZ_CBC_HMAC_SHA1 || mode == ERSATZ_CBC_HMAC_SHA256;
}

static bool find_cipher(const char *name, size_t len, struct entry *entry)
{
    for (entry->mode = 0; entry->mode < ERSATZ_MODES; entry->mode++) {
        for (entry->size = 0; entry->size < KEY_SIZES; entry->size++) {
            char known[32];

            if (entry->size == 1 && has_no_192(entry->mode))
                continue;
            snprintf(known, sizeof(known), "AES-%u-%s", 128 + 64 * entry->size, modes[entry->mode]);
            if (strlen(known) == len && strncasecmp(known, name, len) == 0)
                return true;
        }
    }
    return false;
}

static bool refuse(const char *what, int len)
{
    error_raise(REASON_BAD_COMMAND,
        "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD: \"%.*s\" is not understood; expected CIPHER:BYTES,... "
        "with AES-{128,192,256}-{CBC,CTR,GCM,ECB,CFB,OFB,CCM} or "
        "AES-{128,256}-{XTS,CBC-HMAC-SHA1,CBC-HMAC-SHA256} and 0 to %u",
        len, what, THRESHOLD_MAX);
    return false;
}

static bool parse_one(const char *text, size_t len, struct entry *entry)
{
    const char *colon = memchr(text, ':', len);
    unsigned bytes = 0;

    if (colon == NULL || colon + 1 == text + len || !find_cipher(text, (size_t)(colon - text), entry))
        return refuse(text, (int)len);
    for (const char *digit = colon + 1; digit < text + len; digit++) {
        if (*digit < '0' || *digit > '9' || (bytes = bytes * 10 + (unsigned)(*digit - '0')) > THRESHOLD_MAX)
            return refuse(text, (int)len);
    }
    entry->bytes = bytes;
    return true;
}

bool thresholds_parse(const char *text)
{
    struct entry entries[64];
    unsigned count = 0;

    if (strlen(text) > TEXT_MAX)
        return refuse("a text of more than 1023 bytes", 30);
    for (const char *at = text;;) {
        size_t len = strcspn(at, ",");

        if (count == sizeof(entries) / sizeof(entries[0]))
            return refuse(at, (int)len);
        if (!parse_one(at, len, &entries[count++]))
            return false;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    for (unsigned i = 0; i < count; i++)
        atomic_store_explicit(&thresholds_from_default[entries[i].mode][entries[i].size],
            (int)entries[i].bytes - (int)THRESHOLD_DEFAULT, memory_order_relaxed);
    return true;
}

void thresholds_reset(void)
{
    for (unsigned mode = 0; mode < ERSATZ_MODES; mode++) {
        for (unsigned size = 0; size < KEY_SIZES; size++)
            atomic_store_explicit(&thresholds_from_default[mode][size], 0, memory_order_relaxed);
    }
}
