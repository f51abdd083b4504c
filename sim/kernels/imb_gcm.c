/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM by the library. Its functions for it work on nothing but what they are given: no manager is needed
 * but for the table of functions. */
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "imb.h"
#include "imb_manager.h"

struct functions {
    aes_gcm_pre_t expand;
    aes_gcm_init_t init; /* with an IV of 12 bytes */
    aes_gcm_init_var_iv_t init_var_iv;
    aes_gcm_enc_dec_update_t encrypt, decrypt;
    aes_gcm_enc_dec_finalize_t finalize; /* for both directions */
};

struct imb_gcm {
    struct gcm_key_data key; /* aligned by its own declaration */
    struct gcm_context_data context;
    struct functions functions;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_MGR *table; /* constant once made; lives as long as the process */

static void make_table(void)
{
    table = imb_new_manager();
}

static struct functions functions_for(size_t key_len)
{
    switch (key_len) {
    case IMB_KEY_128_BYTES:
        return (struct functions){table->gcm128_pre, table->gcm128_init, table->gcm128_init_var_iv,
            table->gcm128_enc_update, table->gcm128_dec_update, table->gcm128_enc_finalize};
    case IMB_KEY_192_BYTES:
        return (struct functions){table->gcm192_pre, table->gcm192_init, table->gcm192_init_var_iv,
            table->gcm192_enc_update, table->gcm192_dec_update, table->gcm192_enc_finalize};
    default:
        return (struct functions){table->gcm256_pre, table->gcm256_init, table->gcm256_init_var_iv,
            table->gcm256_enc_update, table->gcm256_dec_update, table->gcm256_enc_finalize};
    }
}

static struct imb_gcm *allocate(void)
{
    const size_t alignment = _Alignof(struct imb_gcm);

    return aligned_alloc(alignment, (sizeof(struct imb_gcm) + alignment - 1) / alignment * alignment);
}

struct imb_gcm *imb_gcm_new(void)
{
    struct imb_gcm *gcm;

    pthread_once(&once, make_table);
    gcm = table != NULL ? allocate() : NULL;
    if (gcm != NULL)
        memset(gcm, 0, sizeof(*gcm));
    return gcm;
}

struct imb_gcm *imb_gcm_dup(const struct imb_gcm *gcm)
{
    struct imb_gcm *copy = allocate();

    if (copy != NULL)
        memcpy(copy, gcm, sizeof(*copy));
    return copy;
}

void imb_gcm_free(struct imb_gcm *gcm)
{
    if (gcm != NULL)
        OPENSSL_cleanse(gcm, sizeof(*gcm));
    free(gcm);
}

void imb_gcm_set_key(struct imb_gcm *gcm, const uint8_t *key, size_t key_len)
{
    gcm->functions = functions_for(key_len);
    gcm->functions.expand(key, &gcm->key);
    imb_clear_upper_halves();
}

void imb_gcm_begin(struct imb_gcm *gcm, const uint8_t *iv, size_t iv_len, const uint8_t *aad, size_t aad_len)
{
    if (iv_len == 12)
        gcm->functions.init(&gcm->key, &gcm->context, iv, aad, aad_len);
    else
        gcm->functions.init_var_iv(&gcm->key, &gcm->context, iv, iv_len, aad, aad_len);
    imb_clear_upper_halves();
}

void imb_gcm_text(struct imb_gcm *gcm, uint8_t *out, const uint8_t *in, size_t len, bool encrypt)
{
    if (encrypt)
        gcm->functions.encrypt(&gcm->key, &gcm->context, out, in, len);
    else
        gcm->functions.decrypt(&gcm->key, &gcm->context, out, in, len);
    imb_clear_upper_halves();
}

void imb_gcm_end(struct imb_gcm *gcm, uint8_t tag[16])
{
    gcm->functions.finalize(&gcm->key, &gcm->context, tag, IMB_BLOCK);
    imb_clear_upper_halves();
    OPENSSL_cleanse(&gcm->context, sizeof(gcm->context));
}
