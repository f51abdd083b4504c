/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the device made to fail in turn: "out of memory", nothing left behind, and the next try
 * works. */
#include <errno.h>
#include <poll.h>

#include "card.h"
#include "ersatz/profile.h"

/* The linker sends the device's calls here (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long countdown; /* the call that fails; 0: none */
static bool modelled;  /* the card has a profile */

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

struct card {
    struct ersatz_stats stats;
    struct ersatz_device *device;
    struct ersatz_cipher *cipher;
    struct ersatz_waker *waker;
    struct ersatz_request *request;
};

static enum ersatz_result set_up(struct card *card)
{
    static const struct ersatz_profile profile = {.name = "test", .latency_ns = 1000000, .units = 2};
    static const uint8_t key[16] = {1};
    struct ersatz_config config;
    struct ersatz_error error;
    enum ersatz_result result;

    ersatz_config_init(&config, &card->stats);
    config.profile = modelled ? &profile : NULL;
    result = ersatz_device_open(&config, &card->device, &error);
    if (result == ERSATZ_OK)
        result = ersatz_cipher_new(ERSATZ_CBC, 128, &card->cipher);
    if (result == ERSATZ_OK)
        result = ersatz_cipher_set_key(card->cipher, key, sizeof(key), true);
    if (result == ERSATZ_OK)
        result = ersatz_waker_new(&card->stats, &card->waker);
    return result;
}

static enum ersatz_result operate(struct card *card)
{
    static uint8_t text[TEXT];
    struct ersatz_op op = {.kind = ERSATZ_CIPHER};
    enum ersatz_result result;

    op.u.cipher.cipher = card->cipher;
    op.u.cipher.in = op.u.cipher.out = text;
    op.u.cipher.len = TEXT;
    result = ersatz_request_new(card->device, &op, true, &card->request);
    if (result != ERSATZ_OK)
        return result;
    CHECK_EQ(ersatz_submit_fd(card->request, card->waker), ERSATZ_OK);
    while (!ersatz_request_is_done(card->request))
        poll(&(struct pollfd){.fd = ersatz_waker_fd(card->waker), .events = POLLIN}, 1, -1);
    return ersatz_request_finish(card->request);
}

/* *reached: that call was made, and failed. */
static enum ersatz_result run(long failing, bool *reached)
{
    struct card card = {.device = NULL};
    enum ersatz_result result;

    countdown = failing;
    result = set_up(&card);
    if (result == ERSATZ_OK) {
        result = operate(&card);
        if (result != ERSATZ_OK) /* only that operation failed: the next one works */
            CHECK_EQ(operate(&card), ERSATZ_OK);
    }
    *reached = countdown == 0;
    countdown = 0;
    if (card.waker != NULL)
        ersatz_waker_free(card.waker);
    ersatz_cipher_free(card.cipher);
    ersatz_device_free(card.device);
    return result;
}

/* With portable kernels every allocation is needed; what others need, libcrypto can do without. */
static long fail_each(bool portable)
{
    long failures = 0;
    bool reached = true;

    ersatz_kernels_choose(portable ? 1u << ERSATZ_KERNEL_PORTABLE : ERSATZ_KERNELS_ALL);
    CHECK_EQ(run(0, &reached), ERSATZ_OK); /* what is made once for the process is made here */
    for (long call = 1; reached; call++) {
        enum ersatz_result result = run(call, &reached);

        if (!reached || !portable || modelled)
            CHECK(result == ERSATZ_OK || (reached && result == ERSATZ_NO_MEMORY));
        else
            CHECK_EQ(result, ERSATZ_NO_MEMORY);
        failures += result != ERSATZ_OK;
    }
    return failures;
}

int main(void)
{
    long portable, all;

    test_begin(60);
    portable = fail_each(true);
    CHECK(portable >= 7); /* device, instances, workers, a ring, state, waker, pool, buffer */
    all = fail_each(false);
    CHECK_EQ(all, portable);
    /* The timing, its units, the timers. Where these have no room, the answer comes at once. */
    modelled = true;
    CHECK_EQ(fail_each(true), portable + 3);
    return 0;
}
