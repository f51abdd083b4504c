/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What injected faults do at the device: the same ones every time, to the requests they are meant for; the
 * card goes on, nothing is lost, and what failed can still be computed by the calling core.
 */
#include <openssl/rsa.h>

#include "fault_card.h"
#include "rsa_numbers.h"

#define MANY 400

/* One operation, waited for. Where it fails, *error says why. */
static enum ersatz_result run(
    struct ersatz_device *device, const struct ersatz_op *op, int retries, struct ersatz_error *error)
{
    struct ersatz_request *request;
    enum ersatz_result result;

    CHECK_EQ(ersatz_request_new(device, op, true, &request), ERSATZ_OK);
    result = ersatz_submit_wait(request, retries);
    error->text[0] = '\0';
    CHECK_EQ(ersatz_request_blame(request, error), error->text[0] != '\0');
    if (result != ERSATZ_OK)
        ersatz_request_finish(request);
    else
        result = ersatz_request_finish(request);
    return result;
}

/* ------------------------------------------------------------------------------------------- failures */

/* Which of MANY operations fail, in order. */
static void list_failed(const char *text, uint64_t seed, bool failed[MANY])
{
    struct ersatz_device *device = open_with(text, seed, false);
    struct aes *aes = aes_new(1);
    long count = 0;

    for (int i = 0; i < MANY; i++) {
        struct ersatz_error error;
        enum ersatz_result result = run(device, &aes->op, -1, &error);
        char number[16];

        snprintf(number, sizeof(number), "#%d", i + 1);
        failed[i] = result != ERSATZ_OK;
        CHECK_EQ(failed[i], ersatz_fault_strikes(&faults, seed, (uint64_t)i + 1, ERSATZ_FAULT_FAIL) != NULL);
        if (failed[i]) {
            count++;
            CHECK_EQ(result, ERSATZ_DEVICE_ERROR);
            CHECK(ersatz_result_is_device_fault(result));
            CHECK(strstr(error.text, "injected") && strstr(error.text, "fail") && strstr(error.text, number));
        } else {
            CHECK_EQ(error.text[0], '\0');
            CHECK(aes_is_right(aes));
        }
    }
    CHECK_EQ(injected(ERSATZ_FAULT_FAIL), count);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_FAILED), count);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), MANY);
    aes_free(aes);
    ersatz_device_free(device);
}

static void test_the_same_every_time(void)
{
    bool first[MANY], again[MANY], other[MANY];
    int struck = 0;

    list_failed("fail=5%,late=10%:1us,reorder=10%,spurious=10%:1us", 7, first);
    list_failed("fail=5%,late=10%:1us,reorder=10%,spurious=10%:1us", 7, again);
    list_failed("fail=5%", 8, other);
    CHECK(memcmp(first, again, sizeof(first)) == 0);
    CHECK(memcmp(first, other, sizeof(first)) != 0);
    for (int i = 0; i < MANY; i++)
        struck += first[i];
    CHECK(struck > 0 && struck < MANY);
}

/* A piece of a GCM message fails: the state is as it was, and the calling core goes on with the message. */
static void test_message_goes_on(void)
{
    static const uint8_t key[16] = {1}, iv[12] = {2};
    struct ersatz_device *device = open_with("fail=#2", 1, false);
    uint8_t text[3][64] = {{0}}, right[sizeof(text)], tag[16], right_tag[16];
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    struct ersatz_error error;
    struct ersatz_stats own = {0};

    CHECK_EQ(ersatz_cipher_new(ERSATZ_GCM, 128, &op.u.cipher.cipher), ERSATZ_OK);
    for (int pass = 0; pass < 2; pass++) {
        CHECK_EQ(ersatz_cipher_set_key(op.u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
        for (int i = 0; i < 3; i++) {
            op.u.cipher.long_iv = i == 0 ? iv : NULL;
            op.u.cipher.iv_len = sizeof(iv);
            op.u.cipher.in = text[0];
            op.u.cipher.out = pass == 0 ? right + i * 64 : text[i];
            op.u.cipher.len = 64;
            op.u.cipher.tag = i == 2 ? (pass == 0 ? right_tag : tag) : NULL;
            op.u.cipher.tag_len = 16;
            memset(text[0], 0x61, 64);
            if (pass == 0 || run(device, &op, -1, &error) != ERSATZ_OK) {
                CHECK(pass == 0 || i == 1);
                CHECK_EQ(ersatz_compute(&op, &own), ERSATZ_OK);
            }
            if (i == 0)
                CHECK(memcmp(op.u.cipher.out, right, 64) == 0);
        }
    }
    CHECK_EQ(injected(ERSATZ_FAULT_FAIL), 1);
    CHECK(memcmp(text[1], right + 64, 128) == 0 && memcmp(tag, right_tag, 16) == 0);
    ersatz_cipher_free(op.u.cipher.cipher);
    ersatz_device_free(device);
}

/* -------------------------------------------------------------------------------------- wrong results */

static int bits_between(const uint8_t *a, const uint8_t *b, size_t len)
{
    int bits = 0;

    for (size_t i = 0; i < len; i++)
        bits += __builtin_popcount(a[i] ^ b[i]);
    return bits;
}

#define RSA_BYTES 256

/* The private operation gives the right result: the wrong one was found inside the card. Without CRT values
 * there is nothing to find it by. */
static void corrupt_rsa(RSA *rsa, bool crt, unsigned kernels)
{
    struct ersatz_rsa_numbers numbers = crt ? rsa_numbers(rsa) : rsa_numbers_without_primes(rsa);
    struct ersatz_device *device = open_with("corrupt=100%", 5, false);
    struct ersatz_rsa_key *key;
    uint8_t in[RSA_BYTES], out[RSA_BYTES], right[RSA_BYTES];
    struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE};
    struct ersatz_error error;

    CHECK_EQ(ersatz_rsa_key_new(&numbers, &key), ERSATZ_OK);
    ersatz_kernels_choose(kernels);
    op.u.rsa.key = key;
    op.u.rsa.in = in;
    op.u.rsa.out = out;
    for (int i = 0; i < 8; i++) {
        memset(in, i + 1, sizeof(in));
        in[0] = 0;
        CHECK_EQ(RSA_private_encrypt(RSA_BYTES, in, right, rsa, RSA_NO_PADDING), RSA_BYTES);
        CHECK_EQ(run(device, &op, -1, &error), ERSATZ_OK);
        CHECK_EQ(bits_between(out, right, RSA_BYTES), crt ? 0 : 1);
    }
    CHECK_EQ(injected(ERSATZ_FAULT_CORRUPT), 8);
    /* The public operation is not verified by anybody. */
    op.kind = ERSATZ_RSA_PUBLIC;
    op.u.rsa.in = right;
    CHECK_EQ(run(device, &op, -1, &error), ERSATZ_OK);
    CHECK_EQ(bits_between(out, in, RSA_BYTES), 1);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    ersatz_rsa_key_free(key);
    rsa_numbers_free(&numbers);
    ersatz_device_free(device);
}

/* One half is really wrong: what verification then computes the result from, the whole exponent, is wrong in
 * this key, and so is the result. */
static void half_is_wrong(RSA *rsa, unsigned kernels)
{
    struct ersatz_rsa_numbers numbers = rsa_numbers(rsa);
    struct ersatz_device *device = open_with("corrupt=#2,corrupt=#3", 5, false);
    struct ersatz_rsa_key *key;
    uint8_t in[RSA_BYTES] = {0, 1}, out[RSA_BYTES], right[RSA_BYTES];
    struct ersatz_op op = {.kind = ERSATZ_RSA_PRIVATE};
    struct ersatz_error error;

    ((uint8_t *)(uintptr_t)numbers.d.data)[numbers.d.len - 1] ^= 2;
    CHECK_EQ(RSA_private_encrypt(RSA_BYTES, in, right, rsa, RSA_NO_PADDING), RSA_BYTES);
    CHECK_EQ(ersatz_rsa_key_new(&numbers, &key), ERSATZ_OK);
    ersatz_kernels_choose(kernels);
    op.u.rsa.key = key;
    op.u.rsa.in = in;
    op.u.rsa.out = out;
    for (int i = 1; i <= 4; i++) {
        op.u.rsa.blinded = i == 3;
        CHECK_EQ(run(device, &op, -1, &error), ERSATZ_OK);
        CHECK_EQ(memcmp(out, right, RSA_BYTES) == 0, i == 1 || i == 4);
    }
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    ersatz_rsa_key_free(key);
    rsa_numbers_free(&numbers);
    ersatz_device_free(device);
}

static void test_corrupt_rsa(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *f4 = BN_new();

    CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(rsa, 8 * RSA_BYTES, f4, NULL));
    corrupt_rsa(rsa, true, 1u << ERSATZ_KERNEL_PORTABLE);
    corrupt_rsa(rsa, true, 1u << ERSATZ_KERNEL_IFMA); /* where it is available */
    corrupt_rsa(rsa, true, ERSATZ_KERNELS_ALL);
    corrupt_rsa(rsa, false, ERSATZ_KERNELS_ALL);
    half_is_wrong(rsa, 1u << ERSATZ_KERNEL_PORTABLE);
    half_is_wrong(rsa, 1u << ERSATZ_KERNEL_IFMA);
    BN_free(f4);
    RSA_free(rsa);
}

#define LEN 80

/* One message, there and back. Each way the card corrupts it, or not. */
static enum ersatz_result one_message(struct ersatz_device *device, enum ersatz_mode mode, bool encrypt,
    const uint8_t *in, uint8_t *out, uint8_t *tag)
{
    static const uint8_t key[32] = {1, 2, 3, [16] = 9}, nonce[12] = {7};
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    struct ersatz_error error;
    struct ersatz_stats own = {0};
    bool has_tag = mode == ERSATZ_GCM || mode == ERSATZ_CCM;
    enum ersatz_result result;

    CHECK_EQ(ersatz_cipher_new(mode, 128, &op.u.cipher.cipher), ERSATZ_OK);
    CHECK_EQ(
        ersatz_cipher_set_key(op.u.cipher.cipher, key, mode == ERSATZ_XTS ? 32 : 16, encrypt), ERSATZ_OK);
    op.u.cipher.in = in;
    op.u.cipher.out = out;
    op.u.cipher.len = LEN;
    if (has_tag) {
        op.u.cipher.long_iv = nonce;
        op.u.cipher.iv_len = sizeof(nonce);
        op.u.cipher.tag = tag;
        op.u.cipher.tag_len = 16;
    }
    result = device == NULL ? ersatz_compute(&op, &own) : run(device, &op, -1, &error);
    ersatz_cipher_free(op.u.cipher.cipher);
    return result;
}

static void corrupt_mode(enum ersatz_mode mode)
{
    struct ersatz_device *device = open_with("corrupt=100%", 5, false);
    uint8_t text[LEN], right[LEN], got[LEN], right_tag[16] = {0}, tag[16] = {0};
    int in_text = 0, in_tag = 0, refused = 0, unnoticed = 0;

    memset(text, 0x33, sizeof(text));
    CHECK_EQ(one_message(NULL, mode, true, text, right, right_tag), ERSATZ_OK);
    for (int i = 0; i < 20; i++) {
        enum ersatz_result result;

        CHECK_EQ(one_message(device, mode, true, text, got, tag), ERSATZ_OK);
        CHECK_EQ(bits_between(got, right, LEN) + bits_between(tag, right_tag, 16), 1);
        in_text += memcmp(got, right, LEN) != 0;
        in_tag += memcmp(tag, right_tag, 16) != 0;
        memcpy(tag, right_tag, 16);
        memset(got, 0x55, LEN);
        result = one_message(device, mode, false, right, got, tag);
        if (result == ERSATZ_OK) {
            CHECK_EQ(bits_between(got, text, LEN), 1);
            unnoticed++;
        } else {
            CHECK_EQ(result, ERSATZ_BAD_TAG);
            for (int at = 0; at < LEN; at++)
                CHECK(got[at] == 0 || got[at] == 0x55); /* cleansed, or not handed out */
            refused++;
        }
    }
    CHECK_EQ(injected(ERSATZ_FAULT_CORRUPT), 40);
    if (mode == ERSATZ_GCM)
        CHECK(in_text > 0 && in_tag > 0 && refused > 0 && unnoticed > 0);
    else if (mode == ERSATZ_CCM)
        CHECK(in_text > 0 && in_tag > 0 && refused == 20);
    else
        CHECK(in_text == 20 && unnoticed == 20);
    ersatz_device_free(device);
}

/* ------------------------------------------------------------------------------------------- reset, gone */

/* Refused at the door: nobody is told. */
static void refused(
    struct ersatz_device *device, bool by_callback, enum ersatz_result wanted, const char *blame)
{
    struct flight flight;
    struct ersatz_error error = {.text = ""};

    CHECK_EQ(take_off(device, &flight, by_callback), wanted);
    CHECK(ersatz_request_blame(flight.request, &error));
    CHECK(strstr(error.text, blame) != NULL);
    ersatz_request_finish(flight.request);
    CHECK_EQ(flight.callbacks, 0);
    if (flight.waker != NULL) {
        struct pollfd told = {.fd = ersatz_waker_fd(flight.waker), .events = POLLIN};

        CHECK_EQ(poll(&told, 1, 0), 0);
        ersatz_waker_free(flight.waker);
    }
    aes_free(flight.aes);
}

/* What is in flight fails when the fifth request ends the life of the card. */
static void test_down(const char *text, const char *name, enum ersatz_result wanted, bool external)
{
    struct ersatz_device *device = open_with(text, 1, external);
    struct flight flights[4];
    char blame[64], blame_other[64];

    ersatz_device_hold(device, ERSATZ_HOLD_COMPUTE);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(take_off(device, &flights[i], i % 2 == 1), ERSATZ_OK);
    CHECK(ersatz_device_is_running(device));
    snprintf(blame, sizeof(blame), "%s on request #5", name);
    snprintf(blame_other, sizeof(blame_other), "%s on request #5, this is request #6", name);
    refused(device, false, wanted, blame);
    CHECK(!ersatz_device_is_running(device));
    refused(device, true, wanted, blame_other);
    ersatz_device_hold(device, ERSATZ_HOLD_NONE);
    for (int i = 0; i < 4; i++)
        land(&flights[i], wanted, blame);
    CHECK_EQ(stats.faults[ERSATZ_FAULT_RESET] + stats.faults[ERSATZ_FAULT_GONE], 1);
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 0);
    CHECK(!ersatz_device_is_running(device));
    ersatz_device_free(device);
}

static void test_back(void)
{
    struct ersatz_device *device = open_with("reset=#2:1ms", 1, false);
    struct ersatz_error error;
    struct aes *aes = aes_new(1);

    CHECK_EQ(run(device, &aes->op, -1, &error), ERSATZ_OK);
    CHECK_EQ(run(device, &aes->op, -1, &error), ERSATZ_DEVICE_RESET);
    while (!ersatz_device_is_running(device))
        usleep(100);
    CHECK_EQ(run(device, &aes->op, -1, &error), ERSATZ_OK);
    CHECK(aes_is_right(aes));
    aes_free(aes);
    ersatz_device_free(device);
}

/* A reset that is over at once fails the request that brought it about, which may then be submitted again. */
static void test_short_reset(void)
{
    struct ersatz_device *device = open_with("reset=#1:1ns", 1, false);
    struct ersatz_error error;
    struct flight flight;

    CHECK_EQ(take_off(device, &flight, true), ERSATZ_DEVICE_RESET);
    CHECK(ersatz_request_blame(flight.request, &error));
    CHECK(strstr(error.text, "reset on request #1") != NULL);
    while (!ersatz_device_is_running(device))
        usleep(100);
    CHECK_EQ(ersatz_submit_callback(flight.request, called, &flight.callbacks), ERSATZ_OK);
    land(&flight, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_RESET), 1);
    ersatz_device_free(device);
}

/* ------------------------------------------------------------------------------------------ it hangs */

static void test_hang(bool by_callback, bool external)
{
    struct ersatz_device *device = open_with("hang=#1,reset=#3:1ms,hang=#5", 1, external);
    struct flight hung, other;

    CHECK_EQ(take_off(device, &hung, by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 1);
    CHECK_EQ(take_off(device, &other, by_callback), ERSATZ_OK);
    land(&other, ERSATZ_OK, NULL);
    CHECK(!ersatz_request_is_done(hung.request));
    CHECK_EQ(ersatz_device_in_flight(device, ERSATZ_FLIGHT_ALL), 1);
    refused(device, by_callback, ERSATZ_DEVICE_RESET, "reset on request #3");
    land(&hung, ERSATZ_DEVICE_RESET, "reset on request #3");
    while (!ersatz_device_is_running(device))
        usleep(100);
    CHECK_EQ(take_off(device, &other, by_callback), ERSATZ_OK);
    land(&other, ERSATZ_OK, NULL);
    CHECK_EQ(take_off(device, &hung, by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 2);
    ersatz_device_stop(device);
    land(&hung, ERSATZ_STOPPED, NULL);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED), 5 - 1);
    ersatz_device_free(device);
}

/* A driver gives it up after a while: it fails, and not before one that hangs longer. */
static void test_hang_for_a_while(bool by_callback, bool external)
{
    struct ersatz_device *device = open_with("hang=#1:3600s,hang=#2:20ms,hang=#3", 1, external);
    struct flight longer, given_up, for_ever;

    CHECK_EQ(take_off(device, &longer, by_callback), ERSATZ_OK);
    CHECK_EQ(take_off(device, &given_up, by_callback), ERSATZ_OK);
    CHECK_EQ(take_off(device, &for_ever, by_callback), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 3);
    land(&given_up, ERSATZ_DEVICE_ERROR, "hang on request #2");
    CHECK(!ersatz_request_is_done(longer.request) && !ersatz_request_is_done(for_ever.request));
    CHECK_EQ(injected(ERSATZ_FAULT_HANG), 3);
    CHECK_EQ(ersatz_stats_count(&stats, ERSATZ_COUNTER_FAILED), 1);
    ersatz_device_stop(device);
    land(&longer, ERSATZ_STOPPED, NULL);
    land(&for_ever, ERSATZ_STOPPED, NULL);
    ersatz_device_free(device);
}

/* One that hangs and whose waker has gone: its slot is taken, and its memory comes back with the device. */
static void test_hung_orphan(void)
{
    struct ersatz_device *device = open_with("hang=#1", 1, false);
    struct flight hung;

    CHECK_EQ(take_off(device, &hung, false), ERSATZ_OK);
    wait_for(ERSATZ_FAULT_HANG, 1);
    ersatz_waker_free(hung.waker);
    aes_free(hung.aes);
    CHECK_EQ(stats.orphans, 1);
    ersatz_device_keep_in_flight(device);
    CHECK_EQ(stats.in_flight[ERSATZ_FLIGHT_ALL], 1);
    CHECK_EQ(stats.in_flight[ERSATZ_FLIGHT_CIPHER], 1);
    ersatz_device_free(device);
    CHECK_EQ(stats.in_flight[ERSATZ_FLIGHT_ALL], 0);
}

/* ---------------------------------------------------------------------------------------- full rings */

static void test_full(void)
{
    struct ersatz_device *device =
        open_with("ring_full=#1,ring_full=#2,ring_full=#3,ring_full=#4:1ms", 1, false);
    struct ersatz_error error;
    struct aes *aes = aes_new(1);
    struct flight flight;
    enum ersatz_result result;
    int tries = 0;

    /* By callback: refused once, and no callback for it. */
    CHECK_EQ(take_off(device, &flight, true), ERSATZ_RING_FULL);
    CHECK(ersatz_request_blame(flight.request, &error));
    CHECK(strstr(error.text, "ring_full on request #1") != NULL);
    CHECK_EQ(ersatz_submit_callback(flight.request, called, &flight.callbacks), ERSATZ_OK);
    land(&flight, ERSATZ_OK, NULL);
    CHECK_EQ(stats.retries, 1);
    /* A thread that waits: by its retries. */
    CHECK_EQ(run(device, &aes->op, 0, &error), ERSATZ_RING_FULL);
    CHECK(strstr(error.text, "ring_full on request #2") != NULL);
    CHECK_EQ(run(device, &aes->op, 1, &error), ERSATZ_OK);
    CHECK_EQ(stats.retries, 3);
    /* For a while. */
    result = take_off(device, &flight, true);
    for (; result != ERSATZ_OK; tries++) {
        CHECK_EQ(result, ERSATZ_RING_FULL);
        result = ersatz_submit_callback(flight.request, called, &flight.callbacks);
    }
    CHECK(tries > 0);
    land(&flight, ERSATZ_OK, NULL);
    CHECK_EQ(injected(ERSATZ_FAULT_RING_FULL), 4);
    aes_free(aes);
    ersatz_device_free(device);
}

int main(void)
{
    test_begin(120);
    test_the_same_every_time();
    test_message_goes_on();
    test_corrupt_rsa();
    corrupt_mode(ERSATZ_CBC);
    corrupt_mode(ERSATZ_CTR);
    corrupt_mode(ERSATZ_XTS);
    corrupt_mode(ERSATZ_GCM);
    corrupt_mode(ERSATZ_CCM);
    for (int external = 0; external <= 1; external++) {
        test_down("reset=#5:3600s", "reset", ERSATZ_DEVICE_RESET, external);
        test_down("gone=#5", "gone", ERSATZ_DEVICE_GONE, external);
        test_hang(false, external);
        test_hang(true, external);
        test_hang_for_a_while(false, external);
        test_hang_for_a_while(true, external);
    }
    test_back();
    test_short_reset();
    test_hung_orphan();
    test_full();
    return 0;
}
