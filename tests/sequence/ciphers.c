/* SPDX-License-Identifier: Apache-2.0 */
/* The ciphers of sequences, and whose they are. */
#include <openssl/objects.h>
#include <openssl/rand.h>

#include "check.h"
#include "inside.h"

const int nids[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_aes_128_ctr, NID_aes_192_ctr,
    NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm, NID_aes_128_xts, NID_aes_256_xts,
    NID_aes_128_ecb, NID_aes_192_ecb, NID_aes_256_ecb, NID_aes_128_cfb128, NID_aes_192_cfb128,
    NID_aes_256_cfb128, NID_aes_128_ofb128, NID_aes_192_ofb128, NID_aes_256_ofb128, NID_aes_128_ccm,
    NID_aes_192_ccm, NID_aes_256_ccm, NID_aes_128_cbc_hmac_sha1, NID_aes_256_cbc_hmac_sha1,
    NID_aes_128_cbc_hmac_sha256, NID_aes_256_cbc_hmac_sha256};

struct implementation implementations[ACTORS][SEQUENCE_CIPHERS];
uint64_t random_state;

#ifndef OPENSSL_NO_ENGINE
static int older_ciphers(ENGINE *engine, const EVP_CIPHER **found, const int **list, int nid)
{
    (void)engine;
    if (found == NULL) {
        *list = nids;
        return SEQUENCE_CIPHERS;
    }
    *found = EVP_get_cipherbynid(nid);
    return *found != NULL;
}

static ENGINE *older_engine(void)
{
    ENGINE *older = ENGINE_new();

    CHECK(older != NULL && ENGINE_set_id(older, "older") && ENGINE_set_ciphers(older, older_ciphers));
    return older;
}

static void free_older(ENGINE *older)
{
    ENGINE_free(older);
}

static bool has_cipher(ENGINE *engine, int nid)
{
    return ENGINE_get_cipher(engine, nid) != NULL;
}
#else
static ENGINE *older_engine(void)
{
    return NULL;
}

static bool has_cipher(ENGINE *engine, int nid)
{
    (void)nid;
    return engine != NULL;
}

static void free_older(ENGINE *none)
{
    (void)none;
}
#endif

/* The same bytes for all that are asked to make one call. */
static int repeated_bytes(unsigned char *out, int len)
{
    uint64_t state = random_state;

    for (int i = 0; i < len; i++)
        out[i] = (unsigned char)(random_of(&state) >> 56);
    return 1;
}

static int random_is_there(void)
{
    return 1;
}

void sequence_begin(struct sequence_setting *of)
{
    static RAND_METHOD repeated = {
        .bytes = repeated_bytes, .pseudorand = repeated_bytes, .status = random_is_there};

    of->older = of->engine == NULL ? NULL : older_engine();
    for (unsigned i = 0; i < SEQUENCE_CIPHERS; i++) {
        EVP_CIPHER *standard = EVP_CIPHER_fetch(NULL, OBJ_nid2sn(nids[i]), "provider=default");

        implementations[CARD][i] = (struct implementation){.cipher = cipher_of(i), .engine = of->engine};
        if (of->engine == NULL && !of->by_default)
            implementations[CARD][i].cipher =
                EVP_CIPHER_fetch(of->context, OBJ_nid2sn(nids[i]), "provider=ersatz");
        implementations[OLDER][i] = (struct implementation){.cipher = cipher_of(i), .engine = of->older};
        implementations[PROVIDER][i].cipher = standard;
        if (of->by_default)
            implementations[CARD][i] =
                (struct implementation){.cipher = of->engine == NULL ? cipher_of(i) : standard};
    }
    CHECK(RAND_set_rand_method(&repeated));
}

void sequence_end(struct sequence_setting *of)
{
    CHECK(RAND_set_rand_method(NULL));
    for (unsigned i = 0; i < SEQUENCE_CIPHERS; i++) {
        EVP_CIPHER_free((EVP_CIPHER *)implementations[PROVIDER][i].cipher);
        if (of->engine == NULL && !of->by_default)
            EVP_CIPHER_free((EVP_CIPHER *)implementations[CARD][i].cipher);
    }
    free_older(of->older);
}

const char *sequence_cipher_name(const struct sequence_setting *of, unsigned cipher)
{
    bool has = of->engine != NULL ? has_cipher(of->engine, nids[cipher])
                                  : implementations[CARD][cipher].cipher != NULL;

    return has ? OBJ_nid2sn(nids[cipher]) : NULL;
}
