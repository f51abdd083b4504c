/* SPDX-License-Identifier: Apache-2.0 */
/* A cipher state that a request in flight has is nobody else's: each way to it is refused, without touching
 * anything, until the request is over. */
#include "card.h"

#define SHORT 64u

struct state {
    struct ersatz_cipher *cipher;
    uint8_t key[64];
    size_t key_len;
};

static enum ersatz_result told; /* by ersatz_update_text() */

static void tell(enum ersatz_result result)
{
    told = result;
}

/* A copy of a state, which tells as that would. */
static struct state state_new(enum ersatz_mode mode)
{
    struct state state = {.key_len = mode == ERSATZ_XTS ? 32 : 16};
    struct ersatz_cipher *original;

    for (size_t i = 0; i < state.key_len; i++)
        state.key[i] = (uint8_t)(i * 3);
    CHECK_EQ(ersatz_cipher_new(mode, 128, &original), ERSATZ_OK);
    ersatz_cipher_tell_failures(original, tell);
    CHECK_EQ(ersatz_cipher_set_key(original, state.key, state.key_len, true), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_dup(original, &state.cipher), ERSATZ_OK);
    ersatz_cipher_free(original);
    return state;
}

static void check_refused(struct ersatz_device *device, struct state *state, const struct ersatz_op *op)
{
    struct ersatz_stats stats = {0};
    struct ersatz_cipher *copy;
    struct ersatz_request *second;
    uint8_t text[SHORT] = {1}, before[SHORT];
    struct ersatz_op another = *op;

    memcpy(before, text, SHORT);
    another.u.cipher.in = another.u.cipher.out = text;
    another.u.cipher.len = SHORT;
    CHECK_EQ(ersatz_compute(&another, &stats), ERSATZ_BUSY);
    told = ERSATZ_OK;
    CHECK_EQ(ersatz_update_text(state->cipher, text, text, SHORT, another.u.cipher.iv, &stats), 0);
    CHECK_EQ(told, ERSATZ_BUSY);
    CHECK(memcmp(text, before, SHORT) == 0);
    CHECK_EQ(ersatz_request_new(device, &another, true, &second), ERSATZ_BUSY);
    CHECK_EQ(ersatz_cipher_set_key(state->cipher, state->key, state->key_len, false), ERSATZ_BUSY);
    CHECK_EQ(ersatz_cipher_set_direction(state->cipher, false), ERSATZ_BUSY);
    CHECK_EQ(ersatz_cipher_dup(state->cipher, &copy), ERSATZ_BUSY);
}

static void check_mode(struct ersatz_device *device, enum ersatz_mode mode)
{
    struct ersatz_stats stats = {0};
    struct state state = state_new(mode), same = state_new(mode);
    uint8_t text[TEXT] = {5}, out[TEXT], again[TEXT], iv[16] = {9};
    struct ersatz_op op = {.kind = ERSATZ_CIPHER,
        .u.cipher = {.cipher = state.cipher, .iv = {9}, .in = text, .out = out, .len = TEXT}};
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    check_refused(device, &state, &op);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    card_finish(request);
    CHECK_EQ(ersatz_update_text(same.cipher, again, text, TEXT, iv, &stats), 1);
    CHECK(memcmp(out, again, TEXT) == 0);
    told = ERSATZ_OK;
    CHECK_EQ(ersatz_update_text(state.cipher, again, text, SHORT, op.u.cipher.iv, &stats), 1);
    CHECK_EQ(told, ERSATZ_OK);
    CHECK(memcmp(out, again, SHORT) == 0);
    ersatz_waker_free(waker);
    ersatz_cipher_free(state.cipher);
    ersatz_cipher_free(same.cipher);
}

/* A message of GCM, of which the card has the second piece. */
static void check_gcm(struct ersatz_device *device)
{
    static const uint8_t iv[12] = {9};
    struct ersatz_stats stats = {0};
    struct state state = state_new(ERSATZ_GCM), same = state_new(ERSATZ_GCM);
    uint8_t text[TEXT] = {5}, out[TEXT], again[TEXT], tag[16] = {0}, wanted[16], nothing[16] = {0};
    struct ersatz_gcm_piece begin = {.iv = iv, .iv_len = sizeof(iv), .in = text, .out = again, .len = SHORT};
    struct ersatz_op op = {
        .kind = ERSATZ_CIPHER, .u.cipher = {.cipher = state.cipher, .in = text, .out = out, .len = TEXT}};
    struct ersatz_request *request;
    struct ersatz_waker *waker;

    CHECK_EQ(ersatz_compute_gcm_text(same.cipher, &begin, &stats), ERSATZ_OK);
    CHECK_EQ(ersatz_compute_gcm_text(state.cipher, &begin, &stats), ERSATZ_OK);
    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    CHECK_EQ(ersatz_waker_new(&stats, &waker), ERSATZ_OK);
    CHECK_EQ(ersatz_request_new(device, &op, true, &request), ERSATZ_OK);
    CHECK_EQ(ersatz_submit_fd(request, waker), ERSATZ_OK);
    CHECK_EQ(ersatz_compute_gcm_text(state.cipher, &begin, &stats), ERSATZ_BUSY);
    CHECK_EQ(ersatz_compute_gcm_more(state.cipher, again, text, TEXT, &stats), ERSATZ_BUSY);
    CHECK_EQ(ersatz_compute_gcm_end(state.cipher, tag, sizeof(tag), &stats), ERSATZ_BUSY);
    CHECK(memcmp(tag, nothing, sizeof(tag)) == 0);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    card_finish(request);
    CHECK_EQ(ersatz_compute_gcm_more(same.cipher, again, text, TEXT, &stats), ERSATZ_OK);
    CHECK(memcmp(out, again, TEXT) == 0);
    CHECK_EQ(ersatz_compute_gcm_end(same.cipher, wanted, sizeof(wanted), &stats), ERSATZ_OK);
    CHECK_EQ(ersatz_compute_gcm_end(state.cipher, tag, sizeof(tag), &stats), ERSATZ_OK);
    CHECK(memcmp(tag, wanted, sizeof(tag)) == 0);
    ersatz_waker_free(waker);
    ersatz_cipher_free(state.cipher);
    ersatz_cipher_free(same.cipher);
}

int main(void)
{
    static const enum ersatz_mode modes[] = {
        ERSATZ_CBC, ERSATZ_CTR, ERSATZ_ECB, ERSATZ_XTS, ERSATZ_CFB, ERSATZ_OFB};
    struct ersatz_stats stats = {0};
    struct ersatz_device *device;

    test_begin(60);
    device = card_open(&stats, 1, 0, false);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        check_mode(device, modes[i]);
    check_gcm(device);
    ersatz_device_free(device);
    return 0;
}
