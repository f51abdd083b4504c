/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto's generator of random numbers, where every AES is preferred from the card. early, late: many jobs
 * take numbers from one that is made after the provider was loaded, or before; none fails, repeats or pauses
 * in there. chosen: a configuration chooses its kind.
 */
#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "ersatz/control.h"
#include "provider.h"

#define JOBS 32
#define SIZES 8
#define SEEN_MAX 400000
#define TEXT 4096

static const int sizes[SIZES] = {1, 16, 48, 255, 4096, 16384, 65535, 65536};

struct block {
    unsigned char bytes[16];
};

static struct block seen[SEEN_MAX];
static size_t seen_count;

static void keep(const unsigned char *bytes, int len)
{
    for (int at = 0; at + 16 <= len && seen_count < SEEN_MAX; at += 16)
        memcpy(seen[seen_count++].bytes, bytes + at, 16);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct block));
}

/* Numbers of every size, and new seeds, with a text between them that pauses. */
static int take_numbers(void *arg)
{
    static const unsigned char key[32] = {1}, iv[16] = {2};
    unsigned char *buffer = malloc(65536), *text = malloc(TEXT);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, ok = EVP_EncryptInit_ex(ctx, EVP_aes_256_ctr(), NULL, key, iv);

    (void)arg;
    memset(text, 7, TEXT);
    for (int i = 0; ok && i < SIZES; i++) {
        ok = RAND_bytes(buffer, sizes[i]) == 1;
        keep(buffer, sizes[i]);
        ok = ok && RAND_priv_bytes(buffer, sizes[i]) == 1;
        keep(buffer, sizes[i]);
        ok = ok && EVP_EncryptUpdate(ctx, text, &len, text, TEXT) && RAND_poll() == 1;
    }
    EVP_CIPHER_CTX_free(ctx);
    free(buffer);
    free(text);
    return ok;
}

static void *run_jobs(void *arg)
{
    ASYNC_WAIT_CTX *waiting[JOBS];
    ASYNC_JOB *jobs[JOBS] = {NULL};
    bool done[JOBS] = {false};
    int result;

    for (int running = JOBS, i = 0; running > 0; i = (i + 1) % JOBS) {
        if (done[i])
            continue;
        if (jobs[i] == NULL)
            waiting[i] = ASYNC_WAIT_CTX_new();
        switch (ASYNC_start_job(&jobs[i], waiting[i], &result, take_numbers, NULL, 0)) {
        case ASYNC_PAUSE:
            break;
        case ASYNC_FINISH:
            CHECK_EQ(result, 1);
            ASYNC_WAIT_CTX_free(waiting[i]);
            done[i] = true;
            running--;
            break;
        default:
            FAIL("no job");
        }
    }
    return arg;
}

static void numbers(bool is_late)
{
    OSSL_PROVIDER *ours;
    unsigned char byte;
    pthread_t thread;

    if (is_late) /* it has libcrypto's AES; a thread's own generator is made later */
        CHECK_EQ(RAND_bytes(&byte, 1), 1);
    ours = provider_load();
    CHECK_EQ(EVP_set_default_properties(NULL, "?provider=ersatz"), 1);
    CHECK_EQ(ersatz_control(ours,
                 "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:AES-256-CTR:0,AES-128-ECB:0,AES-192-ECB:0,"
                 "AES-256-ECB:0",
                 NULL, NULL),
        1);
    CHECK_EQ(pthread_create(&thread, NULL, run_jobs, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);

    CHECK_EQ(provider_count(ours, "aes_ctr"), JOBS * SIZES); /* the texts */
    CHECK_EQ(provider_count(ours, "aes_ecb"), 0);
    qsort(seen, seen_count, sizeof(*seen), compare);
    CHECK(seen_count > 100000);
    for (size_t i = 1; i < seen_count; i++)
        CHECK(memcmp(&seen[i - 1], &seen[i], sizeof(*seen)) != 0);
    provider_unload();
}

/* The generator's kind where a configuration chooses HASH-DRBG, before or after its line `providers`. */
static void choose(bool before, const char *expected)
{
    static const char format[] = "[init]\n%sproviders = providers\n%s"
                                 "[random]\nrandom = HASH-DRBG\ndigest = SHA256\n"
                                 "[providers]\nersatz = card\ndefault = standard\n"
                                 "[card]\nmodule = $MODULE\nactivate = 1\n"
                                 "[standard]\nactivate = 1\n";
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    char lines[512];
    EVP_RAND_CTX *generator;

    snprintf(
        lines, sizeof(lines), format, before ? "random = random\n" : "", before ? "" : "random = random\n");
    CHECK_EQ(provider_configure(context, lines), 1);
    CHECK_EQ(OSSL_PROVIDER_available(context, "ersatz"), 1);
    generator = RAND_get0_primary(context);
    CHECK(generator != NULL);
    CHECK_EQ(strcmp(EVP_RAND_get0_name(EVP_RAND_CTX_get0_rand(generator)), expected), 0);
    OSSL_LIB_CTX_free(context);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    test_begin(100);
    if (strcmp(argv[1], "chosen") != 0) {
        numbers(strcmp(argv[1], "late") == 0);
        return 0;
    }
    choose(false, "HASH-DRBG");
    choose(true, OpenSSL_version_num() < 0x30500000 ? "CTR-DRBG" : "HASH-DRBG");
    return 0;
}
