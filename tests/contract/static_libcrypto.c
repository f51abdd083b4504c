/* SPDX-License-Identifier: Apache-2.0 */
/* A program that libcrypto is linked into statically, and whose configuration names the engine: the module is
 * loaded, sees that the program has another libcrypto than its own, and refuses in words. The program goes on
 * without it. */
#include <openssl/conf.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "check.h"

/* Load a configuration as openssl.cnf(5) describes it, with standard error going to `said`. */
static int configure(const char *module, char *said, size_t size)
{
    char text[1024];
    CONF *conf = NCONF_new(NULL);
    BIO *bio = BIO_new(BIO_s_mem());
    FILE *file = tmpfile();
    int error = dup(STDERR_FILENO), done;

    CHECK(conf != NULL && bio != NULL && file != NULL && error >= 0);
    snprintf(text, sizeof(text),
        "openssl_conf = start\n[start]\nengines = engines\n[engines]\nersatz = ersatz\n[ersatz]\n"
        "engine_id = ersatz\ndynamic_path = %s\ndefault_algorithms = ALL\ninit = 1\n",
        module);
    CHECK(BIO_puts(bio, text) > 0 && NCONF_load_bio(conf, bio, NULL) == 1);
    CHECK(dup2(fileno(file), STDERR_FILENO) >= 0);
    done = CONF_modules_load(conf, NULL, 0);
    CHECK(dup2(error, STDERR_FILENO) >= 0);
    rewind(file);
    said[fread(said, 1, size - 1, file)] = '\0';
    fclose(file);
    close(error);
    BIO_free(bio);
    NCONF_free(conf);
    return done;
}

int main(void)
{
    const char *module = getenv("ERSATZ_MODULE");
    char said[4096];
    EVP_PKEY *key;

    test_begin(60);
    CHECK(module != NULL);
    OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_ALL_BUILTIN | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    CHECK(configure(module, said, sizeof(said)) <= 0);
    fputs(said, stderr);
    CHECK(strstr(said, "libcrypto of its own") != NULL);
    CHECK(ERR_peek_error() != 0);
    ERR_print_errors_fp(stderr);
    CHECK(ENGINE_get_default_RSA() == NULL);
    key = EVP_RSA_gen(1024);
    CHECK(key != NULL);
    EVP_PKEY_free(key);
    return 0;
}
