/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card computes no digests. But EVP_DigestSignInit(3) with an explicit engine, which
 * `openssl dgst -engine_impl -sign` calls, asks that engine for the digest, too, and fails if there is none.
 * So the engine answers a direct question with a copy of libcrypto's own digest. It lists none, so that it
 * never becomes the default for digests. It must be a copy: if a context gets the same EVP_MD again, with an
 * engine, libcrypto takes the context for initialised.
 */
#include "digests.h"

#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/objects.h>
#include <openssl/ripemd.h>
#include <openssl/sha.h>

/* libcrypto's legacy digests do not say how large their working memory is: as large as their public
 * contexts. */
static const struct {
    int nid;
    int size;
} known[] = {
    {NID_md5, sizeof(MD5_CTX)},
    {NID_sha1, sizeof(SHA_CTX)},
    {NID_ripemd160, sizeof(RIPEMD160_CTX)},
    {NID_sha224, sizeof(SHA256_CTX)},
    {NID_sha256, sizeof(SHA256_CTX)},
    {NID_sha384, sizeof(SHA512_CTX)},
    {NID_sha512, sizeof(SHA512_CTX)},
    {NID_sha512_224, sizeof(SHA512_CTX)},
    {NID_sha512_256, sizeof(SHA512_CTX)},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

/* Made by the first bind and freed after the last one. ENGINE's lock orders both with every use. */
static EVP_MD *digests[KNOWN];

int digest_list_create(void)
{
    for (unsigned i = 0; i < KNOWN; i++) {
        const EVP_MD *original = EVP_get_digestbynid(known[i].nid);

        if (original == NULL || digests[i] != NULL)
            continue; /* this libcrypto was built without it */
        digests[i] = EVP_MD_meth_dup(original);
        if (digests[i] == NULL || !EVP_MD_meth_set_app_datasize(digests[i], known[i].size)) {
            digest_list_destroy();
            return 0;
        }
    }
    return 1;
}

void digest_list_destroy(void)
{
    for (unsigned i = 0; i < KNOWN; i++) {
        EVP_MD_meth_free(digests[i]);
        digests[i] = NULL;
    }
}

int digest_list(ENGINE *engine, const EVP_MD **digest, const int **nids, int nid)
{
    static const int none[] = {0};

    (void)engine;
    if (digest == NULL) {
        *nids = none;
        return 0;
    }
    *digest = NULL;
    for (unsigned i = 0; i < KNOWN; i++) {
        if (known[i].nid == nid)
            *digest = digests[i];
    }
    return *digest != NULL;
}
