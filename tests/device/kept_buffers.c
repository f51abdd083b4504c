/* SPDX-License-Identifier: Apache-2.0 */
/* What the card keeps of the memory for copies: buffers in use are used again at once, however many there
 * are; of idle ones no more than a limit stays. */
#include "card.h"

#define COUNT 600u
#define LENGTH 16384u
#define BUFFER 16448u           /* for the text and one byte, in cache lines */
#define KEPT (8u * 1024 * 1024) /* by each of two instances: half of 16 MiB */

/* The linker sends the device's calls here (--wrap). */
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static unsigned allocations; /* of buffers */

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    allocations += size == BUFFER;
    return __real_aligned_alloc(alignment, size);
}

static struct ersatz_stats stats;
static struct ersatz_device *device;
static uint8_t text[LENGTH];
static struct ersatz_op ops[COUNT];
static struct ersatz_request *requests[COUNT];

static void make(unsigned i)
{
    CHECK_EQ(ersatz_request_new(device, &ops[i], true, &requests[i]), ERSATZ_OK);
}

/* Makes them all. Returns how many buffers had to be allocated. */
static unsigned make_all(void)
{
    allocations = 0;
    for (unsigned i = 0; i < COUNT; i++)
        make(i);
    return allocations;
}

/* They were never submitted. */
static void finish_all(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        ersatz_request_finish(requests[i]);
}

static void prepare(void)
{
    static const uint8_t key[16] = {7};
    struct ersatz_config config;
    struct ersatz_error error;

    ersatz_config_init(&config, &stats);
    config.instances = 2;
    CHECK_EQ(ersatz_device_open(&config, &device, &error), ERSATZ_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        ops[i].kind = ERSATZ_CIPHER;
        CHECK_EQ(ersatz_cipher_new(ERSATZ_CBC, 128, &ops[i].u.cipher.cipher), ERSATZ_OK);
        CHECK_EQ(ersatz_cipher_set_key(ops[i].u.cipher.cipher, key, sizeof(key), true), ERSATZ_OK);
        ops[i].u.cipher.in = ops[i].u.cipher.out = text;
        ops[i].u.cipher.len = LENGTH;
    }
}

int main(void)
{
    prepare();
    CHECK_EQ(make_all(), COUNT);
    allocations = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        ersatz_request_finish(requests[i]);
        make(i);
    }
    CHECK_EQ(allocations, 0);
    finish_all();
    for (unsigned again = 0; again < 2; again++) {
        CHECK_EQ(make_all(), COUNT - KEPT / BUFFER);
        finish_all();
    }
    for (unsigned i = 0; i < COUNT; i++)
        ersatz_cipher_free(ops[i].u.cipher.cipher);
    ersatz_device_free(device);
    return 0;
}
