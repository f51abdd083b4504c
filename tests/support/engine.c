/* SPDX-License-Identifier: Apache-2.0 */
/* The engine under test. */
#include "support/engine.h"

#include <openssl/bn.h>
#include <openssl/err.h>

#include "check.h"

static void set(ENGINE *engine, char *command, bool *ok)
{
    char *value = strchr(command, ':');

    if (value != NULL)
        *value++ = '\0';
    *ok = *ok && ENGINE_ctrl_cmd_string(engine, command, value, 0);
}

ENGINE *engine_try(const char *commands)
{
    const char *module = getenv("ERSATZ_MODULE");
    ENGINE *engine;
    bool ok = true;

    CHECK(module != NULL);
    ENGINE_load_dynamic();
    engine = ENGINE_by_id("dynamic");
    CHECK(engine != NULL);
    ok = ENGINE_ctrl_cmd_string(engine, "SO_PATH", module, 0) &&
         ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0);
    if (ok && commands != NULL) {
        char *copy = strdup(commands), *rest = copy, *item;

        while ((item = strsep(&rest, ";")) != NULL)
            set(engine, item, &ok);
        free(copy);
    }
    if (ok && ENGINE_init(engine))
        return engine;
    ENGINE_free(engine);
    return NULL;
}

ENGINE *engine_load(const char *commands)
{
    ENGINE *engine = engine_try(commands);

    if (engine == NULL)
        ERR_print_errors_fp(stderr);
    CHECK(engine != NULL);
    CHECK(strcmp(ENGINE_get_id(engine), "ersatz") == 0);
    return engine;
}

void engine_unload(ENGINE *engine)
{
    CHECK(ENGINE_finish(engine));
    CHECK(ENGINE_free(engine));
}

void engine_command(ENGINE *engine, const char *name, const char *value)
{
    if (!ENGINE_ctrl_cmd_string(engine, name, value, 0)) {
        ERR_print_errors_fp(stderr);
        FAIL("the command was refused");
    }
}

bool engine_refuses(ENGINE *engine, const char *name, const char *value, const char *text)
{
    ERR_clear_error();
    return !ENGINE_ctrl_cmd_string(engine, name, value, 0) && error_speaks_of(text);
}

/* -1: there is none. */
static long find_count(ENGINE *engine, const char *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char quoted[64], *text, *at;
    long count = -1;

    CHECK(bio != NULL && ENGINE_ctrl_cmd(engine, "STATS", 0, bio, NULL, 0));
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &text);
    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    at = strstr(text, quoted);
    if (at != NULL)
        count = strtol(at + strlen(quoted), NULL, 10);
    BIO_free(bio);
    return count;
}

long engine_count(ENGINE *engine, const char *name)
{
    long count = find_count(engine, name);

    CHECK(count >= 0);
    return count;
}

bool engine_has_count(ENGINE *engine, const char *name)
{
    return find_count(engine, name) >= 0;
}

void engine_wait_for(ENGINE *engine, const char *name, long value)
{
    while (engine_count(engine, name) < value)
        usleep(200);
}

RSA *engine_rsa(ENGINE *engine)
{
    static RSA *source;
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
    RSA *rsa;

    if (source == NULL) {
        BIGNUM *f4 = BN_new();

        source = RSA_new();
        CHECK(RSA_set_method(source, RSA_PKCS1_OpenSSL()));
        CHECK(BN_set_word(f4, RSA_F4) && RSA_generate_key_ex(source, 2048, f4, NULL));
        BN_free(f4);
    }
    rsa = RSA_new_method(engine);
    CHECK(rsa != NULL);
    if (engine == NULL)
        CHECK(RSA_set_method(rsa, RSA_PKCS1_OpenSSL()));
    RSA_get0_key(source, &n, &e, &d);
    RSA_get0_factors(source, &p, &q);
    RSA_get0_crt_params(source, &dp, &dq, &qi);
    CHECK(RSA_set0_key(rsa, BN_dup(n), BN_dup(e), BN_dup(d)) && RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)) &&
          RSA_set0_crt_params(rsa, BN_dup(dp), BN_dup(dq), BN_dup(qi)));
    return rsa;
}
