/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the card keeps of its buffers when a great many requests were in flight: no more than the 16 MiB that
 * docs/architecture.md says, and no text in them, once it has nothing to do.
 */
#include <malloc.h>
#include <openssl/crypto.h>

#include "check.h"
#include "device/card.h"
#include "scan.h"

#define REQUESTS 600u
#define LEN ((size_t)100 * 1024)
#define KEPT ((size_t)16 * 1024 * 1024)
#define BESIDE ((size_t)4 * 1024 * 1024) /* what else a card takes */

static struct ersatz_stats stats;
static uint8_t text[LEN], cipher[LEN];
static struct ersatz_request *requests[REQUESTS];

static struct ersatz_cipher *new_state(void)
{
    static const uint8_t key[16] = {3};
    struct ersatz_cipher *state;

    CHECK_EQ(ersatz_cipher_new(ERSATZ_CTR, 128, &state), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_set_key(state, key, sizeof(key), false), ERSATZ_OK);
    return state;
}

static struct scan make_texts(void)
{
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};

    for (size_t i = 0; i < LEN; i++)
        text[i] = (uint8_t)(i * i * 31 + i / 251 + 17);
    op.u.cipher.cipher = new_state();
    op.u.cipher.in = text;
    op.u.cipher.out = cipher;
    op.u.cipher.len = LEN;
    CHECK_EQ(ersatz_compute(&op, &stats), ERSATZ_OK);
    ersatz_cipher_free(op.u.cipher.cipher);
    return scan_for(text + LEN / 2, SCAN_LEN);
}

static int told(void *arg)
{
    (void)arg;
    return 1;
}

static void decrypt_all(struct ersatz_device *device)
{
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct ersatz_op op = {.kind = ERSATZ_CIPHER};

        op.u.cipher.cipher = new_state();
        op.u.cipher.in = cipher;
        op.u.cipher.out = text;
        op.u.cipher.len = LEN;
        CHECK_EQ(ersatz_request_new(device, &op, true, &requests[i]), ERSATZ_OK);
        CHECK_EQ(ersatz_submit_callback(requests[i], told, NULL), ERSATZ_OK);
        ersatz_cipher_free(op.u.cipher.cipher); /* the request has a reference */
    }
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        while (!ersatz_request_is_done(requests[i]))
            ersatz_request_wait(requests[i], 10);
        CHECK_EQ(ersatz_request_finish(requests[i]), ERSATZ_OK);
    }
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

int main(void)
{
    struct scan scan = make_texts();
    struct ersatz_device *device = card_open(&stats, 2, 1024, false);
    size_t before = allocated();

    test_begin(100);
    CHECK(scan_memory(&scan) > 0);
    decrypt_all(device);
    OPENSSL_cleanse(text, sizeof(text));
    scan_until_none("texts", &scan, 1);
    while (allocated() - before > KEPT + BESIDE) /* until the card has let go of each request */
        usleep(1000);
    fprintf(stderr, "%zu bytes\n", allocated() - before);
    ersatz_device_free(device);
    return 0;
}
