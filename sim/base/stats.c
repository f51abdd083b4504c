/* SPDX-License-Identifier: Apache-2.0 */
/* See ersatz/stats.h and stats.h. */
#include "ersatz/stats.h"

#include "stats.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "ersatz/device.h"
#include "ersatz/faults.h"

/* ------------------------------------------------------------------------------------------------- shards */

_Thread_local unsigned stats_shard;
/* Which of the shards for one thread have one. What a thread counted before it gave its shard back is visible
 * to the next owner, who adds to it. */
static _Atomic uint64_t taken[BITS_WORDS(STATS_OWN)];
static _Atomic unsigned sharing; /* threads that share a shard, so far; relaxed: spreads them */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* whose destructor gives the shard back when the thread ends */
static bool has_key;

static void give_back(void *shard)
{
    stats_shard = 0;
    bits_remove(taken, (unsigned)(uintptr_t)shard - 1);
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, give_back) == 0;
}

static unsigned take_shard(void)
{
    unsigned shard = 0;

    pthread_once(&once, make_key);
    while (shard < STATS_OWN && (!has_key || !bits_add(taken, shard)))
        shard++;
    if (shard < STATS_OWN && pthread_setspecific(key, (void *)((uintptr_t)shard + 1)) != 0) {
        give_back((void *)((uintptr_t)shard + 1));
        shard = STATS_OWN;
    }
    if (shard == STATS_OWN)
        shard +=
            atomic_fetch_add_explicit(&sharing, 1, memory_order_relaxed) % (ERSATZ_STATS_SHARDS - STATS_OWN);
    stats_shard = shard + 1;
    return shard;
}

static unsigned own_shard(void)
{
    return stats_shard != 0 ? stats_shard - 1 : take_shard();
}

void stats_count_by_shard(struct ersatz_stats *stats, enum ersatz_kernel kernel)
{
    ersatz_count(&stats->shards[own_shard()].computed_inline[kernel], 1);
}

void stats_count_request(struct ersatz_stats *stats, enum ersatz_request_name name)
{
    ersatz_count(&stats->shards[own_shard()].requests[name], 1);
}

void stats_count(struct ersatz_stats *stats, enum ersatz_counter counter, uint64_t n)
{
    ersatz_count(&stats->shards[own_shard()].counters[counter], n);
}

void stats_count_by_kernel(struct ersatz_stats *stats, enum ersatz_kernel kernel, uint64_t n)
{
    ersatz_count(&stats->shards[own_shard()].by_kernel[kernel], n);
}

/* ------------------------------------------------------------------------------------------------ reading */

/* A counter, of which each shard has one, summed up. `first` is that of the first shard. */
static uint64_t sum_of_shards(const struct ersatz_stats *stats, const _Atomic uint64_t *first)
{
    ptrdiff_t place = (const char *)first - (const char *)&stats->shards[0];
    uint64_t sum = 0;

    for (unsigned shard = 0; shard < ERSATZ_STATS_SHARDS; shard++)
        sum += stats_read((const _Atomic uint64_t *)((const char *)&stats->shards[shard] + place));
    return sum;
}

uint64_t ersatz_stats_inline(const struct ersatz_stats *stats, enum ersatz_kernel kernel)
{
    return sum_of_shards(stats, &stats->shards[0].computed_inline[kernel]);
}

uint64_t ersatz_stats_requests(const struct ersatz_stats *stats, enum ersatz_request_name name)
{
    return sum_of_shards(stats, &stats->shards[0].requests[name]);
}

uint64_t ersatz_stats_count(const struct ersatz_stats *stats, enum ersatz_counter counter)
{
    return sum_of_shards(stats, &stats->shards[0].counters[counter]);
}

uint64_t ersatz_stats_by_kernel(const struct ersatz_stats *stats, enum ersatz_kernel kernel)
{
    return sum_of_shards(stats, &stats->shards[0].by_kernel[kernel]);
}

static const char *const kernel_names[ERSATZ_KERNELS] = {
    [ERSATZ_KERNEL_PORTABLE] = "portable",
    [ERSATZ_KERNEL_X86] = "x86",
    [ERSATZ_KERNEL_IPSEC_MB] = "ipsec-mb",
    [ERSATZ_KERNEL_IFMA] = "ifma",
};

const char *ersatz_kernel_name(enum ersatz_kernel kernel)
{
    return kernel_names[kernel];
}

static const char *const names[ERSATZ_REQUEST_NAMES] = {
    [ERSATZ_REQUEST_RSA_PRIV] = "rsa_priv",
    [ERSATZ_REQUEST_RSA_PUB] = "rsa_pub",
    [ERSATZ_REQUEST_AES_CBC] = "aes_cbc",
    [ERSATZ_REQUEST_AES_CTR] = "aes_ctr",
    [ERSATZ_REQUEST_AES_GCM] = "aes_gcm",
    [ERSATZ_REQUEST_AES_XTS] = "aes_xts",
    [ERSATZ_REQUEST_AES_ECB] = "aes_ecb",
    [ERSATZ_REQUEST_AES_CFB] = "aes_cfb",
    [ERSATZ_REQUEST_AES_OFB] = "aes_ofb",
    [ERSATZ_REQUEST_AES_CCM] = "aes_ccm",
    [ERSATZ_REQUEST_AES_CBC_HMAC_SHA1] = "aes_cbc_hmac_sha1",
    [ERSATZ_REQUEST_AES_CBC_HMAC_SHA256] = "aes_cbc_hmac_sha256",
};

const char *ersatz_request_name_text(enum ersatz_request_name name)
{
    return names[name];
}

static const char *const titles[ERSATZ_REQUEST_NAMES] = {
    [ERSATZ_REQUEST_RSA_PRIV] = "RSA private-key",
    [ERSATZ_REQUEST_RSA_PUB] = "RSA public-key",
    [ERSATZ_REQUEST_AES_CBC] = "AES-CBC",
    [ERSATZ_REQUEST_AES_CTR] = "AES-CTR",
    [ERSATZ_REQUEST_AES_GCM] = "AES-GCM",
    [ERSATZ_REQUEST_AES_XTS] = "AES-XTS",
    [ERSATZ_REQUEST_AES_ECB] = "AES-ECB",
    [ERSATZ_REQUEST_AES_CFB] = "AES-CFB",
    [ERSATZ_REQUEST_AES_OFB] = "AES-OFB",
    [ERSATZ_REQUEST_AES_CCM] = "AES-CCM",
    [ERSATZ_REQUEST_AES_CBC_HMAC_SHA1] = "AES-CBC-HMAC-SHA1",
    [ERSATZ_REQUEST_AES_CBC_HMAC_SHA256] = "AES-CBC-HMAC-SHA256",
};

const char *ersatz_request_name_title(enum ersatz_request_name name)
{
    return titles[name];
}

const char *ersatz_mode_name(enum ersatz_mode mode)
{
    return titles[ERSATZ_REQUEST_AES_CBC + (unsigned)mode] + strlen("AES-");
}

void stats_forget_workers(struct ersatz_stats *stats)
{
    atomic_store_explicit(&stats->workers_with_ring, 0, memory_order_relaxed);
    atomic_store_explicit(&stats->workers_without_ring, 0, memory_order_relaxed);
    atomic_store_explicit(&stats->rings_failed, 0, memory_order_relaxed);
}

void stats_name_profile(struct ersatz_stats *stats, const struct ersatz_profile *profile)
{
    uint64_t words[ERSATZ_STATS_NAME_WORDS] = {0};

    _Static_assert(sizeof(words) == sizeof(profile->name), "a name fits");
    if (profile != NULL)
        memcpy(words, profile->name, sizeof(words));
    for (unsigned i = 0; i < ERSATZ_STATS_NAME_WORDS; i++)
        atomic_store_explicit(&stats->profile_name[i], words[i], memory_order_relaxed);
}

void ersatz_stats_profile(const struct ersatz_stats *stats, char name[ERSATZ_STATS_NAME_WORDS * 8])
{
    uint64_t words[ERSATZ_STATS_NAME_WORDS];

    for (unsigned i = 0; i < ERSATZ_STATS_NAME_WORDS; i++)
        words[i] = stats_read(&stats->profile_name[i]);
    memcpy(name, words, sizeof(words));
    name[sizeof(words) - 1] = '\0';
}
