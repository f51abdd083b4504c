/* SPDX-License-Identifier: Apache-2.0 */
/* Signs with a key, closes all descriptors as daemons do, forks, and signs in parent and child; the child
 * does the same once more. One signature on each of three cards. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sys/wait.h>

#include "check.h"

static void sign(EVP_PKEY *key)
{
    unsigned char signature[256];
    size_t size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    CHECK(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1);
    CHECK(EVP_DigestSign(context, signature, &size, (const unsigned char *)"text", 4) == 1);
    EVP_MD_CTX_free(context);
}

int main(void)
{
    EVP_PKEY *key;

    test_begin(60);
    key = EVP_RSA_gen(2048);
    CHECK(key != NULL);
    for (int generation = 0; generation < 3; generation++) {
        pid_t pid;
        int status;

        for (int fd = 3; fd < 1024; fd++)
            close(fd); /* before the card starts: what it opens later is its own */
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            continue;
        if (generation > 0)
            sign(key);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        return 0;
    }
    sign(key);
    return 0;
}
