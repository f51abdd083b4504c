/* SPDX-License-Identifier: Apache-2.0 */
/* See timing.h. All records that are compared have one length, and where one is refused both are. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "check.h"
#include "ersatz/device.h"
#include "timing.h"

#define BLOCK 16u
#define BODY 768u /* text, MAC and padding */
#define HEADER 13u

enum fault { NONE, WRONG_MAC, WRONG_PADDING };

/* One class: what is wrong, and of how many bytes the padding may be, besides the byte that counts them. */
struct kind {
    const char *name;
    enum fault fault;
    unsigned padding_min;
};

static const struct {
    const char *name;
    struct kind classes[2];
} pairs[] = {
    {"control: nothing to find", {{"padding 0..15", NONE, 0}, {"padding 0..15", NONE, 0}}},
    {"padding or MAC wrong", {{"wrong MAC", WRONG_MAC, 16}, {"wrong padding", WRONG_PADDING, 16}}},
    {"wrong MAC, early or late", {{"padding 0..15", WRONG_MAC, 0}, {"padding 240..255", WRONG_MAC, 240}}},
    {"right, MAC early or late", {{"padding 0..15", NONE, 0}, {"padding 240..255", NONE, 240}}},
};

static struct ersatz_stats stats;
static uint8_t mac_key[32], opened[BLOCK + BODY];
static struct ersatz_cipher *opening, *sealing;

/* A record, its header as libssl gives it for opening, and what comes of it. */
struct record {
    uint8_t aad[HEADER], bytes[BLOCK + BODY];
    enum ersatz_result expected;
};

/* Of the pair that is being measured. */
static const struct kind *kinds;
static const EVP_MD *digest;

static void put_length(uint8_t *header, size_t len)
{
    header[11] = (uint8_t)(len >> 8);
    header[12] = (uint8_t)len;
}

/* A record of TLS 1.2. */
static void make_record(void *input, unsigned class)
{
    struct record *out = input;
    const struct kind *kind = &kinds[class];
    uint8_t body[BODY], whole[HEADER + BODY], header[HEADER] = {[8] = 23, [9] = 3, [10] = 3}, lot;
    unsigned mac_len = (unsigned)EVP_MD_get_size(digest), padding, text_len;
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};

    CHECK(RAND_bytes(body, BODY) == 1 && RAND_bytes(out->bytes, BLOCK) == 1 && RAND_bytes(&lot, 1) == 1);
    padding = kind->padding_min + lot % 16;
    text_len = BODY - mac_len - padding - 1;
    put_length(header, text_len);
    memcpy(whole, header, HEADER);
    memcpy(whole + HEADER, body, text_len);
    CHECK(HMAC(digest, mac_key, sizeof(mac_key), whole, HEADER + text_len, body + text_len, NULL) != NULL);
    memset(body + text_len + mac_len, (int)padding, padding + 1);
    if (kind->fault == WRONG_MAC)
        body[text_len + mac_len - 1] ^= 1;
    if (kind->fault == WRONG_PADDING)
        body[text_len + mac_len] ^= 1;
    memcpy(op.u.cipher.iv, out->bytes, BLOCK);
    op.u.cipher.cipher = sealing;
    op.u.cipher.in = body;
    op.u.cipher.out = out->bytes + BLOCK;
    op.u.cipher.len = BODY;
    CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
    put_length(header, sizeof(out->bytes));
    memcpy(out->aad, header, HEADER);
    out->expected = kind->fault == NONE ? ERSATZ_OK : ERSATZ_BAD_TAG;
}

static uint64_t time_opening(const void *input)
{
    const struct record *record = input;
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    enum ersatz_result result;
    uint64_t begin, ticks;

    op.u.cipher.cipher = opening;
    op.u.cipher.aad = record->aad;
    op.u.cipher.aad_len = HEADER;
    op.u.cipher.in = record->bytes;
    op.u.cipher.out = opened;
    op.u.cipher.len = sizeof(record->bytes);
    begin = meter_now();
    result = ersatz_compute(&op, &stats);
    ticks = meter_now() - begin;
    CHECK_EQ(result, record->expected);
    return ticks;
}

/* Whether the control came out right. */
static bool measure_mode(enum ersatz_mode mode, const EVP_MD *of_the_mode, double seconds)
{
    bool fit = true;
    uint8_t key[16];
    char name[64];

    digest = of_the_mode;
    CHECK(RAND_bytes(key, sizeof(key)) == 1 && RAND_bytes(mac_key, sizeof(mac_key)) == 1);
    CHECK_EQ(ersatz_cipher_new(mode, 128, &opening), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &sealing), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(opening, key, sizeof(key), false), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_mac_key(opening, mac_key, sizeof(mac_key)), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(sealing, key, sizeof(key), true), ERSATZ_OK);
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct trial trial = {.name = name,
            .classes = {pairs[i].classes[0].name, pairs[i].classes[1].name},
            .input_size = sizeof(struct record),
            .make = make_record,
            .time = time_opening};

        kinds = pairs[i].classes;
        snprintf(name, sizeof(name), "%s, %s", EVP_MD_get0_name(digest), pairs[i].name);
        if (meter_run(&trial, seconds) >= 4.5 && i == 0)
            fit = false;
    }
    ersatz_cipher_free(opening);
    ersatz_cipher_free(sealing);
    return fit;
}

bool measure_records(double seconds)
{
    bool fit;

    if (!ersatz_cipher_is_available(ERSATZ_CBC_HMAC_SHA1, 128)) {
        printf("AES-CBC-HMAC: not on this processor\n");
        return true;
    }
    fit = measure_mode(ERSATZ_CBC_HMAC_SHA1, EVP_sha1(), seconds);
    return measure_mode(ERSATZ_CBC_HMAC_SHA256, EVP_sha256(), seconds) && fit;
}
