/* SPDX-License-Identifier: Apache-2.0 */
/* See fuzz.h and redirect.h. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_NO_REDIRECT
#include "redirect.h"

int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *functions);

static const char *environment_text;

uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

unsigned fuzz_number(struct fuzz_input *input, unsigned max)
{
    unsigned number = fuzz_byte(input);

    number = number << 8 | fuzz_byte(input);
    return number % (max + 1);
}

void fuzz_fill(struct fuzz_input *input, uint8_t *out, size_t len)
{
    uint32_t state = 0x9E3779B9u + fuzz_number(input, UINT16_MAX);

    for (size_t i = 0; i < len; i++) {
        state ^= state << 13; /* Marsaglia's xorshift32 */
        state ^= state >> 17;
        state ^= state << 5;
        out[i] = (uint8_t)(state >> 24);
    }
}

void fuzz_take(struct fuzz_input *input, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = fuzz_byte(input);
}

void fuzz_trace(const char *format, ...)
{
    static int wanted = -1;
    va_list arguments;

    if (wanted < 0)
        wanted = getenv("FUZZ_TRACE") != NULL;
    if (wanted == 0)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void fuzz_same(bool same, const char *what, const char *file, int line)
{
    if (same)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}

FILE *fuzz_fopen(const char *path, const char *mode)
{
    (void)path;
    return fopen("/dev/null", mode);
}

char *fuzz_getenv(const char *name)
{
    (void)name;
    return (char *)environment_text;
}

enum ersatz_result fuzz_device_open(
    const struct ersatz_config *config, struct ersatz_device **device, struct ersatz_error *error)
{
    struct ersatz_config small = *config;

    small.workers = config->workers > 2 ? 2 : config->workers;
    small.instances = config->instances > 2 ? 2 : config->instances;
    small.ring_depth = config->ring_depth > 64 ? 64 : config->ring_depth;
    return ersatz_device_open(&small, device, error);
}

ENGINE *fuzz_bind(const char *environment)
{
    dynamic_fns functions = {.static_state = ENGINE_get_static_state()};
    ENGINE *engine = ENGINE_new();

    environment_text = environment;
    if (engine != NULL && bind_engine(engine, "ersatz", &functions) == 1)
        return engine;
    ENGINE_free(engine);
    return NULL;
}

ENGINE *fuzz_engine(void)
{
    static const char everything_to_the_card[] =
        "WORKERS:1;INSTANCES:1;RING_DEPTH:16;SYNC_OFFLOAD:1;SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:"
        "AES-128-CBC:0,AES-192-CBC:0,AES-256-CBC:0,AES-128-CTR:0,AES-192-CTR:0,AES-256-CTR:0,"
        "AES-128-GCM:0,AES-192-GCM:0,AES-256-GCM:0,AES-128-XTS:0,AES-256-XTS:0,"
        "AES-128-ECB:0,AES-256-ECB:0,AES-128-CFB:0,AES-256-CFB:0,AES-128-OFB:0,AES-256-OFB:0";
    static ENGINE *engine;

    if (engine == NULL) {
        engine = fuzz_bind(everything_to_the_card);
        if (engine == NULL || !ENGINE_init(engine)) {
            ERR_print_errors_fp(stderr);
            exit(1);
        }
    }
    return engine;
}

void fuzz_choose_kernels(unsigned which)
{
    static const unsigned sets[] = {ERSATZ_KERNELS_ALL, 1u << ERSATZ_KERNEL_PORTABLE,
        ERSATZ_KERNELS_ALL & ~(1u << ERSATZ_KERNEL_PORTABLE)};

    ersatz_kernels_choose(sets[which % 3]);
}
