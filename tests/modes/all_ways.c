/* SPDX-License-Identifier: Apache-2.0 */
/* The ways an operation can take. */
#include "all_ways.h"

ENGINE *ways_engine(const char *more)
{
    ENGINE *engine;

    engine = engine_load(more);
    engine_command(engine, "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD",
        "AES-128-CBC:0,AES-192-CBC:0,AES-256-CBC:0,AES-128-CTR:0,AES-192-CTR:0,AES-256-CTR:0,AES-128-GCM:0,"
        "AES-192-GCM:0,AES-256-GCM:0,AES-128-XTS:0,AES-256-XTS:0,AES-128-ECB:0,AES-192-ECB:0,AES-256-ECB:0,"
        "AES-128-CFB:0,AES-192-CFB:0,AES-256-CFB:0,AES-128-OFB:0,AES-192-OFB:0,AES-256-OFB:0,AES-128-CCM:0,"
        "AES-192-CCM:0,AES-256-CCM:0,AES-128-CBC-HMAC-SHA1:0,AES-256-CBC-HMAC-SHA1:0,"
        "AES-128-CBC-HMAC-SHA256:0,AES-256-CBC-HMAC-SHA256:0");
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
