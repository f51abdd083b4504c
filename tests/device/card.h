/* SPDX-License-Identifier: Apache-2.0 */
/* A device to test, and operations for it. */
#ifndef ERSATZ_TESTS_CARD_H
#define ERSATZ_TESTS_CARD_H

#include <ersatz/device.h>
#include <ersatz/findings.h>
#include <stdatomic.h>

#include "check.h"

#define TEXT 2048

/* A running device of this shape; 0 is the default. */
static inline struct ersatz_device *card_open(
    struct ersatz_stats *stats, unsigned workers, unsigned depth, bool external)
{
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_config_init(&config, stats);
    config.workers = workers != 0 ? workers : config.workers;
    config.instances = workers == 1 ? 1 : config.instances;
    config.ring_depth = depth != 0 ? depth : config.ring_depth;
    config.external_polling = external;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

/* A running device with a check of the application, by the usual limits. */
static inline struct ersatz_device *card_open_checked(
    struct ersatz_stats *stats, struct ersatz_findings *findings, bool external)
{
    struct ersatz_check_limits limits;
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;

    ersatz_check_limits_init(&limits);
    ersatz_findings_init(findings, &limits);
    ersatz_config_init(&config, stats);
    config.findings = findings;
    config.external_polling = external;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    return device;
}

/* AES-128-CBC of TEXT bytes with a state of its own. */
struct aes {
    struct ersatz_op op;
    uint8_t in[TEXT], out[TEXT];
};

static inline struct aes *aes_new(uint8_t seed)
{
    static const uint8_t key[16] = {7};
    struct aes *aes = calloc(1, sizeof(*aes));

    CHECK(aes != NULL);
    memset(aes->in, seed, TEXT);
    aes->op.kind = ERSATZ_CIPHER;
    CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &aes->op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(aes->op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
    aes->op.u.cipher.in = aes->in;
    aes->op.u.cipher.out = aes->out;
    aes->op.u.cipher.len = TEXT;
    return aes;
}

/* Whether the card's output is what the calling core computes. */
static inline bool aes_is_right(struct aes *aes)
{
    uint8_t again[TEXT];
    struct ersatz_stats stats = {0};

    aes->op.u.cipher.out = again;
    CHECK_EQ(ersatz_compute(&aes->op, &stats), ERSATZ_OK);
    aes->op.u.cipher.out = aes->out;
    return memcmp(again, aes->out, TEXT) == 0;
}

/* A callback that counts itself: arg is an _Atomic int. */
static inline int card_count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 1;
}

static inline void aes_free(struct aes *aes)
{
    ersatz_cipher_free(aes->op.u.cipher.cipher);
    free(aes);
}

/* Sleeps until the request is complete, however long that takes. */
static inline void card_wait(struct ersatz_request *request)
{
    while (!ersatz_request_is_done(request))
        ersatz_request_wait(request, -1);
}

/* The same, and the request must have come out well. */
static inline void card_finish(struct ersatz_request *request)
{
    card_wait(request);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
}

/* One operation, to its end, of which a callback tells. */
static inline void card_use_callback(struct ersatz_device *device)
{
    struct aes *aes = aes_new(1);
    struct ersatz_request *request;
    _Atomic int called = 0;

    CHECK_EQ(ersatz_request_new(device, &aes->op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, card_count, &called), ERSATZ_OK);
    card_wait(request);
    CHECK_EQ(called, 1);
    CHECK_EQ(ersatz_request_finish(request), ERSATZ_OK);
    CHECK(aes_is_right(aes));
    aes_free(aes);
}

#endif
