/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CFB and OFB, many texts side by side in the lanes of Intel's library: a lane keeps the last block that it
 * computed, which is key stream. Once the card has nothing to do, none of it is left in memory.
 */
#include <openssl/crypto.h>

#include "check.h"
#include "device/card.h"
#include "scan.h"

#define TEXTS 16u /* as many as a worker takes together */
#define LEN ((size_t)4096)
#define BLOCK 16u
#define LOOKED_AT 4u /* to look for one takes long */

static struct ersatz_stats stats;
static uint8_t in[TEXTS][LEN], out[TEXTS][LEN];

static struct ersatz_cipher *new_state(enum ersatz_mode mode, unsigned key_bits)
{
    struct ersatz_cipher *state;
    uint8_t key[32];

    CHECK_EQ(ersatz_random(key, sizeof(key), true), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_new(mode, key_bits, &state), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(state, key, key_bits / 8, true), ERSATZ_OK);
    return state;
}

static struct ersatz_request *submit(
    struct ersatz_device *device, enum ersatz_mode mode, unsigned key_bits, unsigned text)
{
    static _Atomic int told;
    struct ersatz_cipher *state = new_state(mode, key_bits);
    struct ersatz_op op = ersatz_text_op(state, (const uint8_t[BLOCK]){1}, out[text], in[text], LEN);
    struct ersatz_request *request;

    CHECK_EQ(ersatz_request_new(device, &op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_callback(request, card_count, &told), ERSATZ_OK);
    ersatz_cipher_free(state); /* the request has a reference */
    return request;
}

/* The key stream of the last blocks of some of the texts. */
static void encrypt_together(
    struct ersatz_device *device, enum ersatz_mode mode, unsigned key_bits, struct scan streams[LOOKED_AT])
{
    struct ersatz_request *requests[TEXTS];
    uint64_t before = ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_IPSEC_MB);
    uint8_t stream[BLOCK];

    CHECK_EQ(ersatz_random(in[0], sizeof(in), false), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < TEXTS; i++)
        requests[i] = submit(device, mode, key_bits, i);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < TEXTS; i++) {
        card_finish(requests[i]);
        for (unsigned at = 0; at < BLOCK; at++)
            stream[at] = in[i][LEN - BLOCK + at] ^ out[i][LEN - BLOCK + at];
        streams[i * LOOKED_AT / TEXTS] = scan_for(stream, BLOCK);
    }
    OPENSSL_cleanse(stream, BLOCK);
    OPENSSL_cleanse(in, sizeof(in));
    CHECK_EQ(ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_IPSEC_MB) - before, TEXTS);
}

int main(void)
{
    static const enum ersatz_mode modes[] = {ERSATZ_CFB, ERSATZ_OFB};
    struct ersatz_device *device;
    struct scan streams[LOOKED_AT];

    test_begin(100);
    device = card_open(&stats, 1, 64, false);
    for (unsigned bits = 128; bits <= 256; bits += 64) {
        for (unsigned i = 0; i < 2; i++) {
            encrypt_together(device, modes[i], bits, streams);
            scan_until_none(ersatz_mode_name(modes[i]), streams, LOOKED_AT);
        }
    }
    ersatz_device_free(device);
    return 0;
}
