/* SPDX-License-Identifier: Apache-2.0 */
/* The card without OpenSSL's ENGINE: a key, a request, an eventfd to wait on. */
#include <ersatz/device.h>
#include <poll.h>

int main(void)
{
    static struct ersatz_stats stats;
    static const uint8_t key[16] = {1}, text[4096];
    static uint8_t out[4096];
    struct ersatz_op op = {.kind = ERSATZ_CIPHER, .u.cipher = {.in = text, .out = out, .len = sizeof(text)}};
    struct ersatz_config config;
    struct ersatz_device *device;
    struct ersatz_error error;
    struct ersatz_waker *waker;
    struct ersatz_request *request;

    ersatz_config_init(&config, &stats);
    if (ersatz_device_open(&config, &device, &error) != ERSATZ_OK)
        return fprintf(stderr, "%s\n", error.text), 1;
    if (ersatz_cipher_new(ERSATZ_CBC, 128, &op.u.cipher.cipher) != ERSATZ_OK ||
        ersatz_cipher_set_key(op.u.cipher.cipher, key, sizeof(key), true) != ERSATZ_OK ||
        ersatz_waker_new(&stats, &waker) != ERSATZ_OK ||
        ersatz_request_new(device, &op, true, &request) != ERSATZ_OK ||
        ersatz_submit_fd(request, waker) != ERSATZ_OK)
        return 2;
    while (!ersatz_request_is_done(request))
        poll(&(struct pollfd){.fd = ersatz_waker_fd(waker), .events = POLLIN}, 1, -1);
    if (ersatz_request_finish(request) != ERSATZ_OK || out[0] == 0)
        return 3;
    ersatz_waker_free(waker);
    ersatz_cipher_free(op.u.cipher.cipher);
    ersatz_device_free(device);
    return ersatz_stats_count(&stats, ERSATZ_COUNTER_COMPLETED) == 1 &&
                   ersatz_stats_count(&stats, ERSATZ_COUNTER_WAKEUPS) == 1
               ? 0
               : 4;
}
