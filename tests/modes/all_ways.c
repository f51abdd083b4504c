/* SPDX-License-Identifier: Apache-2.0 */
/* The ways an operation can take. */
#include "all_ways.h"

void ways_set_thresholds(ENGINE *engine, unsigned bytes)
{
    static const char *const modes[] = {
        "CBC", "CTR", "GCM", "XTS", "ECB", "CFB", "OFB", "CCM", "CBC-HMAC-SHA1", "CBC-HMAC-SHA256"};
    char value[2048] = "";
    size_t used = 0;

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        for (unsigned bits = 128; bits <= 256; bits += 64) {
            if (bits == 192 && (strcmp(modes[i], "XTS") == 0 || strstr(modes[i], "HMAC") != NULL))
                continue;
            used += (size_t)snprintf(value + used, sizeof(value) - used, "%sAES-%u-%s:%u",
                used == 0 ? "" : ",", bits, modes[i], bytes);
        }
    }
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD", value);
}

ENGINE *ways_engine(const char *more)
{
    ENGINE *engine = engine_load(more);

    ways_set_thresholds(engine, 0);
    return engine;
}

void ways_set_default(ENGINE *engine, bool is_default)
{
    if (is_default)
        CHECK(ENGINE_set_default_ciphers(engine));
    else
        ENGINE_unregister_ciphers(engine);
}

struct call {
    int (*function)(void *);
    void *arg;
};

static int in_job(void *arg)
{
    const struct call *call = *(struct call **)arg;

    return call->function(call->arg);
}

bool way_run(enum way way, int (*function)(void *), void *arg)
{
    struct call call = {function, arg};
    struct job job;
    bool done;

    if (way == WAY_PLAIN)
        return function(arg);
    job_init(&job, way == WAY_FD ? BY_FD : BY_CALLBACK, in_job, &call);
    job_run(&job);
    done = job_finish(&job);
    job_free(&job);
    return done;
}

uint32_t number_below(struct numbers *numbers, uint32_t limit)
{
    /* xorshift64*: Marsaglia 2003, Vigna 2016 */
    numbers->state ^= numbers->state >> 12;
    numbers->state ^= numbers->state << 25;
    numbers->state ^= numbers->state >> 27;
    return (uint32_t)((numbers->state * UINT64_C(2685821657736338717)) >> 33) % limit;
}

void number_fill(struct numbers *numbers, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)out)[i] = (unsigned char)number_below(numbers, 256);
}
