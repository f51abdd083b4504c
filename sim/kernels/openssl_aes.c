/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the default provider's AES functions, once for the process. */
#include "openssl_aes.h"

#include <openssl/core_names.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ersatz/undisturbed.h"
#include "openssl_context.h"

#define KEY_SIZES 3u

/* Constant once filled; if that failed, out of memory for example, it is tried again. The library context is
 * the device's own, so that nothing that the application loads or configures in its context has an effect
 * here. It stays until the process ends: cipher states may outlive any device. */
static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER;
static _Atomic bool filled; /* release when the table is filled, acquire before it is read */
static struct libcrypto_cipher table[ERSATZ_MODES][KEY_SIZES];
static bool found[ERSATZ_MODES][KEY_SIZES];

/* If another thread was filling the table at a fork, the child fills it anew. */
__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&lock);
}

static void fill(struct libcrypto_cipher *cipher, const OSSL_DISPATCH *entry)
{
    for (; entry->function_id != 0; entry++) {
        switch (entry->function_id) {
        case OSSL_FUNC_CIPHER_NEWCTX:
            cipher->newctx = OSSL_FUNC_cipher_newctx(entry);
            break;
        case OSSL_FUNC_CIPHER_FREECTX:
            cipher->freectx = OSSL_FUNC_cipher_freectx(entry);
            break;
        case OSSL_FUNC_CIPHER_DUPCTX:
            cipher->dupctx = OSSL_FUNC_cipher_dupctx(entry);
            break;
        case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
            cipher->encrypt_init = OSSL_FUNC_cipher_encrypt_init(entry);
            break;
        case OSSL_FUNC_CIPHER_DECRYPT_INIT:
            cipher->decrypt_init = OSSL_FUNC_cipher_decrypt_init(entry);
            break;
        case OSSL_FUNC_CIPHER_UPDATE:
            cipher->update = OSSL_FUNC_cipher_update(entry);
            break;
        case OSSL_FUNC_CIPHER_CIPHER:
            cipher->cipher = OSSL_FUNC_cipher_cipher(entry);
            break;
        case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
            cipher->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(entry);
            break;
        case OSSL_FUNC_CIPHER_SET_CTX_PARAMS:
            cipher->set_ctx_params = OSSL_FUNC_cipher_set_ctx_params(entry);
            break;
        }
    }
}

static bool is_whole(const struct libcrypto_cipher *cipher)
{
    return cipher->newctx != NULL && cipher->freectx != NULL && cipher->encrypt_init != NULL &&
           cipher->decrypt_init != NULL && cipher->update != NULL && cipher->cipher != NULL &&
           cipher->get_ctx_params != NULL && cipher->set_ctx_params != NULL;
}

/* An algorithm's names stand in one string, separated by colons; the canonical one comes first. */
static bool is_named(const OSSL_ALGORITHM *algorithm, const char *name)
{
    size_t len = strlen(name);

    return strncmp(algorithm->algorithm_names, name, len) == 0 &&
           (algorithm->algorithm_names[len] == ':' || algorithm->algorithm_names[len] == '\0');
}

static void fill_table(const OSSL_ALGORITHM *algorithms, void *provider_context)
{
    for (; algorithms->algorithm_names != NULL; algorithms++) {
        for (unsigned mode = 0; mode < ERSATZ_MODES; mode++) {
            for (unsigned size = 0; size < KEY_SIZES; size++) {
                char name[32];

                snprintf(name, sizeof(name), "AES-%u-%s", 128 + 64 * size, ersatz_mode_name(mode));
                if (found[mode][size] || !is_named(algorithms, name))
                    continue;
                fill(&table[mode][size], algorithms->implementation);
                table[mode][size].provider_context = provider_context;
                found[mode][size] = is_whole(&table[mode][size]);
            }
        }
    }
}

/* Under the lock. */
static void find_all(void)
{
    OSSL_PROVIDER *provider = library_context_provider();
    const OSSL_ALGORITHM *algorithms;
    int no_cache = 0;

    if (provider == NULL)
        return;
    algorithms = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &no_cache);
    if (algorithms == NULL)
        return;
    fill_table(algorithms, OSSL_PROVIDER_get0_provider_ctx(provider));
    /* The dispatch tables are constant; the query is given back, the provider stays loaded. */
    OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_CIPHER, algorithms);
    atomic_store_explicit(&filled, true, memory_order_release);
}

static bool is_filled(void)
{
    struct ersatz_locked locked;

    if (atomic_load_explicit(&filled, memory_order_acquire))
        return true;
    ersatz_lock(&lock, &locked);
    if (!atomic_load_explicit(&filled, memory_order_relaxed))
        find_all();
    ersatz_unlock(&locked);
    return atomic_load_explicit(&filled, memory_order_acquire);
}

const struct libcrypto_cipher *libcrypto_cipher_find(enum ersatz_mode mode, unsigned key_bits)
{
    unsigned size = (key_bits - 128) / 64;

    if (!is_filled() || mode >= ERSATZ_MODES || key_bits < 128 || key_bits % 64 != 0 || size >= KEY_SIZES ||
        !found[mode][size])
        return NULL;
    return &table[mode][size];
}
